"""A long time under load: does memory grow, do answers get slower, does anything fail?

The load is an open loop at a share of what the service carries, so its records come and expire all the time, and the
production model is changed every second between two versions. Growth is told by the slope of Theil and Sen, the median
of all slopes between two samples, which a few odd samples do not move.
"""

from __future__ import annotations

import itertools
import os
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml.artifacts import open_artifacts
from ml.registry import PRODUCTION, Registry
from tests.benchmarks.load import LoadFailed, closed, open_loop
from tests.benchmarks.servers import Running, Server, running
from tests.benchmarks.swap import swap
from tests.processes import Client
from workers.aliases import RedisIndex
from workers.app import connect

KEPT: Final = 60  # seconds that records live: Redis' memory is level from then on
SHARE: Final = 0.7  # of the measured capacity
_CONNECTIONS: Final = 32
_RAMP: Final = (8, 32, 64)  # connections of the closed loops that measure the capacity
_RAMP_SECONDS: Final = 5
_EVERY: Final = 5.0  # seconds between two samples, and of a window of latencies
_WARM: Final = 2 * KEPT  # seconds that are no part of a judgement
_JUDGED: Final = 240  # seconds that there must be besides; less says nothing
# How much more than at the beginning there may be at the end, by the slope: a share, and what is always allowed.
_MEMORY: Final = (0.03, 3.0)  # MB
_LATENCY: Final = (0.25, 2.0)  # ms

Row = dict[str, Any]


def measure(server: Server, minutes: float, rate: float | None, folder: Path) -> dict[str, Any]:
    """Samples of memory, windows of latency, and what was not answered as it should."""
    with running(server) as instance:
        redis_url = f"unix://{instance.folder}/redis/redis.sock"
        versions = _twins(redis_url, instance.folder)
        capacity = None if rate else _capacity(instance)
        rate = rate or SHARE * (capacity or 0)
        samples, ended = list[Row](), threading.Event()
        others = [
            threading.Thread(target=_sample, args=(instance, redis_url, samples, ended)),
            threading.Thread(target=swap, args=(Client(instance.url), itertools.cycle(versions), [], ended)),
        ]
        for each in others:
            each.start()
        errors, began = list[str](), time.monotonic()
        try:
            open_loop(instance.url, instance.server.ways.waited, rate, _CONNECTIONS, minutes * 60, folder / "timeline")
        except LoadFailed as failed:
            errors.append(str(failed))
        finally:
            ended.set()
            for each in others:
                each.join()
    windows, answered = _windows(folder / "timeline", began)
    for sample in samples:
        sample["second"] = round(sample["second"] - began, 1)
    return {"minutes": minutes, "rate": rate, "capacity": capacity, "versions": versions, "answered": answered,
            "errors": errors, "samples": samples, "windows": windows}  # fmt: skip


def judge(results: dict[str, Any]) -> list[Row]:
    """What grew, by how much over the judged time, and how much it may; `holds` is None where it is too short."""
    samples, windows = results["samples"], results["windows"]
    megabytes = {f"memory of {part}": [(each["second"], each["pss"].get(part, 0) / 1e6) for each in samples]
                 for part in samples[0]["pss"]}  # fmt: skip
    megabytes["memory that Redis counts"] = [(each["second"], each["redis"] / 1e6) for each in samples]
    took = {f"p{share} of a window": [(each["second"], each[f"p{share}_ms"]) for each in windows] for share in (50, 99)}
    return [*(_trend(what, "MB", points, _MEMORY) for what, points in megabytes.items()),
            *(_trend(what, "ms", points, _LATENCY) for what, points in took.items())]  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Markdown: what was measured, and whether it stayed level."""
    judged = judge(results)
    lines = ["| | median | lowest to highest | grew by | may by | |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for row in judged:
        word = {True: "level", False: "GROWS", None: "too short to say"}[row["holds"]]
        lines.append(f"| {row['what']} ({row['unit']}) | {row['median']:.3g} | {row['least']:.3g} to {row['most']:.3g} "
                     f"| {row['grew']:+.2g} | {row['may']:.2g} | {word} |")  # fmt: skip
    capacity = f", {SHARE:.0%} of the measured {results['capacity']:.0f}/s" if results["capacity"] else ""
    wrong = "; ".join(results["errors"]) or "none failed"
    loads = [each["load"] for each in results["samples"]]
    return "\n".join([*lines, "", f"{results['answered']:,} predictions in {results['minutes']:g} minutes at "
                      f"{results['rate']:.0f}/s{capacity}; {wrong}. Load average of the machine, with the clients: "
                      f"{min(loads):.1f} to {max(loads):.1f}."])  # fmt: skip


def holds(results: dict[str, Any]) -> bool:
    """Whether nothing failed and nothing grew."""
    return not results["errors"] and all(row["holds"] is not False for row in judge(results))


def _twins(redis_url: str, home: Path) -> list[str]:
    """The production version, and another of the same files."""
    registry = Registry(open_artifacts((home / "artifacts").as_uri()), RedisIndex(connect(redis_url)))
    first = registry.resolve(PRODUCTION)
    card = registry.card(first)
    contents = {name: registry.file(first, name) for name in card["sha256"]}
    return [registry.publish(contents, {**card, "origin": "soak"}), first]


def _capacity(instance: Running) -> float:
    """Waited predictions a second that closed loops get at most."""
    closed(instance.url, instance.server.ways.waited, 16, 2)  # warm
    return max(closed(instance.url, instance.server.ways.waited, connections, _RAMP_SECONDS).per_second
               for connections in _RAMP)  # fmt: skip


def _sample(instance: Running, redis_url: str, samples: list[Row], ended: threading.Event) -> None:
    redis = connect(redis_url)
    while not ended.wait(_EVERY):
        memory: Any = redis.info("memory")
        samples.append({"second": time.monotonic(), "pss": instance.memory(), "redis": memory["used_memory"],
                        "load": os.getloadavg()[0]})  # fmt: skip


def _windows(timeline: Path, began: float) -> tuple[list[Row], int]:
    moments, took = np.loadtxt(timeline, ndmin=2).T
    places = ((moments - began) // _EVERY).astype(int)
    windows = []
    for place in np.unique(places):
        inside = took[places == place]
        p50, p99 = np.quantile(inside, (0.5, 0.99)).round(3).tolist()
        windows.append({"second": (int(place) + 0.5) * _EVERY, "p50_ms": p50, "p99_ms": p99, "answered": len(inside)})
    return windows, len(took)


def _trend(what: str, unit: str, points: Sequence[tuple[float, float]], allowed: tuple[float, float]) -> Row:
    warm = [point for point in points if point[0] >= _WARM] or points
    seconds, values = zip(*warm, strict=True)
    lasted, median = seconds[-1] - seconds[0], statistics.median(values)
    grew, may = slope(seconds, values) * lasted, max(allowed[0] * median, allowed[1])
    return {"what": what, "unit": unit, "median": median, "least": min(values), "most": max(values), "grew": grew,
            "may": may, "holds": bool(grew <= may) if lasted >= _JUDGED else None}  # fmt: skip


def slope(seconds: Sequence[float], values: Sequence[float]) -> float:
    """The median of all slopes between two points (Theil 1950, Sen 1968); 0 for a single one."""
    if len(seconds) < 2:
        return 0.0
    first, second = np.triu_indices(len(seconds), 1)
    x, y = np.asarray(seconds, float), np.asarray(values, float)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
