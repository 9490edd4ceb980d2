"""How good answers to photographs are: by folder, where a shoe may be any of three classes, and hats are none.

NumPy only, so it judges any version that answers, with or without a network for photos.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets import CLASSES
from ml.evaluation import energy, probabilities, wilson_interval
from ml.photos import FOLDERS, Photos

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.uint8]

# Neighbours of a picture that is judged by its distance to those of training.
_NEAREST = 10


def labels(answers: Scores, accepted: NDArray[np.bool_]) -> Labels:
    """uint8 [n]: the class that counts as each photo's own, of answers [n, 10]: the likeliest of those accepted."""
    return np.asarray(np.where(accepted, answers, -np.inf).argmax(axis=1), np.uint8)


def by_folder(predicted: NDArray[np.integer[Any]], photos: Photos) -> dict[str, dict[str, Any]]:
    """For each folder: images, counts of the ten predicted classes, and where there is a right one, how many were."""
    folders, accepted = np.array(photos.folders), photos.accepted
    found: dict[str, dict[str, Any]] = {}
    for folder, classes in FOLDERS.items():
        here = folders == folder
        images = int(np.count_nonzero(here))
        found[folder] = {
            "images": images, "predicted": np.bincount(predicted[here], minlength=CLASSES).tolist(),
        }  # fmt: skip
        if classes and images:
            right = int(accepted[here, predicted[here]].sum())
            found[folder] |= {"right": right, "accuracy": right / images, "interval": wilson_interval(right, images)}
    return found


def overall(folders: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy over the folders whose garments are of one of the ten classes, with its 95 % interval."""
    judged = [row for row in folders.values() if "right" in row]
    right, images = sum(row["right"] for row in judged), sum(row["images"] for row in judged)
    return {
        "images": images, "right": right, "accuracy": right / max(images, 1),
        "accuracy_interval": wilson_interval(right, images) if images else (0.0, 1.0),
    }  # fmt: skip


def auroc(known: Scores, unknown: Scores) -> float:
    """Chance that something unknown scores higher than something known (a tie counts half)."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, "left") + np.searchsorted(ordered, unknown, "right")
    return float(below.mean() / (2 * len(known)))


def novelty_scores(
    logits: Scores, features: Scores, training: Scores, training_labels: Labels, temperature: float
) -> dict[str, Scores]:
    """Four scores [n], each higher for what is more novel; features [n, d] and those of training images [m, d]."""
    return {
        "max_softmax": -probabilities(logits.astype(np.float32), temperature).max(axis=1),
        "energy": energy(logits.astype(np.float32), temperature),
        "knn": _knn(features, training),
        "mahalanobis": _mahalanobis(features, training, training_labels),
    }


def _knn(features: Scores, training: Scores) -> Scores:
    """Sun et al., 2022 (arXiv:2204.06507): distance on the unit sphere to the tenth nearest training image."""
    unit, known = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for each in (features, training))
    nearest = min(_NEAREST, len(training))
    return np.asarray(-np.partition(unit @ known.T, len(training) - nearest, axis=1)[:, -nearest])


def _mahalanobis(features: Scores, training: Scores, training_labels: Labels) -> Scores:
    """Lee et al., 2018 (arXiv:1807.03888): squared distance to the nearest class mean under one covariance."""
    means = np.array([training[training_labels == each].mean(axis=0) for each in np.unique(training_labels)])
    centred = training - means[np.searchsorted(np.unique(training_labels), training_labels)]
    covariance = centred.T @ centred / len(training)
    covariance += 0.01 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    differences = features[:, None, :] - means
    return np.asarray(np.einsum("ncd,de,nce->nc", differences, np.linalg.inv(covariance), differences).min(axis=1))


def table(folders: Mapping[str, Mapping[str, Any]], novel: Mapping[str, float]) -> Sequence[str]:
    """Lines for people: a row for each folder, and one for all that are of a class. `novel`: share said to be so."""
    lines = [f"{'folder':<12}  right   95 % interval   novel  images   predicted (classes 0 to {CLASSES - 1})"]
    for name, row in folders.items():
        right = _share(row["accuracy"], row["interval"]) if "right" in row else " " * 23
        counts = " ".join(f"{count:4}" for count in row["predicted"])
        lines.append(f"{name:<12} {right} {novel[name]:6.1%} {row['images']:7,}   {counts}")
    total = overall(folders)
    share = _share(total["accuracy"], total["accuracy_interval"])
    return [*lines, f"{'all of a class':<12}{share}{total['images']:15,}"]


def _share(accuracy: float, interval: tuple[float, float]) -> str:
    return f"{accuracy:6.1%}  {interval[0]:6.1%} to {interval[1]:5.1%}"
