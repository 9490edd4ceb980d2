"""Which novelty score to serve: all of them on one network, on pictures that no reported figure rests on.

`python -m ml novelty` prints it. Known pictures are the validation images; the others are drawn from the choosing seed,
or are photos of the validation part.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml import evaluation, litert, novelty, outliers
from ml.datasets import Split
from ml.novelty import Detector

Images = NDArray[np.uint8]

BATCHES: Final = (64, 1)
_REPEATS: Final = 9


class Row(NamedTuple):
    """A method: AUROC and share flagged for each set, and its CPU time as a share of inference, by batch size."""

    method: str
    auroc: Mapping[str, float]
    flagged: Mapping[str, float]
    cost: Mapping[int, float]


def compare(file: bytes, data: Split, more: Mapping[str, Images], count: int = 2000) -> list[Row]:
    """A row for each method, for a LiteRT file with features. `more`: further sets of pictures of no class."""
    logits, features = litert.outputs(file, data.validation.images)
    seen_logits, seen = litert.outputs(file, data.training.images)
    if features is None or seen is None:
        raise ValueError("This version's files have no features to compare scores on: export it again.")
    temperature = evaluation.fit_temperature(logits, data.validation.labels)
    drawn = {name: outliers.draw(name, count, outliers.CHOOSING_SEED) for name in outliers.SETS}
    sets = {name: litert.outputs(file, images) for name, images in {**drawn, **more}.items()}
    inference = {size: _seconds(litert.runner(file, data.validation.images[:size])) for size in BATCHES}
    rows = []
    for method in novelty.METHODS:
        detector = novelty.fit(method, seen_logits, seen, data.training.labels, temperature)
        known = detector.score(logits, features, temperature)
        strange = {name: detector.score(*outputs, temperature) for name, outputs in sets.items()}
        cost = {
            size: _seconds(_scorer(detector, logits[:size], features[:size], temperature)) / inference[size]
            for size in BATCHES
        }
        threshold = np.quantile(known, evaluation.NOVELTY_THRESHOLD)
        rows.append(Row(
            method,
            {name: evaluation.auroc(known, scores) for name, scores in strange.items()},
            {name: float(np.mean(scores > threshold)) for name, scores in strange.items()},
            cost,
        ))
    return rows


def _scorer(detector: Detector, logits: Any, features: Any, temperature: float) -> Callable[[], Any]:
    return lambda: detector.score(logits, features, temperature)


def _seconds(call: Callable[[], Any]) -> float:
    """CPU time of one call: the median of several runs, so that other work on the machine matters little."""
    call()
    found = []
    for _ in range(_REPEATS):
        started = time.process_time()
        for _ in range(50):
            call()
        found.append((time.process_time() - started) / 50)
    return float(np.median(found))


def render(rows: list[Row]) -> str:
    """A line for each method: AUROC / share flagged for each set, and what it costs."""
    sets = list(rows[0].auroc)
    costs = "".join(f"{f'cost at {size}':>13}" for size in BATCHES)
    lines = [f"{'AUROC/flagged':<21}" + "".join(f"{name:>13}" for name in sets) + costs]
    for row in rows:
        cells = "".join(f"{f'{row.auroc[name]:.3f}/{row.flagged[name]:.0%}':>13}" for name in sets)
        lines.append(f"{row.method:<21}{cells}" + "".join(f"{row.cost[size]:>13.1%}" for size in BATCHES))
    return "\n".join(lines)
