"""One round of one server: everything that is measured of it while it is the only one that runs.

A measurement that fails is written down as such and has no figure; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmarks import floor
from tests.benchmarks.load import Ask, Load, LoadFailed, closed, drained, open_loop, polled
from tests.benchmarks.pictures import BULK
from tests.benchmarks.servers import Running, Server, running

_WARMING: Final = 4  # connections
_BUSY: Final = 0.15  # cores; a server that uses less has nothing left to do
_KEEPS_UP: Final = 0.95  # share of the offered rate that has to be answered


@dataclass(frozen=True)
class Protocol:
    """How long and how hard. `seconds` of each measurement; `rest` of looking at a server that has nothing to do.

    Open loops use `open_connections`, so that this many requests are under way at most; more wait in the client, and
    their latency grows.
    """

    rounds: int = 3
    seconds: int = 4
    rest: float = 20
    connections: tuple[int, ...] = (1, 16, 64, 256)
    rates: tuple[int, ...] = (100, 200, 400, 800, 1200, 1600, 2000, 2400, 2800, 3200, 4000)
    open_connections: int = 64
    task_connections: int = 64
    bulk_connections: int = 4


Figures = dict[str, Any]


def measure(server: Server, protocol: Protocol, number: int, images: list[str]) -> Figures:
    """Start a server, measure it, end it; anew for each kind of load, so that none suffers from what another left.

    That is for Flask with Celery: once many connections have waited for results, one alone is answered after seconds.
    """
    figures: Figures = {"server": server.name, "round": number, "failures": []}
    for part in (_closed_loops, _open_loops, _tasks):
        try:
            with running(server) as instance:
                figures.setdefault("start_seconds", instance.start_seconds)
                _warm(instance)
                figures.setdefault("memory", instance.memory())
                if "rest_cores" not in figures and number == 0:
                    figures["rest_cores"] = _rest(instance, protocol.rest)
                part(instance, protocol, figures, images)
        except (AssertionError, LoadFailed) as failed:
            figures["failures"].append(str(failed))
    return figures


def _closed_loops(instance: Running, protocol: Protocol, figures: Figures, _: list[str]) -> None:
    url, waited = instance.url, instance.server.ways.waited
    for count in protocol.connections:
        _note(instance, figures, "closed", lambda: closed(url, waited, count, protocol.seconds), connections=count)


def _open_loops(instance: Running, protocol: Protocol, figures: Figures, _: list[str]) -> None:
    url, waited, most = instance.url, instance.server.ways.waited, protocol.open_connections
    for rate in protocol.rates:
        load = _note(
            instance, figures, "open", lambda: open_loop(url, waited, rate, most, protocol.seconds), rate=rate
        )
        if load is None or load.per_second < _KEEPS_UP * rate:
            break  # from here on only the queue grows
        settle(instance, 10)


def _tasks(instance: Running, protocol: Protocol, figures: Figures, images: list[str]) -> None:
    url, seconds, ways = instance.url, protocol.seconds, instance.server.ways
    if ways.bulk is not None:
        bulk: Ask = ways.bulk
        # What it is a share of is measured on both sides of it: the speed of a machine may change within minutes.
        before = floor.images_per_second(images, seconds)
        _note(instance, figures, "bulk", lambda: drained(url, bulk, protocol.bulk_connections, seconds), images=BULK)
        settle(instance, 10)
        figures["floor"] = (before + floor.images_per_second(images, seconds)) / 2
    if ways.submitted is not None:
        tasks: Ask = ways.submitted
        _note(instance, figures, "polled", lambda: polled(url, tasks, protocol.task_connections, seconds))
        settle(instance)
        _note(instance, figures, "submitted", lambda: closed(url, tasks, protocol.task_connections, seconds))


def _note(instance: Running, figures: Figures, kind: str, of: Callable[[], Load], **more: int) -> Load | None:
    found, failure = _with_cpu(instance, of)
    if found is None:
        figures["failures"].append(failure)
        return None
    load, cpu_ms = found
    figures.setdefault(kind, []).append({**load.document(), "cpu_ms": cpu_ms, **more})
    return load


def _with_cpu(instance: Running, of: Callable[[], Load]) -> tuple[tuple[Load, dict[str, float]] | None, str]:
    """A load and the milliseconds of CPU that each part used for an answer; or why there is none."""
    before = instance.cpu()
    try:
        load = of()
    except LoadFailed as failed:
        return None, str(failed)
    after = instance.cpu()
    return (load, {part: (used - before.get(part, 0)) * 1e3 / load.answered for part, used in after.items()}), ""


def _warm(instance: Running) -> None:
    with suppress(LoadFailed):  # what is wrong shows in the figures
        closed(instance.url, instance.server.ways.waited, _WARMING, 2)
    settle(instance, 10)


def _rest(instance: Running, seconds: float) -> dict[str, float]:
    """Cores that each part uses while nobody asks."""
    before = instance.cpu()
    time.sleep(seconds)
    return {part: (used - before.get(part, 0)) / seconds for part, used in instance.cpu().items()}


def settle(instance: Running, seconds: float = 60) -> None:
    """Wait until a server has done all that it was given: what waits in a queue is no part of the next figure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and sum(_rest(instance, 0.5).values()) > _BUSY:
        pass
