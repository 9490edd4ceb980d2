"""The service that is to suffer: what `make run` starts, and a training worker as on a machine of its own.

The training worker stands by itself because its clock is its own. The artifact store is a small file system that can
be filled.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil
from redis import Redis

from processes import BIN, ROOT, Process, eventually, free_port
from product import Hemline
from workers.app import connect

_CLONE_NEWNS: Final = 0x00020000  # sched.h
_DISK: Final = "64m"
_BALLAST: Final = 1024 * 1024
_WRONG_CLOCK: Final = ROOT / "tests" / "chaos" / "clock"
_TRAINING: Final = [
    str(BIN / "celery"), "--quiet", "--app", "workers.training_worker", "worker", "--queues", "training",
    "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO",
]  # fmt: skip


@contextmanager
def limited_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system there while the block lasts; False where that is not allowed.

    To be called before any other thread runs: what is mounted is seen by this thread and by what it starts.
    """
    folder.mkdir(parents=True)
    mounted = not ctypes.CDLL(None).unshare(_CLONE_NEWNS) and _mount(folder)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path) -> bool:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)]
    commands = (["mount", "--make-rprivate", "/"], mount)
    with suppress(FileNotFoundError):
        return all(subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0 for command in commands)
    return False


class Site:
    """The running service. It ends with the block, and with it everything that was done to it."""

    def __init__(self, folder: Path, artifacts: Path, disk_is_limited: bool) -> None:
        self._artifacts = artifacts
        self.artifacts_url = artifacts.as_uri()
        self._disk_is_limited = disk_is_limited
        self._clock = folder / "clock"
        self.folder = folder
        settings = {
            "HEMLINE_ARTIFACTS_URL": self.artifacts_url, "HEMLINE_WEB_PROCESSES": "2",
            "HEMLINE_PREDICTION_WORKERS": "2", "HEMLINE_CHECKPOINT_SECONDS": "2", "HEMLINE_LOG_LEVEL": "INFO",
        }  # fmt: skip
        self.product = Hemline(folder / "home", folder / "log", free_port(), **settings)
        self.http = self.product.http
        self.redis_url = f"unix://{self.product.home / 'redis' / 'redis.sock'}"
        self.redis: Redis = connect(self.redis_url)
        self._training: Process | None = None
        self._ended = threading.Event()
        self._settings = settings

    def __enter__(self) -> Site:
        self.product.until_ready()
        self.set_clock(0)
        environ = {
            **self._settings, "HEMLINE_REDIS_URL": self.redis_url, "HEMLINE_HOME": str(self.folder / "home"),
            "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": f"{_WRONG_CLOCK}:{ROOT}", "CHAOS_CLOCK": str(self._clock),
        }  # fmt: skip
        self._training = Process(_TRAINING, self.folder / "training.log", environ)
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        if self._training is not None:
            self._keeper.join()
            self._training.stop(signal.SIGKILL)
        self.product.interrupt()

    def _keep(self) -> None:
        """Start the training worker again when it has died, as a supervisor does."""
        assert self._training is not None
        while not self._ended.wait(0.5):
            if self._training.popen.poll() is not None:
                self._training.start()

    def process(self, part: str, random: Random) -> psutil.Process:
        """One of the processes of a part. `web` are those that answer, `parent` is the one above them."""
        if part == "training":
            assert self._training is not None
            return psutil.Process(self._training.popen.pid)
        found = eventually(lambda: self._living(part), f"there is a {part}")
        return random.choice(sorted(found, key=lambda each: each.pid))

    def _living(self, part: str) -> list[psutil.Process]:
        match part:
            case "web":
                return self.product.part("web")[1:]
            case "parent":
                return self.product.part("web")[:1]
            case _:
                return self.product.part(part)

    def set_clock(self, offset: int) -> None:
        """Let the training worker's clock be so many seconds ahead."""
        written = self._clock.with_suffix(".new")
        written.write_text(str(offset))
        written.replace(self._clock)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Nothing more fits into the artifact store. With a disk that is everybody's, the worker may write no file."""
        if not self._disk_is_limited:
            training = self.process("training", Random())
            _, most = training.rlimit(psutil.RLIMIT_FSIZE)
            training.rlimit(psutil.RLIMIT_FSIZE, (0, most))
            try:
                yield
            finally:
                with suppress(psutil.NoSuchProcess):
                    training.rlimit(psutil.RLIMIT_FSIZE, (most, most))
            return
        ballast = self._artifacts / ".ballast"
        try:
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(_BALLAST))
            yield
        finally:
            ballast.unlink()

    def how(self) -> str:
        """What could not be done as it should, in words."""
        if self._disk_is_limited:
            return ""
        return "No file system may be mounted here: instead of a full disk, the training worker may write no file."


def resume(process: psutil.Process) -> None:
    """Let a stopped process go on, unless it is gone."""
    with suppress(psutil.NoSuchProcess):
        os.kill(process.pid, signal.SIGCONT)
