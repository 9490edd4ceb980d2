"""From rounds to tables: medians, ratios, and what of the targets is met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

Results = dict[str, Any]
PRODUCT: Final = "Hemline"
NAIVE, FASTAPI, RAY = "Flask + Celery", "FastAPI", "Ray Serve"
BENTOML, LITSERVE = "BentoML", "LitServe"
FLOOR, FIXED = "the floor", ""
_SERVING: Final = ("web", "worker", "redis")
_PARTS: Final = (*_SERVING, "training", "supervisor")


@dataclass(frozen=True)
class Bound:
    """A limit: `factor` times a figure of another server, of the floor, or a number by itself.

    The figure is the same one unless another is named, which `title` calls in words.
    """

    factor: float
    of: str = FIXED
    figure: str = ""
    title: str = ""


@dataclass(frozen=True)
class Target:
    """What a figure has to reach, and what it should. `more`: whether more is better."""

    title: str
    figure: str
    more: bool
    must: tuple[Bound, ...]
    aim: tuple[Bound, ...]


# What is accepted is worth what gets done of it: the bar for accepting is what the other answers, not what it queues.
_DONE: Final = ("closed 64 per_second", "answers/s")

TARGETS: Final = (
    Target("waited predictions/s at 64", "closed 64 per_second", True,
           (Bound(5, NAIVE), Bound(1.4, LITSERVE), Bound(1.4, BENTOML)), (Bound(1, RAY), Bound(1, FASTAPI))),
    Target("p50 at 1, waited (ms)", "closed 1 p50_ms", False, (Bound(0.65, NAIVE),), (Bound(1, LITSERVE),)),
    Target("p99 at 64, waited (ms)", "closed 64 p99_ms", False, (Bound(1, LITSERVE), Bound(1, BENTOML)),
           (Bound(1, FASTAPI),)),
    Target("p99 at 256, waited (ms)", "closed 256 p99_ms", False, (Bound(1, LITSERVE), Bound(1, BENTOML)),
           (Bound(1, FASTAPI),)),
    Target("submit + poll done/s at 64", "polled", True, (Bound(4, NAIVE),), (Bound(6, NAIVE),)),
    Target("`202` submissions/s at 64", "submitted", True, (Bound(6, NAIVE, *_DONE),), (Bound(8, NAIVE, *_DONE),)),
    Target("bulk images/s", "bulk", True, (Bound(0.6, FLOOR),), (Bound(0.85, FLOOR),)),
    Target("idle PSS of web, worker, Redis (MB)", "memory", False, (Bound(220),), (Bound(150),)),
    Target("cores at rest", "rest", False, (), (Bound(0.02),)),
)  # fmt: skip


def tables(results: Results) -> str:
    """All of it as Markdown."""
    parts = [part(results) for part in (_protocol, _servers, _loaded, _idle, _open_loops, _targets, _failures)]
    return "\n\n".join(part for part in parts if part)


def figure(results: Results, server: str, name: str) -> float | None:
    """The median over the rounds of what `name` says of a server."""
    if server == FLOOR:
        return figure(results, PRODUCT, "floor")
    found = [value for each in _rounds(results, server) if (value := _value(each, name)) is not None]
    return median(found) if found else None


def met(results: Results) -> bool:
    """Whether every “must” that could be judged is met; a figure of ours that there is not meets none."""
    return all(ok is not False for target in TARGETS for ok, _ in _judged(results, target, target.must))


def _value(figures: dict[str, Any], name: str) -> float | None:
    kind, *rest = name.split()
    match kind, rest:
        case "closed", [connections, field]:
            found = [each for each in figures.get("closed", []) if each["connections"] == int(connections)]
            if field == "cpu_ms":
                return sum(found[0]["cpu_ms"].values()) if found else None
            return float(found[0][field]) if found else None
        case "bulk", []:
            found = figures.get("bulk", [])
            return found[0]["per_second"] * found[0]["images"] if found else None
        case ("polled" | "submitted"), []:
            found = figures.get(kind, [])
            return float(found[0]["per_second"]) if found else None
        case "memory", []:
            sizes = figures.get("memory")
            return sizes and sum(size for part, size in sizes.items() if _counts(part)) / 1e6
        case "rest", []:
            cores = figures.get("rest_cores")
            return None if cores is None else sum(used for part, used in cores.items() if _counts(part))
    return figures.get(kind)


def _counts(part: str) -> bool:
    """Whether a part serves predictions; a server that is one piece counts whole."""
    return part in _SERVING or part == "server"


def _rounds(results: Results, server: str) -> list[dict[str, Any]]:
    return [each for each in results["rounds"] if each["server"] == server]


def _names(results: Results) -> list[str]:
    return list(dict.fromkeys(each["server"] for each in results["rounds"]))


def _protocol(results: Results) -> str:
    where, how = results["environment"], results["protocol"]
    return (
        f"{where['cores']} cores of {where['processor']}, shared with the clients ({where['wrk']}); Python "
        f"{where['python']}; commit {where['commit']}; {where['at'][:10]}. Medians of {how['rounds']} interleaved "
        f"rounds, {how['seconds']} s a measurement, 512 different images in turn, only one server at a time. Load "
        f"average before: {where['load_average']:.2f}."
    )


def _servers(results: Results) -> str:
    """A line a server, and under each that is not ours how many times its figures ours are."""
    connections = sorted({each["connections"] for rounds in results["rounds"] for each in rounds.get("closed", [])})
    columns = {
        f"requests/s at {', '.join(map(str, connections))}": [f"closed {count} per_second" for count in connections],
        "p50 / p99 at 1 (ms)": ["closed 1 p50_ms", "closed 1 p99_ms"],
        "p99 at 64, 256 (ms)": ["closed 64 p99_ms", "closed 256 p99_ms"],
        "CPU ms a request at 64": ["closed 64 cpu_ms"], "submit+poll done/s at 64": ["polled"],
        "submissions/s at 64": ["submitted"], "bulk images/s": ["bulk"], "idle PSS MB": ["memory"],
        "cores at rest": ["rest"], "start s": ["start_seconds"],
    }  # fmt: skip
    rows = [["server", *columns], ["---"] * (len(columns) + 1)]
    for name in _names(results):
        values = [[figure(results, name, each) for each in cell] for cell in columns.values()]
        rows.append([f"**{name}**" if name == PRODUCT else name, *(_cell(cell) for cell in values)])
    for name in (each for each in _names(results) if each != PRODUCT):
        ratios = [[_ratio(figure(results, PRODUCT, each), figure(results, name, each)) for each in cell]
                  for cell in columns.values()]  # fmt: skip
        rows.append([f"*ours / {name}*", *(_cell(cell, "×") for cell in ratios)])
    for name, reason in results["absent"].items():
        rows.append([name, f"not measured: {reason}", *[""] * (len(columns) - 1)])
    if (floor := figure(results, FLOOR, "")) is not None:
        rows.append(["*decode + inference, two processes, no HTTP*", *[""] * 6, _number(floor), *[""] * 3])
    return _markdown(rows)


def _loaded(results: Results) -> str:
    """Where the product's CPU goes, and how large its batches are."""
    loads = [each for one in _rounds(results, PRODUCT) for each in one.get("closed", [])]
    rows = [["connections", *(f"{part}, CPU ms" for part in _PARTS), "batch size p10 / p50 / p90 / largest",
             "not held, answered with 202"], ["---"] * (len(_PARTS) + 3)]  # fmt: skip
    for count in sorted({each["connections"] for each in loads}):
        found = [each for each in loads if each["connections"] == count]
        spent = [median(each["cpu_ms"].get(part, 0.0) for each in found) for part in _PARTS]
        batches = sorted(int(size) for each in found for size, many in each["batch_sizes"].items() for _ in range(many))
        quantiles = [batches[int(share * (len(batches) - 1))] for share in (0.1, 0.5, 0.9, 1)] if batches else [None]
        rows.append([str(count), *map(_number, spent), _cell(quantiles), str(sum(each["early"] for each in found))])
    return f"{PRODUCT} by part, waited predictions:\n\n{_markdown(rows)}"


def _idle(results: Results) -> str:
    """What the product's parts take when there is nothing to do."""
    mine = _rounds(results, PRODUCT)
    rows = [["part", "idle PSS MB", "cores at rest"], ["---"] * 3]
    for part in _PARTS:
        sizes = [one["memory"].get(part, 0.0) / 1e6 for one in mine if "memory" in one]
        cores = [one["rest_cores"].get(part, 0.0) for one in mine if "rest_cores" in one]
        rows.append([part, *(_number(median(values)) if values else "" for values in (sizes, cores))])
    return _markdown(rows)


def _open_loops(results: Results) -> str:
    rates = sorted({each["rate"] for one in results["rounds"] for each in one.get("open", [])})
    rows = [["p50 / p99 (ms) at offered requests/s", *map(str, rates)], ["---"] * (len(rates) + 1)]
    for name in _names(results):
        cells = []
        for rate in rates:
            found = [each for one in _rounds(results, name) for each in one.get("open", []) if each["rate"] == rate]
            medians = [median(each[field] for each in found) for field in ("p50_ms", "p99_ms")] if found else [None]
            cells.append(_cell(medians))
        rows.append([name, *cells])
    return f"Open loops:\n\n{_markdown(rows)}" if rates else ""


def _targets(results: Results) -> str:
    rows = [["figure", "ours", "must", "aim"], ["---"] * 4]
    for target in TARGETS:
        own = figure(results, PRODUCT, target.figure)
        rows.append([target.title, _number(own), *("; ".join(text for _, text in _judged(results, target, bounds))
                                                   for bounds in (target.must, target.aim))])  # fmt: skip
    verdict = "every “must” that could be judged is met" if met(results) else "some “must” is missed"
    return f"Targets ({verdict}):\n\n{_markdown(rows)}"


def _judged(results: Results, target: Target, bounds: tuple[Bound, ...]) -> Iterator[tuple[bool | None, str]]:
    own = figure(results, PRODUCT, target.figure)
    for bound in bounds:
        limit: float | None = bound.factor
        said = f"{'≥' if target.more else '≤'} {bound.factor:g}"
        if bound.of != FIXED:
            other = _best(results, bound, target)
            said += f" × {bound.of}" + (f"'s {bound.title}" if bound.title else "")
            limit = None if other is None else other * bound.factor
        if own is None or limit is None:
            yield (False if own is None else None), f"{said}: not measured"
            continue
        ok = own >= limit if target.more else own <= limit
        reached = own / limit * bound.factor
        yield ok, f"{said}: {'met' if ok else f'missed by {abs(own / limit - 1):.0%}'} ({reached:.3g})"


def _best(results: Results, bound: Bound, target: Target) -> float | None:
    """The figure of another server, whose name begins so; where it was measured with several settings, the best."""
    names = [FLOOR] if bound.of == FLOOR else [name for name in _names(results) if name.startswith(bound.of)]
    wanted = bound.figure or target.figure
    found = [value for name in names if (value := figure(results, name, wanted)) is not None]
    return (max if target.more else min)(found, default=None)


def _failures(results: Results) -> str:
    lines = [f"- {each['server']}, round {each['round'] + 1}: {failure[:500]}"
             for each in results["rounds"] for failure in each["failures"]]  # fmt: skip
    return "Failed:\n\n" + "\n".join(lines) if lines else ""


def _ratio(own: float | None, other: float | None) -> float | None:
    return own / other if own is not None and other else None


def _cell(values: Sequence[float | None], unit: str = "") -> str:
    if all(value is None for value in values):
        return ""
    return " / ".join(_number(value) + unit if value is not None else "–" for value in values)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
