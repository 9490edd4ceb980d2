"""Pictures of results, in an environment of its own, as nothing else needs Matplotlib.

    draw.py latency|swap|scaling|soak RESULTS.json PICTURE.png
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

# Okabe and Ito's colours, which people with any colour vision tell apart; the first is ours.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")


def latency(results: dict) -> None:
    """Left: requests a second by connections (closed loop). Right: latency by offered rate (open loop)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    names = list(dict.fromkeys(each["server"] for each in results["rounds"]))
    others = [(colour, marker) for marker in "osv" for colour in COLOURS[1:]]
    for name, (colour, marker) in zip(names, [(COLOURS[0], "o"), *others[: len(names) - 1]], strict=True):
        width = 2.4 if name == names[0] else 1.4
        rounds = [each for each in results["rounds"] if each["server"] == name]
        counts, rates = _medians(rounds, "closed", "connections", "per_second")
        left.plot(counts, rates, marker=marker, color=colour, linewidth=width, label=name)
        for field, style in (("p99_ms", "-"), ("p50_ms", ":")):
            offered, took = _medians(rounds, "open", "rate", field)
            right.plot(offered, took, style, marker=marker, markersize=3, color=colour, linewidth=width)
    left.set_xscale("log", base=2)
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.set_ylim(bottom=0)
    _describe(left, "Closed loop", "connections", "requests answered a second")
    right.set_yscale("log")
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _describe(right, "Open loop: p99 (solid), p50 (dotted)", "requests offered a second", "ms from the intended start")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(names)), frameon=False)


def swap(results: dict) -> None:
    """Latency of every request over time, with the moments at which the production model was changed."""
    figure, panels = plt.subplots(2, 1, figsize=(11, 5.2), sharex=True, sharey=True, layout="constrained")
    for axes, run in zip(panels, results["runs"], strict=True):
        seconds, took = zip(*run["requests"], strict=True)
        axes.scatter(seconds, took, s=2, color=COLOURS[1], linewidths=0, rasterized=True)
        for moment in run["swaps"]:
            axes.axvline(moment, color=COLOURS[0], linewidth=0.8)
        swapped = f"{len(run['swaps'])} swaps (lines)" if run["swaps"] else "no swap, one version after the other"
        figures = f"p50 {run['p50_ms']:.1f} ms, p99 {run['p99_ms']:.1f} ms, none of {len(took):,} requests failed"
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _describe(axes, f"{swapped}: {figures}", "", "ms")
    panels[-1].set_xlabel(f"seconds, at {results['rate']:g} requests/s")


def scaling(results: dict) -> None:
    """Waited predictions a second by web processes and workers, and what of that is the model's word."""
    _, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    by_workers = defaultdict(list)
    for each in results["runs"]:
        by_workers[each["workers"]].append((each["web_processes"], each["per_second"]))
    for (workers, points), colour in zip(sorted(by_workers.items()), COLOURS, strict=False):
        axes.plot(*zip(*sorted(points), strict=True), marker="o", color=colour, label=f"workers: {workers}")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _describe(axes, f"{results['cores']} cores, shared with the clients", "web processes", "predictions a second")


def soak(results: dict) -> None:
    """Above: latency by window. Below: memory of each part, and what Redis counts as used."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(11, 6), sharex=True, layout="constrained")
    minutes = [each["second"] / 60 for each in results["windows"]]
    for field, colour in (("p99_ms", COLOURS[0]), ("p50_ms", COLOURS[1])):
        above.plot(minutes, [each[field] for each in results["windows"]], color=colour, label=field[:3])
    above.set_yscale("log")
    above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    above.legend(frameon=False, ncols=2)
    failed = "; ".join(results["errors"]) or "none failed"
    _describe(above, f"{results['answered']:,} waited predictions at {results['rate']:.0f}/s, production changed every "
              f"second: {failed}", "", "ms from the intended start")  # fmt: skip
    minutes = [each["second"] / 60 for each in results["samples"]]
    for part, colour in zip(results["samples"][0]["pss"], COLOURS, strict=False):
        below.plot(minutes, [each["pss"].get(part, 0) / 1e6 for each in results["samples"]], color=colour, label=part)
    counted = [each["redis"] / 1e6 for each in results["samples"]]
    below.plot(minutes, counted, ":", color=COLOURS[0], label="redis, as it counts")
    below.set_ylim(bottom=0)
    figure.legend(*below.get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    _describe(below, "Memory (PSS); records live for a minute", "minutes", "MB")


def _medians(rounds: list[dict], kind: str, by: str, field: str) -> tuple[list[float], list[float]]:
    values = defaultdict(list)
    for each in (each for one in rounds for each in one.get(kind, [])):
        values[each[by]].append(each[field])
    return sorted(values), [median(values[key]) for key in sorted(values)]


def _describe(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    kind, source, picture = sys.argv[1:]
    {"latency": latency, "swap": swap, "scaling": scaling, "soak": soak}[kind](json.loads(Path(source).read_text()))
    plt.savefig(picture, dpi=130)
    print(f"Drawn: {picture}")
