"""How good logits are, in numbers: accuracy, calibration, novelty, and the model card that carries them.

NumPy only, so it judges a Keras model and its LiteRT export alike.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.calibration import calibrated, fit_sharpness
from ml.datasets import CLASSES
from ml.images import CLASS_NAMES

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

ECE_BINS: Final = 15
NOVELTY_THRESHOLD: Final = 0.95
# With fewer validation images than this, what is finer than a temperature cannot be told from noise.
ENOUGH_IMAGES: Final = 1000


def accuracy(logits: Floats, labels: Labels) -> float:
    """Share of images whose highest logit is their label's."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def negative_log_likelihood(logits: Floats, labels: Labels, temperature: float = 1.0) -> float:
    """Mean cross-entropy in nats of softmax(logits / temperature)."""
    scaled = logits.astype(np.float64) / temperature
    return float(np.mean(_log_sum_exp(scaled) - scaled[np.arange(len(labels)), labels]))


def _log_sum_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = values.max(axis=1)
    result: NDArray[np.float64] = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1))
    return result


def confusion_matrix(logits: Floats, labels: Labels) -> NDArray[np.int64]:
    """Counts [10, 10]: a row for each true class, a column for each predicted one."""
    places = labels.astype(np.int64) * CLASSES + logits.argmax(axis=1)
    return np.bincount(places, minlength=CLASSES * CLASSES).reshape(CLASSES, CLASSES)


def per_class(confusion: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Precision, recall and number of images of each class; a share of nothing is 0."""
    right = np.diag(confusion)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    return [
        {
            "class_id": index,
            "label": CLASS_NAMES[index],
            "precision": round(float(precision[index]), 4),
            "recall": round(float(recall[index]), 4),
            "images": int(confusion[index].sum()),
        }
        for index in range(CLASSES)
    ]


def reliability(logits: Floats, labels: Labels, temperature: float = 1.0) -> list[dict[str, float]]:
    """The reliability diagram: mean confidence, accuracy and size of ECE_BINS bins of equal mass, least sure first."""
    confidence = probabilities(logits, temperature).max(axis=1)
    right = logits.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    return [
        {
            "confidence": round(float(confidence[places].mean()), 5),
            "accuracy": round(float(right[places].mean()), 5),
            "images": len(places),
        }
        for places in np.array_split(order, ECE_BINS)
        if len(places)
    ]


def expected_calibration_error(logits: Floats, labels: Labels, temperature: float = 1.0) -> float:
    """Mean distance of confidence and accuracy over bins of equal mass (Nguyen and O'Connor, 2015)."""
    bins = reliability(logits, labels, temperature)
    return sum(each["images"] * abs(each["confidence"] - each["accuracy"]) for each in bins) / len(labels)


def probabilities(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """softmax(logits / temperature), float64 [n, 10]."""
    scaled = logits.astype(np.float64) / temperature
    result: NDArray[np.float64] = np.exp(scaled - _log_sum_exp(scaled)[:, None])
    return result


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature from 0.05 to 20 of lowest negative log-likelihood (Guo et al., 2017)."""
    # Convex in 1/temperature, so golden-section search finds the one minimum.
    low, high = 0.05, 20.0
    golden = (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if negative_log_likelihood(logits, labels, 1 / left) < negative_log_likelihood(logits, labels, 1 / right):
            high = right
        else:
            low = left
    return 2 / (low + high)


def fit_calibration(logits: Floats, labels: Labels) -> dict[str, Any]:
    """The card's "calibration", from validation logits of the file that will be served."""
    temperature = fit_temperature(logits, labels)
    fitted: dict[str, Any] = {"temperature": temperature}
    if len(labels) >= ENOUGH_IMAGES and _sharpness_helps(logits, labels, temperature):
        fitted |= fit_sharpness(logits, labels, temperature)
    after = calibrated(logits, fitted)
    return fitted | {
        "bins": "15 of equal mass",
        "ece_before": expected_calibration_error(logits, labels),
        "ece_after": expected_calibration_error(after, labels),
        "reliability": reliability(after, labels),
    }


def _sharpness_helps(logits: Floats, labels: Labels, temperature: float) -> bool:
    """Whether it calibrates images that it was not fitted on better than the temperature does these, at no more loss.

    By five times five-fold cross-validation. The temperature has seen all the images, which favours it a little.
    """
    errors, losses = [], []
    for seed in range(5):
        fold = np.random.default_rng(seed).permutation(len(labels)) % 5
        after = np.empty_like(logits)
        for out in (fold == each for each in range(5)):
            fitted = {"temperature": temperature, **fit_sharpness(logits[~out], labels[~out], temperature)}
            after[out] = calibrated(logits[out], fitted)
        errors.append(expected_calibration_error(after, labels))
        losses.append(negative_log_likelihood(after, labels))
    error = expected_calibration_error(logits, labels, temperature)
    return bool(np.mean(errors) < error and np.mean(losses) <= negative_log_likelihood(logits, labels, temperature))


def describe_novelty(method: str, scores: Floats) -> dict[str, Any]:
    """The card's "novelty", from the scores [n] of validation images, of which the threshold keeps 95 %."""
    quantiles = np.quantile(scores.astype(np.float64), np.linspace(0, 1, 101))
    return {
        "score": method,
        "quantiles": [float(each) for each in quantiles],
        "threshold": NOVELTY_THRESHOLD,
    }


def auroc(known: Floats, strange: Floats) -> float:
    """The chance that a strange picture scores higher than a known one; equal scores count half (Hanley and McNeil,
    1982). Scores [n] and [m]."""
    values, places, counts = np.unique(np.concatenate([known, strange]), return_inverse=True, return_counts=True)
    # The mean rank of each value, counted from 1.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    wins = ranks[len(known) :].sum() - len(strange) * (len(strange) + 1) / 2
    return float(wins / (len(known) * len(strange)))


def false_positive_rate(known: Floats, strange: Floats, kept: float = 0.95) -> float:
    """Share of strange pictures that pass for known at the score below which a share `kept` of the known ones lies.

    At 0.95 this is the literature's FPR at 95 % TPR.
    """
    return float(np.mean(strange <= np.quantile(known, kept, method="higher")))


def metrics(logits: Floats, labels: Labels, temperature: float = 1.0) -> dict[str, Any]:
    """What the card says of one part of the data. `loss` is the negative log-likelihood at this temperature."""
    confusion = confusion_matrix(logits, labels)
    return {
        "images": len(labels),
        "accuracy": accuracy(logits, labels),
        "accuracy_interval": wilson_interval(int(np.trace(confusion)), len(labels)),
        "loss": negative_log_likelihood(logits, labels, temperature),
        "ece": expected_calibration_error(logits, labels, temperature),
        "per_class": per_class(confusion),
        "confusion_matrix": confusion.tolist(),
    }


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy (Wilson, 1927)."""
    z = 1.959964
    share = right / images
    centre = (share + z * z / (2 * images)) / (1 + z * z / images)
    margin = z * (share * (1 - share) / images + z * z / (4 * images**2)) ** 0.5 / (1 + z * z / images)
    return centre - margin, centre + margin
