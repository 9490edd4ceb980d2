"""The production model is changed again and again under load: who notices?

The load is an open loop at a fixed rate. Runs with swaps are compared with runs in which either version is production
all the time, because the versions themselves differ in speed. The first swap of all meets a worker that has never seen
the second version.
"""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.benchmarks.load import open_loop
from tests.benchmarks.servers import Running, Server, running
from tests.processes import Client

_CONNECTIONS: Final = 32
_EVERY: Final = 1.0  # seconds between two swaps
_LIMIT: Final = 1.2

Run = dict[str, Any]


def measure(server: Server, rate: float, seconds: int, rounds: int, folder: Path) -> dict[str, Any]:
    """`runs` of the last round for the picture, and of all rounds the p99 with and without swaps."""
    with running(server) as instance:
        first, second = _versions(instance.http)
        _run(instance, rate, 2, [], folder)  # warm
        collected: list[tuple[Run, Run]] = []
        for _ in range(rounds):
            swapped = _run(instance, rate, seconds, [second, first], folder)
            steady = [_steady(instance, version, rate, seconds, folder) for version in (first, second)]
            collected.append((_together(steady), swapped))
    ratios = [swapped["p99_ms"] / steady["p99_ms"] for steady, swapped in collected]
    return {"rate": rate, "versions": [first, second], "runs": collected[0], "limit": _LIMIT,
            "p99_ms": [[steady["p99_ms"], swapped["p99_ms"]] for steady, swapped in collected],
            "ratio": median(ratios)}  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Markdown: a line a round, and what the target says of the median."""
    lines = ["| round | p99 without a swap (ms) | p99 with swaps (ms) | ratio |", "| --- | --- | --- | --- |"]
    for number, (steady, swapped) in enumerate(results["p99_ms"], 1):
        lines.append(f"| {number} | {steady:.3g} | {swapped:.3g} | {swapped / steady:.3g} |")
    ratio = results["ratio"]
    judged = "met" if ratio <= results["limit"] else f"missed by {ratio / results['limit'] - 1:.0%}"
    swaps, answered = len(results["runs"][1]["swaps"]), len(results["runs"][1]["requests"])
    return "\n".join([*lines, "", f"{swaps} swaps in a round under {results['rate']:g} requests/s; none of {answered} "
                      f"requests failed. Aim, p99 within {results['limit']:g} ×: {judged} ({ratio:.3g})."])  # fmt: skip


def _versions(http: Client) -> tuple[str, str]:
    """The version in production, and another."""
    aliases = {each["alias"]: each["version"] for each in http.get("/v1/aliases").json()["items"]}
    versions = [each["version"] for each in http.get("/v1/models").json()["items"]]
    return aliases["production"], next(version for version in versions if version != aliases["production"])


def _steady(instance: Running, version: str, rate: float, seconds: int, folder: Path) -> Run:
    _promote(instance.http, version)
    return _run(instance, rate, seconds, [], folder)


def _run(instance: Running, rate: float, seconds: int, versions: list[str], folder: Path) -> Run:
    """Requests as [seconds, ms], swaps in seconds. Raises LoadFailed where a request was not answered."""
    timeline, swaps, ended = folder / "timeline", list[float](), threading.Event()
    swapper = threading.Thread(target=swap, args=(Client(instance.url), itertools.cycle(versions), swaps, ended))
    if versions:
        swapper.start()
    try:
        load = open_loop(instance.url, instance.server.ways.waited, rate, _CONNECTIONS, seconds, timeline)
    finally:
        ended.set()
        if versions:
            swapper.join()
    requests = [tuple(map(float, line.split())) for line in timeline.read_text().splitlines()]
    start, end = min(moment for moment, _ in requests), max(moment for moment, _ in requests)
    return {"requests": sorted((round(moment - start, 4), took) for moment, took in requests),
            "swaps": [round(moment - start, 4) for moment in swaps if start < moment < end],
            "p50_ms": load.p50_ms, "p99_ms": load.p99_ms, "early": load.early}  # fmt: skip


def swap(http: Client, versions: itertools.cycle[str], swaps: list[float], ended: threading.Event) -> None:
    """Change the production model every second until it is ended; `swaps` gets the moments (time.monotonic)."""
    while not ended.wait(_EVERY):
        swaps.append(time.monotonic())
        _promote(http, next(versions))


def _promote(http: Client, version: str) -> None:
    answer = http.request("PUT", "/v1/aliases/production", json={"version": version})
    assert answer.status_code == 200, answer.text


def _together(runs: list[Run]) -> Run:
    """Runs one after another, as if they were one."""
    requests, offset = list[tuple[float, float]](), 0.0
    for run in runs:
        requests += [(moment + offset, took) for moment, took in run["requests"]]
        offset = requests[-1][0]
    took = sorted(each for _, each in requests)
    return {"requests": requests, "swaps": [], "early": sum(run["early"] for run in runs),
            "p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * 0.99)]}  # fmt: skip
