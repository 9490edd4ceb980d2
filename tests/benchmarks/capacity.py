"""What 10, 100 and 1,000 cores carry, from what one prediction costs each part; checked against what was measured.

The model is the law of the busiest part. A web process uses one core at most (the interpreter's lock), and so does a
worker for batches of single predictions (only larger ones are shared among its threads), and a Redis, which runs
commands one after another. With P web processes, W workers and S Redis on C cores, the predictions a second are the
least of P / web, W / worker, S / redis and C / (sum of all), where each part stands for its seconds of CPU a
prediction. It leaves out what neighbours on a machine cost each other, so it is an upper bound; the table says by how
much.

A second limit is memory: Redis keeps a finished prediction until it expires.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

_PARTS: Final = ("web", "worker", "redis")
_CORES: Final = (10, 100, 1000)
# A part that is always busy makes requests wait without end; so much of a core is planned for.
_PLANNED: Final = 0.7
_KEPT_SECONDS: Final = 3600  # HEMLINE_RESULT_TTL
_WATCHED: Final = "commands"


@dataclass(frozen=True)
class Cost:
    """Of one prediction: milliseconds of CPU by part, and what Redis counts by name (bytes, but for commands)."""

    cpu_ms: dict[str, float]
    redis: dict[str, float]

    def bound(self, web: int, workers: int, redis: int, cores: float, client_ms: float = 0) -> tuple[float, str]:
        """Predictions a second that cannot be exceeded, and the part that does not allow more."""
        limits = {part: 1e3 * count / self.cpu_ms[part]
                  for part, count in zip(_PARTS, (web, workers, redis), strict=True)}  # fmt: skip
        limits["all cores"] = 1e3 * cores / (sum(self.cpu_ms.values()) + client_ms)
        least = min(limits, key=lambda part: limits[part])
        return limits[least], least


@dataclass(frozen=True)
class Plan:
    """How so many cores are best used."""

    cores: int
    web: int
    workers: int
    redis: int
    per_second: float


def cost(runs: list[dict[str, Any]]) -> Cost:
    """The median over runs: parts cost nearly the same however many of them there are."""
    return Cost(
        {part: median(run["cpu_ms"][part] for run in runs) for part in _PARTS},
        {name: median(run["redis"][name] for run in runs) for name in runs[0]["redis"]},
    )


def plan(of: Cost, cores: int, redis: int | None = None) -> Plan:
    """Cores given to the parts in proportion to what they cost; `redis`: so many instances and no more."""

    def needed(part: str, per_second: float) -> int:
        # What rounding errors add is no reason for one more.
        return max(1, math.ceil(per_second * of.cpu_ms[part] / 1e3 / _PLANNED - 1e-6))

    all_cores = 1e3 * _PLANNED * cores / sum(of.cpu_ms.values())
    instances = redis if redis is not None else needed("redis", all_cores)
    per_second = min(all_cores, 1e3 * _PLANNED * instances / of.cpu_ms["redis"])
    return Plan(cores, needed("web", per_second), needed("worker", per_second), instances, per_second)


def tables(results: dict[str, Any]) -> str:
    """What was measured beside what the model says, what a prediction costs, and what many cores carry."""
    of = cost(results["runs"])
    return "\n\n".join([_checked(of, results), _costs(of), _plans(of)])


def _checked(of: Cost, results: dict[str, Any]) -> str:
    rows = [["web processes", "workers", "predictions/s", "p99 (ms)", "model", "limited by", "measured / model"],
            ["---"] * 7]  # fmt: skip
    for run in results["runs"]:
        predicted, part = of.bound(run["web_processes"], run["workers"], 1, results["cores"], run["client_ms"])
        # An answer before the result was work, too.
        done = (run["answered"] + run["early"]) / run["seconds"]
        rows.append([str(run["web_processes"]), str(run["workers"]), f"{run['per_second']:,.0f}",
                     f"{run['p99_ms']:.0f}", f"{predicted:,.0f}", part, f"{done / predicted:.2f}"])  # fmt: skip
    pinned = "each part on a core of its own" if all(run["pinned"] for run in results["runs"]) else "parts not pinned"
    return f"On {results['cores']} cores shared with the clients, {pinned}:\n\n{_markdown(rows)}"


def _costs(of: Cost) -> str:
    rows = [["of one prediction", ""], ["---", "---"]]
    rows += [[f"{part}, CPU ms", f"{of.cpu_ms[part]:.3f}"] for part in _PARTS]
    names = {
        "commands": "commands that Redis ran", "received": "bytes that Redis received", "sent": "bytes that it sent",
        "appended": "bytes that it appended to its file", "kept": "bytes that it keeps until expiry",
    }  # fmt: skip
    rows += [[text, f"{of.redis[name]:,.1f}" if name == _WATCHED else f"{of.redis[name]:,.0f}"]
             for name, text in names.items()]  # fmt: skip
    return _markdown(rows)


def _plans(of: Cost) -> str:
    rows = [["cores", "Redis", "web processes", "workers", "predictions/s", "saturates first",
             "results kept for an hour (GB)"], ["---"] * 7]  # fmt: skip
    for cores in _CORES:
        alone, sharded = plan(of, cores, redis=1), plan(of, cores)
        for each in [alone] if alone.per_second == sharded.per_second else [alone, sharded]:
            _, first = of.bound(each.web, each.workers, each.redis, each.cores)
            kept = each.per_second * _KEPT_SECONDS * of.redis["kept"] / 1e9
            rows.append([f"{cores:,}", str(each.redis), str(each.web), str(each.workers), f"{each.per_second:,.0f}",
                         first, f"{kept:,.0f}"])  # fmt: skip
    return f"Planned for {_PLANNED:.0%} of each core:\n\n{_markdown(rows)}"


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
