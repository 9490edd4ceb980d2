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


def fit_sharpness(logits: Floats, labels: Labels, temperature: float) -> dict[str, Any]:
    """"sharpness" and "largest_lead" of lowest negative log-likelihood; nothing if they came out as nonsense.

    `temperature`: the best one, from which the search starts.
    """
    values = logits.astype(np.float64) / temperature
    lead = _lead(values)
    basis = _powers(lead)
    own = values[np.arange(len(labels)), labels]
    factors: NDArray[np.float64] = np.eye(3)[0]
    # Newton's method: scaled logits are linear in the three factors, so the loss is convex in them.
    for _ in range(12):
        chances = _softmax(values * (basis @ factors)[:, None])
        mean = (chances * values).sum(axis=1)
        variance = (chances * values**2).sum(axis=1) - mean**2
        curvature = (basis * variance[:, None]).T @ basis + 1e-6 * np.eye(3)
        factors = factors - np.linalg.solve(curvature, basis.T @ (mean - own))
    if not (_powers(np.linspace(0, lead.max(), 100)) @ factors).min() >= _LEAST:
        return {}
    # Back from logits that were divided by the temperature to those that the network gives.
    factors /= temperature ** np.arange(1, 4)
    return {"sharpness": [float(each) for each in factors], "largest_lead": float(lead.max()) * temperature}


def _lead(logits: Floats) -> Any:
    first = np.partition(logits, -2, axis=1)
    return first[:, -1] - first[:, -2]


def _powers(lead: Floats) -> NDArray[np.float64]:
    return np.stack([np.ones_like(lead), lead, lead**2], axis=1).astype(np.float64)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
