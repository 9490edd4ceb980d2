"""`make run` as a process of a test, and its parts."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from processes import BIN, ROOT, Client, Process, eventually, free_port, redis_binary, tree

PARTS = {"redis": "redis-server", "worker": "workers.prediction_worker", "web": "api.server"}


def copy_repository(to: Path) -> None:
    """The repository as it stands, for a test to change; it has the same packages, installed."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".hemline", "runs", "build", ".terraform", "__pycache__", ".*_cache", ".hypothesis",
        "node_modules",
    )
    shutil.copytree(ROOT, to, ignore=ignored)
    environment = to / ".venv"  # is installed, whatever the copied lock files' time
    environment.mkdir()
    for entry in BIN.parent.iterdir():
        if not entry.name.endswith(".done"):
            (environment / entry.name).symlink_to(entry)
    for stamp in ("run.done", "dev.done"):
        (environment / stamp).touch()


class Hemline(Process):
    """`make run` with a folder and a port of its own."""

    def __init__(
        self, home: Path, log: Path, port: int | None = None, checkout: Path = ROOT, **settings: str
    ) -> None:
        self.home = home
        self.port = port or free_port()
        self.http = Client(f"http://127.0.0.1:{self.port}")
        # The parts find the Redis that is to be tested as a user's would be found: by the path.
        path = f"{Path(redis_binary()).parent}:{os.environ['PATH']}"
        # TensorFlow is slow to load and nothing here trains.
        environ = {"PATH": path, "HEMLINE_TRAINING_WORKERS": "0", **settings}
        places = {"PORT": str(self.port), "HEMLINE_HOME": str(home)}
        super().__init__(["make", "--directory", str(checkout), "run"], log, {**places, **environ})

    def until_ready(self) -> "Hemline":
        self.await_(lambda: "Hemline is ready" in self.output(), "it says that it is ready")
        assert self.http.answers("/health/ready")
        return self

    def part(self, name: str) -> list[psutil.Process]:
        """The processes of a part that live, the first of them the one that was started for it."""
        found = []
        for process in tree(self.popen.pid):
            try:
                words = process.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if any(PARTS[name] in word for word in words):
                found.append(process)
        return found

    def kill_part(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a part and come back when the supervisor has put another in its place."""
        (victim, *_) = eventually(lambda: self.part(name), f"there is a {name}")
        victim.send_signal(number)
        eventually(lambda: any(p.pid != victim.pid for p in self.part(name)[:1]), f"there is a new {name}")

    def interrupt(self) -> int:
        """Ctrl-C: a signal to the whole group of the terminal. Nothing may be left behind."""
        started = tree(self.popen.pid)
        assert len(started) > 3
        self.send(signal.SIGINT)
        status = self.popen.wait(90)
        _, left = psutil.wait_procs(started, timeout=10)
        for process in left:
            process.kill()
        assert not left, f"still there: {left}"
        return status


Start = Callable[..., Hemline]
