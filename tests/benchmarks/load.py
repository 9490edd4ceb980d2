"""Load on a server, by wrk: light enough to share two cores with what it measures."""

from __future__ import annotations

import http.client
import json
import math
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

_SCRIPT: Final = Path(__file__).with_name("load.lua")
# wrk's threads only wait for sockets; a second one serves many connections without a queue at the first.
_THREADS: Final = 2
_MODES_OF_MANY_THREADS: Final = ("open", "poll")


class LoadFailed(Exception):
    """Some requests were not answered as they should, so there is no figure; the message says how they were."""


@dataclass(frozen=True)
class Ask:
    """What to send: where, and what an answer looks like. `finished`: what a body has that says that all is done."""

    path: str
    bodies: Path
    expect: int
    headers: tuple[str, ...] = ()
    finished: str = ""


@dataclass(frozen=True)
class Load:
    """What came back. Latencies of open loops count from the moment at which a request should have started.

    `early` counts answers that were good but not yet the result: they are in no rate. `client_cpu` in cores.
    """

    answered: int
    early: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    client_cpu: float
    batch_sizes: dict[int, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "per_second": self.per_second}


def closed(url: str, ask: Ask, connections: int, seconds: float) -> Load:
    """Connections that send as soon as they have their answer. Raises LoadFailed."""
    return _run(url, ask, "closed", connections, seconds)


def open_loop(
    url: str, ask: Ask, rate: float, connections: int, seconds: float, timeline: Path | None = None
) -> Load:
    """Requests that start at `rate` a second on average, however long answers take. Raises LoadFailed.

    `timeline` gets a line for each: when it should have started (`time.monotonic`) and its latency in ms.
    """
    environ = {"TIMELINE": str(timeline)} if timeline else {}
    return _run(url, ask, "open", connections, seconds, f"rate={rate:g}", **environ)


def drained(url: str, ask: Ask, connections: int, seconds: float) -> Load:
    """Connections that send large requests for so long, and the time until the last is answered. Raises LoadFailed.

    Not by wrk, which drops what is under way at the end: of a few long requests that would be much. Python is fast
    enough to send a few large bodies.
    """
    bodies = ask.bodies.read_bytes().splitlines()
    headers = {"Content-Type": "application/json", **dict(header.split(":", 1) for header in ask.headers)}
    before, start = time.process_time(), time.perf_counter()

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
        took: list[float] = []
        while (sent := time.perf_counter()) < start + seconds:
            connection.request("POST", ask.path, bodies[(number + len(took)) % len(bodies)], headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != ask.expect or ask.finished.encode() not in body:
                raise LoadFailed(f"{ask.path} answered {answer.status}: {body[:300]!r}")
            took.append(time.perf_counter() - sent)
        connection.close()
        return took

    try:
        with ThreadPoolExecutor(connections) as pool:
            took = sorted(each for one in pool.map(client, range(connections)) for each in one)
    except (OSError, http.client.HTTPException) as broken:
        raise LoadFailed(f"{ask.path}: {broken!r}") from broken
    lasted = time.perf_counter() - start
    at = [took[max(0, math.ceil(share * len(took)) - 1)] * 1e3 for share in (0.5, 0.9, 0.99, 0.999, 1)]
    return Load(len(took), 0, lasted, *at, client_cpu=(time.process_time() - before) / lasted)


def polled(url: str, ask: Ask, connections: int, seconds: float) -> Load:
    """Connections that submit and then poll until the result is there. Raises LoadFailed."""
    return _run(url, ask, "poll", connections, seconds)


def wrk() -> str:
    """The program. Raises LoadFailed where it is not installed."""
    if (found := shutil.which("wrk")) is None:
        raise LoadFailed("There is no wrk here: apt install wrk")
    return found


def _run(url: str, ask: Ask, mode: str, connections: int, seconds: float, *options: str, **environ: str) -> Load:
    threads = connections if mode in _MODES_OF_MANY_THREADS else min(_THREADS, connections)
    command = [
        wrk(), "--threads", str(threads), "--connections", str(connections), "--duration",
        f"{max(1, round(seconds))}s", "--timeout", "60s", "--script", str(_SCRIPT), url, "--", f"mode={mode}",
        f"bodies={ask.bodies}",
        f"path={ask.path}", f"expect={ask.expect}", f"connections={connections}", f"finished={ask.finished}",
        *(f"header={header}" for header in ask.headers), *options,
    ]  # fmt: skip
    before = _cpu_of_children()
    ended = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True)
    if ended.returncode:
        raise LoadFailed(f"wrk ended with {ended.returncode}: {ended.stdout[-1000:]}{ended.stderr[-1000:]}")
    said = json.loads(ended.stdout[ended.stdout.rindex('{"answered"') :])
    if said["failed"] or said["broken"] or not said["answered"]:
        raise LoadFailed(f"{said['failed']} wrong answers, {said['broken']} broken connections and {said['answered']} "
                         f"right ones at {connections} connections on {ask.path}: {said['complaint']}")  # fmt: skip
    figures = {name: value for name, value in said.items() if name not in ("failed", "broken", "complaint")}
    load = Load(**figures, client_cpu=(_cpu_of_children() - before) / said["seconds"])
    return replace(load, batch_sizes={int(size): count for size, count in load.batch_sizes.items()})


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system
