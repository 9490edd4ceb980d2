"""A new release without a dropped request: `make upgrade` asks the running `serve.py`, by SIGUSR1, for new processes.

Each part has two sets of processes, of which one runs. The other set is started beside it, with the code that is on
disk now. When all of it is well, the old one is told to end, which it does when it has finished what it holds. When
any of it is not, it is ended instead, and all is as before: a release that does not start does no harm.

The new web processes take the sockets of the old ones over (`api/listeners.py`), so no connection is refused or lost.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from redis import RedisError
from supervisor.states import RUNNING_STATES, ProcessStates

from api.listeners import READY
from settings import InvalidSetting, Settings
from workers import embedded
from workers.app import connect
from workers.upkeep import names_alive

SETS = ("a", "b")
_PATIENCE = 120.0  # seconds in which a new process must be well; a busy machine starts slowly
_LOST = (ProcessStates.BACKOFF, ProcessStates.EXITED, ProcessStates.FATAL, ProcessStates.STOPPED)
# Web processes part with their clients for so long before they end: who is silent for longer has to expect an end.
_PARTING = 5.0
_DONE = "done"

Groups = Mapping[str, Any]  # Supervisor's groups of processes, by name
Well = Callable[[int], bool]  # whether the process of this id does its work


@dataclass(frozen=True)
class Part:
    """A part whose new processes start beside the old ones. `farewell`: the old ones part with their clients first."""

    name: str
    well: Well
    farewell: bool = False


class NotWell(Exception):
    """A new process ended, or did not come to do its work."""


def roll(groups: Groups, beside: Sequence[Part], after: Sequence[str]) -> Iterator[None]:
    """The change, step by step; each pause is for Supervisor to see what became of its processes. Raises NotWell.

    The old processes of the parts in `beside` end in this order. Parts in `after` are too large for two at a time:
    their old processes end before the new ones start, which they may, as no request waits for them.
    """
    changes = [(part, *_sets(groups, part.name)) for part in beside]
    try:
        for _, _, new in changes:
            _spawn(new)
        for part, _, new in changes:
            yield from _until_well(new, part.well)
    except NotWell:
        for part, _, new in changes:
            if part.farewell:
                yield from _parted(new)
            yield from _ended(new)
        raise
    for part, old, _ in changes:
        if part.farewell:
            yield from _parted(old)
        yield from _ended(old)
    for name in after:
        old, new = _sets(groups, name)
        yield from _ended(old)
        _spawn(new)


def answering() -> Well:
    """Whether a web process has somebody who answers, which `api.server` shows in the name of its processes."""

    def well(pid: int) -> bool:
        with suppress(psutil.Error):
            return any(child.name() == READY for child in psutil.Process(pid).children())
        return False

    return well


def consuming(redis_url: str, queue: str) -> Well:
    """Whether a worker says that it consumes a queue."""

    def well(pid: int) -> bool:
        with suppress(RedisError), connect(redis_url, socket_timeout=2) as redis:
            return any(name.endswith(f":{pid}") for name in names_alive(redis, queue))
        return False

    return well


def report(home: Path, outcome: str = _DONE) -> None:
    """Tell whoever asked for the change that it is over, and how."""
    _outcome(home).write_text(outcome)


def main() -> int:
    """Ask the service of this folder to change its processes, and wait until it has."""
    try:
        home = Settings.from_env().home.absolute()
        pid = _running(home)
    except (InvalidSetting, OSError, ValueError) as failed:
        print(failed, file=sys.stderr)
        return 2
    _outcome(home).unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    while not (_outcome(home).exists() and (outcome := _outcome(home).read_text())):
        if not psutil.pid_exists(pid):
            print("The service has ended meanwhile.", file=sys.stderr)
            return 1
        time.sleep(0.2)
    print("All processes are new." if outcome == _DONE else f"Nothing has changed: {outcome}.")
    return 0 if outcome == _DONE else 1


def _running(home: Path) -> int:
    """Who serves from this folder. Raises OSError where nobody does."""
    with suppress(embedded.InUse), embedded.owned(home):
        raise OSError(f"Nothing runs on {home}. Start it, or set HEMLINE_HOME to the folder that it runs on.")
    return int((home / "supervisord.pid").read_text())


def _sets(groups: Groups, part: str) -> tuple[list[Any], list[Any]]:
    """The processes of a part that run, and those that do not."""
    first, second = (list(groups[f"{part}-{each}"].processes.values()) for each in SETS)
    first_runs = any(process.get_state() != ProcessStates.STOPPED for process in first)
    return (first, second) if first_runs else (second, first)


def _spawn(processes: Sequence[Any]) -> None:
    for process in processes:
        process.spawn()


def _until_well(processes: Sequence[Any], well: Well) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        while not well(process.pid):
            if process.get_state() in _LOST:
                raise NotWell(f"{process.config.name} ended at once")
            if time.monotonic() > deadline:
                raise NotWell(f"{process.config.name} is not well after {_PATIENCE:g} s")
            yield


def _ended(processes: Sequence[Any]) -> Iterator[None]:
    for process in processes:
        if process.get_state() in RUNNING_STATES:
            process.stop()
        elif process.get_state() == ProcessStates.EXITED:
            process.change_state(ProcessStates.STOPPED)  # or Supervisor would start it again
    while any(process.get_state() == ProcessStates.STOPPING for process in processes):
        yield


def _parted(processes: Sequence[Any]) -> Iterator[None]:
    """Let web processes that answer part with their clients; see `api/asgi.py`."""
    told = False
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children() if process.pid else ():
                if child.name() == READY:  # before that, the signal would be its end
                    child.send_signal(signal.SIGUSR1)
                    told = True
    until = time.monotonic() + _PARTING if told else 0.0
    while time.monotonic() < until:
        yield


def _outcome(home: Path) -> Path:
    return home / "upgrade"


if __name__ == "__main__":
    sys.exit(main())
