"""What is measured: servers as processes, each with its parts and the way in which it is asked."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from tests.benchmarks.load import Ask
from tests.benchmarks.pictures import BULK, ROOT
from tests.processes import Client, Process, free_port, tree


# Seconds. A training worker that has only begun to load may take a minute to end.
_LONGEST_START: Final = 180
_LONGEST_STOP: Final = 120
PARTS_OF_HEMLINE: Final = {
    "redis": "redis-server", "worker": "workers.prediction_worker", "training": "workers.training_worker",
    "web": "api.server", "supervisor": "serve.py",
}  # fmt: skip


@dataclass(frozen=True)
class Ways:
    """How a server is asked: for an answer, and where it can do so, to take work, and to take much of it."""

    waited: Ask
    submitted: Ask | None = None
    bulk: Ask | None = None


@dataclass(frozen=True)
class Server:
    """A server: its programs by name, with {port} and {home} in their words, and what its processes are told by.

    `parts`: for each part a word that only its processes' command lines have; the first that fits counts.
    `durable`: whether accepted work survives the crash of any process.
    """

    name: str
    programs: Mapping[str, list[str]]
    ready: str
    parts: Mapping[str, str]
    ways: Ways
    environ: Mapping[str, str] = field(default_factory=dict)
    durable: bool = False


def hemline(single: Path, bulk: Path, **settings: str) -> Server:
    """The product as `make run` starts it: with its defaults, except what `settings` say."""
    done, waiting = 201, ("Prefer:wait=30",)
    return Server(
        "Hemline", {"serve": [sys.executable, str(ROOT / "serve.py")]}, "/health/ready", PARTS_OF_HEMLINE,
        Ways(
            Ask("/v1/predictions", single, done, waiting),
            Ask("/v1/predictions", single, 202, finished='"status":"succeeded"'),
            Ask("/v1/batches", bulk, done, waiting, finished=f'"succeeded":{BULK}'),
        ),
        {"PORT": "{port}", "HEMLINE_HOME": "{home}", **settings}, durable=True,
    )  # fmt: skip


class Running:
    """A server that is up, and what its processes use."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = Client(self.url)
        self._processes: list[Process] = []
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        others = {f"{{port{number}}}": str(free_port()) for number in (1, 2)}
        places = {"{port}": str(self.port), "{home}": str(folder), **others}
        environ = {name: _filled(value, places) for name, value in server.environ.items()}
        try:
            for name, command in server.programs.items():
                words = [_filled(word, places) for word in command]
                self._processes.append(Process(words, folder / f"{name}.log", environ))
            self._processes[-1].await_(
                lambda: self.http.answers(server.ready), f"{server.name} is ready", _LONGEST_START
            )
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - started

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each part has used, from /proc/PID/stat; what has ended counts with its parent."""
        return self._sum(lambda process: sum(process.cpu_times()))

    def memory(self) -> dict[str, float]:
        """Proportional set size of each part in bytes: a page that processes share counts once."""
        return self._sum(lambda process: process.memory_full_info().pss)

    def stop(self) -> None:
        """End it, part after part."""
        for process in reversed(self._processes):
            process.stop(seconds=_LONGEST_STOP)

    def processes(self) -> list[psutil.Process]:
        """All that live."""
        return [process for started in self._processes for process in tree(started.popen.pid)]

    def part(self, process: psutil.Process) -> str:
        """The part that a process belongs to: its own, or that of the nearest one that started it."""
        for each in (process, *process.parents()):
            line = " ".join(each.cmdline())
            if found := next((name for name, word in self.server.parts.items() if word in line), None):
                return found
        return "server"

    def _sum(self, of: Callable[[psutil.Process], float]) -> dict[str, float]:
        total = dict.fromkeys(self.server.parts, 0.0)
        for process in self.processes():
            try:
                part = self.part(process)
                total[part] = total.get(part, 0.0) + of(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return total


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """The server, up and empty; it ends, and its folder with it."""
    with tempfile.TemporaryDirectory(prefix="hemline-bench-") as folder:
        instance = Running(server, Path(folder) / "home")
        try:
            yield instance
        finally:
            instance.stop()


def _filled(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(name, value)
    return text
