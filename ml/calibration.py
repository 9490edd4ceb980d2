"""From logits to probabilities that mean what they say.

One temperature for all pictures (Guo et al., 2017) leaves the doubtful ones too sure where a network was trained with
smoothed labels. So the factor on the logits may depend on how far the first class is ahead of the second, as in
parameterized temperature scaling (Tomani et al., 2022, arXiv:2102.12182). The order of classes stays.

NumPy only, because the prediction worker answers with it.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.uint8]

# With fewer validation images three numbers cannot be told from noise.
ENOUGH_IMAGES: Final = 1000
_FOLDS: Final = 5
_LEAST: Final = 0.1  # a factor below this is no calibration but a bad fit


def calibrated(logits: NDArray[np.float32], calibration: Mapping[str, Any]) -> NDArray[np.float32]:
    """Logits [n, 10] whose softmax is calibrated, by the "calibration" of a card.

    They are multiplied by a + b·m + c·m², where a, b, c are its "sharpness" and m is the lead of the first class over
    the second, at most its "largest_lead"; without these they are divided by its "temperature".
    """
    if "sharpness" not in calibration:
        return np.asarray(logits / np.float32(calibration["temperature"]), np.float32)
    lead = np.minimum(_lead(logits), np.float32(calibration["largest_lead"]))
    constant, linear, square = map(np.float32, calibration["sharpness"])
    return np.asarray(logits * (constant + lead * (linear + lead * square))[:, None], np.float32)


def fit_sharpness(logits: Floats, labels: Labels) -> dict[str, Any]:
    """"sharpness" and "largest_lead" of lowest negative log-likelihood, or nothing where one temperature does as well.

    Which is better is found out by cross-validation.
    """
    if len(labels) < ENOUGH_IMAGES:
        return {}
    values = logits.astype(np.float64)
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS

    def held_out_loss(powers: int) -> float:
        losses = np.zeros(len(labels))
        for each in range(_FOLDS):
            out = fold == each
            losses[out] = _losses(values[out], labels[out], _fit(values[~out], labels[~out], powers))
        return float(losses.mean())

    if not held_out_loss(3) < held_out_loss(1):
        return {}
    sharpness, largest = _fit(values, labels, 3), float(_lead(values).max())
    if _powers(np.linspace(0, largest, 100), 3).dot(sharpness).min() < _LEAST:
        return {}
    return {"sharpness": [float(each) for each in sharpness], "largest_lead": largest}


def _lead(logits: Floats) -> Any:
    first = np.partition(logits, -2, axis=1)
    return first[:, -1] - first[:, -2]


def _powers(lead: Floats, count: int) -> NDArray[np.float64]:
    return np.stack([lead**power for power in range(count)], axis=1).astype(np.float64)


def _fit(logits: NDArray[np.float64], labels: Labels, powers: int) -> NDArray[np.float64]:
    """Newton's method: the scaled logits are linear in the factors, so the loss is convex in them."""
    basis = _powers(_lead(logits), powers)
    factors = np.eye(powers)[0]
    own = logits[np.arange(len(labels)), labels]
    for _ in range(12):
        chances = _softmax(logits * (basis @ factors)[:, None])
        mean = (chances * logits).sum(axis=1)
        variance = (chances * logits**2).sum(axis=1) - mean**2
        curvature = (basis * variance[:, None]).T @ basis + 1e-6 * np.eye(powers)
        factors = factors - np.linalg.solve(curvature, basis.T @ (mean - own))
    return factors


def _losses(logits: NDArray[np.float64], labels: Labels, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = logits * (_powers(_lead(logits), len(factors)) @ factors)[:, None]
    return np.asarray(-np.log(np.maximum(_softmax(scaled)[np.arange(len(labels)), labels], 1e-30)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
