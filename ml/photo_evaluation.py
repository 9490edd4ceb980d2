"""How good answers to photographs are: by folder, where a shoe may be any of three classes, and hats are none.

NumPy only, so it judges any version that answers, with or without a network for photos.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.datasets import CLASSES
from ml.evaluation import wilson_interval
from ml.photos import FOLDERS, Photos

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.uint8]


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
