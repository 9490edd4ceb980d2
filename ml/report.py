"""What a version is worth on pictures that it was not made from: the part of its card that speaks of test data.

`python -m ml evaluate` prints the same, so that the two cannot differ. Without TensorFlow, through the files served.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ml import corruptions, evaluation, levels, litert, neighbors, novelty, outliers
from ml.calibration import calibrated
from ml.datasets import Dataset, Split
from ml.novelty import Detector
from ml.photo_rendering import as_served
from ml.photos import Photos

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Read = Callable[[str], bytes | None]  # the content of a version's file by its name; nothing where there is none
Track = Callable[[Sequence["_Task"]], Iterable["_Task"]]

NOVELTY, NEIGHBORS = "novelty.npz", "neighbors.npz"

OUTLIERS: Final = 2000  # pictures of each set
FEW_OUTLIERS: Final = 200
CORRUPTED: Final = 2000  # test images that are corrupted, the same ones each time


class Answer(NamedTuple):
    """Calibrated logits [n, 10], and novelty [n] from 0 to 1."""

    logits: Floats
    novelty: Floats


@dataclass(frozen=True, slots=True)
class Served:
    """A network as it is served: its LiteRT file, and what its card says to do with what comes out."""

    file: bytes
    calibration: Mapping[str, Any]
    novelty: Mapping[str, Any]
    detector: Detector
    levels: Mapping[str, Any] | None = None

    @classmethod
    def open(cls, card: Mapping[str, Any], read: Read, arrays: str = NOVELTY) -> Self:
        """The network of a card. Raises ValueError for a file that is missing."""
        file = read(name := card["serving"]["artifact"])
        if file is None:
            raise ValueError(f"The version lacks {name}, which its card says is served.")
        detector = novelty.load(card["novelty"]["score"], read(arrays))
        return cls(file, card["calibration"], card["novelty"], detector, card.get("levels"))

    def answer(self, images: Images) -> Answer:
        """What the service would say of uint8 images [n, 28, 28]."""
        logits, features = litert.outputs(self.file, levels.restored(images, self.levels))
        scores = self.detector.score(logits, features, self.calibration["temperature"])
        quantiles = self.novelty["quantiles"]
        shares = np.interp(scores, np.asarray(quantiles, np.float32), np.linspace(0, 1, len(quantiles)))
        return Answer(calibrated(logits, self.calibration), shares.astype(np.float32))

    def flagged(self, answer: Answer) -> float:
        """Share of pictures that are said to be none of the ten classes."""
        return float(np.mean(answer.novelty > np.float32(self.novelty["threshold"])))


def fit(file: bytes, data: Split) -> tuple[Served, dict[str, bytes]]:
    """A LiteRT file with what its answers need, fitted on training and validation images, and the files of that."""
    common = levels.in_common(data.training.images)
    logits, features = litert.outputs(file, levels.restored(data.validation.images, common))
    calibration = evaluation.fit_calibration(logits, data.validation.labels)
    temperature = calibration["temperature"]
    seen_logits, seen = litert.outputs(file, data.training.images)
    if seen is None or features is None or not np.isfinite(seen).all():
        detector = novelty.load(novelty.WITHOUT_FEATURES, None)
    else:
        detector = novelty.fit(novelty.DEFAULT, seen_logits, seen, data.training.labels, temperature)
    scores = detector.score(logits, features, temperature)
    files = {NOVELTY: novelty.save(detector)}
    if seen is not None and data.indexes is not None:
        files[NEIGHBORS] = neighbors.build(seen, data.training.labels, data.indexes)
    served = Served(file, calibration, evaluation.describe_novelty(detector.method, scores), detector, common)
    return served, {name: content for name, content in files.items() if content is not None}


class _Task(NamedTuple):
    part: str
    name: str
    images: Callable[[], Images]


def report(
    served: Served,
    test: Dataset,
    *,
    full: bool,
    track: Track = iter,
) -> dict[str, Any]:
    """Figures of a network: {"test", "novelty", and if full "robustness"}.

    A report that is not full takes a few seconds: it draws fewer outliers and corrupts nothing. `track` wraps the
    list of what there is to do, for a progress bar.
    """
    count = OUTLIERS if full else FEW_OUTLIERS
    tasks = [_Task("test", "", lambda: test.images)]
    tasks += [_Task("outliers", name, _outliers(name, count)) for name in outliers.SETS]
    some = test.take(_regular(len(test), CORRUPTED))
    tasks += [
        _Task(name, str(severity), _corrupted(some.images, name, severity))
        for name in (corruptions.CORRUPTIONS if full else ())
        for severity in range(1, corruptions.SEVERITIES + 1)
    ]
    answers: dict[tuple[str, str], Answer] = {}
    for task in track(tasks):
        answers[task.part, task.name] = served.answer(task.images())
    on_test = answers["test", ""]
    sets = {name: answer for (part, name), answer in answers.items() if part == "outliers"}
    found = {
        "test": evaluation.metrics(on_test.logits, test.labels) | {
            "reliability": evaluation.reliability(on_test.logits, test.labels)
        },
        "novelty": _novelty(served, on_test, sets),
    }
    if full:
        found["robustness"] = _robustness(answers, some.labels)
    return found


def _outliers(name: str, count: int) -> Callable[[], Images]:
    return lambda: outliers.draw(name, count, outliers.REPORTING_SEED)


def _corrupted(images: Images, name: str, severity: int) -> Callable[[], Images]:
    return lambda: corruptions.corrupt(images, name, severity)


def _regular(images: int, wanted: int) -> NDArray[np.intp]:
    return np.arange(0, images, max(1, images // wanted))


def _novelty(served: Served, known: Answer, sets: Mapping[str, Answer]) -> dict[str, Any]:
    """`flagged_known`: share of the known pictures that are wrongly flagged; the others have an entry for each set."""
    return {
        "auroc": {name: evaluation.auroc(known.novelty, each.novelty) for name, each in sets.items()},
        "fpr95": {name: evaluation.false_positive_rate(known.novelty, each.novelty) for name, each in sets.items()},
        "flagged": {name: served.flagged(each) for name, each in sets.items()},
        "flagged_known": served.flagged(known),
        "images": {name: len(each.novelty) for name, each in sets.items()},
    }


def _robustness(answers: Mapping[tuple[str, str], Answer], labels: NDArray[np.uint8]) -> dict[str, Any]:
    table = {
        name: {
            "strength": corruption.meaning,
            "strengths": list(corruption.strengths),
            "accuracy": [
                evaluation.accuracy(answers[name, str(severity)].logits, labels)
                for severity in range(1, corruptions.SEVERITIES + 1)
            ],
        }
        for name, corruption in corruptions.CORRUPTIONS.items()
    }
    mean = float(np.mean([row["accuracy"] for row in table.values()]))
    return {"images": len(labels), "mean_accuracy": mean, "corruptions": table}


def report_photos(network: Served, photos: Photos) -> dict[str, Any]:
    """Accuracy on photos of the ten classes, and novelty of the others against theirs.

    `network`: the one that answers photos, which is the version's own for them where it has one.
    """
    answer = network.answer(as_served(photos))
    accepted, folders = photos.accepted, np.array(photos.folders)
    known = accepted.any(axis=1)
    right = accepted[np.arange(len(photos)), answer.logits.argmax(axis=1)]
    strange = {
        str(name): Answer(answer.logits[folders == name], answer.novelty[folders == name])
        for name in np.unique(folders[~known])
    }
    return {
        "images": int(known.sum()),
        "accuracy": float(right[known].mean()),
        "accuracy_interval": evaluation.wilson_interval(int(right[known].sum()), int(known.sum())),
        "per_folder": {str(name): float(right[folders == name].mean()) for name in np.unique(folders[known])},
        "novelty": _novelty(network, Answer(answer.logits[known], answer.novelty[known]), strange),
    }
