"""Whether one model beats another on the same images, or only had luck; NumPy and what is served, no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from ml.evaluation import wilson_interval

Right = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models, by their places: images that only the first, and only the second got right, and McNemar's p."""

    first: int
    second: int
    only_first: int
    only_second: int
    p_value: float


def mcnemar(only_first: int, only_second: int) -> float:
    """The chance of a difference at least as large, were both models equally good (McNemar, 1947; exact, two-sided).

    Takes how many images only the first, and only the second model got right.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(n, k) for k in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**n))


def differences(right: Sequence[Right]) -> list[Difference]:
    """Every pair of models, from which images [n] each of them got right."""
    found = []
    for first, second in combinations(range(len(right)), 2):
        only_first = int(np.count_nonzero(right[first] & ~right[second]))
        only_second = int(np.count_nonzero(right[second] & ~right[first]))
        found.append(Difference(first, second, only_first, only_second, mcnemar(only_first, only_second)))
    return found


def render(names: Sequence[str], right: Sequence[Right]) -> str:
    """Accuracy of each model, mean and standard deviation over them, and McNemar's test of each pair, as text."""
    wide = max(len("mean"), *map(len, names))
    lines = [f"{'':<{wide}}  accuracy   95 % interval       images"]
    for name, each in zip(names, right, strict=True):
        low, high = wilson_interval(int(each.sum()), len(each))
        lines.append(f"{name:<{wide}}  {each.mean():8.2%}   {low:.2%} to {high:.2%} {len(each):8,}")
    if len(right) > 1:
        shares = [float(each.mean()) for each in right]
        lines.append(f"{'mean':<{wide}}  {mean(shares):8.2%}   ± {stdev(shares) * 100:.2f} points (standard deviation)")
    lines += [
        f"{names[each.first]} against {names[each.second]}: {each.only_first} images only the first got right, "
        f"{each.only_second} only the second; p = {each.p_value:.2g} (McNemar)"
        for each in differences(right)
    ]
    return "\n".join(lines)
