"""How the network for photographs is made: from a few photos in many renderings, together with Fashion-MNIST.

Everything is chosen on the photos for validation; those held out are looked at once, through the file that is served.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from ml import (
    evaluation, export, litert, neighbors, networks, novelty, photo_evaluation, photo_rendering,
    photos as photo_folders,
)  # fmt: skip
from ml.datasets import CLASSES, Dataset
from ml.images import CLASS_NAMES
from ml.keras_files import load_keras, to_keras
from ml.photo_evaluation import labels
from ml.photos import Photos, PhotoSplit
from ml.report import Served
from ml.spec import InvalidSpec, TrainingSpec
from ml.training import Trained, predict_logits, train

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Say = Callable[[str], None]

KERAS, FLOAT32, INT8 = "photos.keras", "photos.tflite", "photos.int8.tflite"
ARRAYS, NEIGHBORS = "photos.npz", "photos.neighbors.npz"

# Of so few photos one may be lost to int8 by chance.
INT8_PHOTOS_LOST: Final = 1
# Renderings of each photo that novelty is fitted on.
SEEN: Final = 6
_SOURCES: Final = ("garments.py", "photos.py", "photo_rendering.py", "photo_training.py", "training.py")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the network for photos, apart from the data. Kept in ml/shipped/photos/spec.json.

    cuts, views: each photo is rendered cuts x views times. plain, as_cut_out: how many of Fashion-MNIST's training
    images go in as they are, and as if cut out of photos. outliers: share of the renderings of garments of no class
    that go in, with labels drawn at random, so that the network learns to be unsure of them (outlier exposure,
    Hendrycks et al., 2019, arXiv:1812.04606). warm_start: whether the first stage starts from the weights of the
    network that labels the shoes. stages: training runs that follow each other; after each, shoes are labelled anew.
    """

    cuts: int
    views: int
    plain: int
    as_cut_out: int
    outliers: float
    warm_start: bool
    seed: int
    stages: tuple[TrainingSpec, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """Raises InvalidSpec."""
        names = {each.name for each in fields(cls)}
        if set(values) != names:
            raise InvalidSpec("recipe", f"needs exactly these fields: {', '.join(sorted(names))}.")
        stages = tuple(TrainingSpec.from_dict(stage) for stage in values["stages"])
        if not stages:
            raise InvalidSpec("stages", "must have at least one training spec.")
        return cls(**{**values, "stages": stages})

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values; from_dict turns it back."""
        return {**asdict(self), "stages": [stage.to_dict() for stage in self.stages]}


@dataclass(frozen=True, slots=True)
class Rendered:
    """Photos as networks see them: images uint8 [n, k, 28, 28], and the photos that they are of."""

    photos: Photos
    images: Images

    def of_a_class(self) -> "Rendered":
        """Those whose garment belongs to one of the ten classes."""
        return Rendered(self.photos.of_a_class(), self.images[self.photos.have_class])


def make(
    recipe: Recipe, split: PhotoSplit, fashion: Dataset, indexes: NDArray[np.intp], earlier: bytes,
    cache: Path | None = None, say: Say = print,
) -> export.Package:
    """Render, train, export and judge the network for photos.

    fashion: training images of Fashion-MNIST, which stand at `indexes` of the official file. earlier: the .keras file
    of a network trained on them, which tells which of three classes a shoe is. cache: a folder that keeps the
    renderings.
    Raises ExportFailed, TrainingDiverged, WrongBase.
    """
    training = Rendered(split.training, render(split.training, recipe, cache, say))
    validation = Rendered(split.validation, photo_rendering.as_served(split.validation)[:, None])
    say(f"{len(training.photos)} photos in {training.images.shape[1]} renderings each")
    teacher, base = _logits_of(load_keras(earlier)), earlier if recipe.warm_start else None
    history = []
    for number, spec in enumerate(recipe.stages, 1):
        mixed = mix(recipe, training, fashion, teacher)
        checked = labelled(validation.of_a_class(), teacher)
        trained = train(spec, mixed, checked, base=base, on_epoch=lambda row: say(_line(number, row)))
        base = to_keras(trained.model)
        history.append([asdict(row) for row in trained.history])
        teacher = _logits_of(trained.model)
    made = _package(recipe, trained, training, validation, split.held_out)
    made = export.Package({**made.files, NEIGHBORS: _neighbors(made, fashion, indexes)}, made.card)
    grown = made.card["training"] | {"fashion_mnist": fashion.digest, "images": len(mixed), "history": history}
    return export.Package(made.files, {**made.card, "training": grown})


def _neighbors(made: export.Package, fashion: Dataset, indexes: NDArray[np.intp]) -> bytes:
    _, features = litert.outputs(made.files[made.card["serving"]["artifact"]], fashion.images)
    assert features is not None  # or it could not have been fitted
    return neighbors.build(features, fashion.labels, indexes)


def _line(stage: int, row: Any) -> str:
    return f"stage {stage}, epoch {row.epoch}: loss {row.loss:.3f}, photos {row.val_accuracy:.1%}, {row.seconds:.0f} s"


def _logits_of(model: keras.Model) -> Callable[[Images], Floats]:
    return lambda images: predict_logits(model, images)


def render(photos: Photos, recipe: Recipe, cache: Path | None, say: Say) -> Images:
    """uint8 [n, cuts * views, 28, 28]; what is in the cache is taken from there."""
    parts = []
    for cut in range(recipe.cuts):
        seed = 1000 * recipe.seed + cut
        path = cache and cache / f"photos-{_key(photos, recipe.views, seed)}.npy"
        if path is not None and path.is_file():
            parts.append(np.load(path, allow_pickle=False))
            continue
        parts.append(photo_rendering.renderings(photos, recipe.views, seed))
        say(f"rendered {cut + 1} of {recipe.cuts}")
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, parts[-1], allow_pickle=False)
    return np.concatenate(parts, axis=1)


def _key(photos: Photos, views: int, seed: int) -> str:
    digest = hashlib.sha256(f"{views} {seed}".encode())
    for name in ("garments.py", "photo_rendering.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    for name, picture in zip(photos.names, photos.pictures, strict=True):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()[:16]


def labelled(rendered: Rendered, teacher: Callable[[Images], Floats]) -> Dataset:
    """All renderings of photos of a class, with its label: for shoes what the teacher says of all of them together."""
    count, each = rendered.images.shape[:2]
    flat = rendered.images.reshape(-1, 28, 28)
    accepted = rendered.photos.accepted
    answers = np.zeros((count, CLASSES))
    unsure = np.flatnonzero(accepted.sum(axis=1) > 1)
    if len(unsure):
        logits = teacher(rendered.images[unsure].reshape(-1, 28, 28))
        answers[unsure] = np.log(evaluation.probabilities(logits)).reshape(len(unsure), each, CLASSES).mean(axis=1)
    return Dataset(flat, np.repeat(labels(answers, accepted), each))


def mix(recipe: Recipe, training: Rendered, fashion: Dataset, teacher: Callable[[Images], Floats]) -> Dataset:
    """What the network is trained on."""
    rng = np.random.default_rng(recipe.seed)
    known = labelled(training.of_a_class(), teacher)
    unknown = training.images[~training.photos.have_class].reshape(-1, 28, 28)
    unknown = unknown[rng.random(len(unknown)) < recipe.outliers]
    drawn = fashion.take(rng.permutation(len(fashion))[: recipe.plain + recipe.as_cut_out])
    plain, cut_out = drawn.images[: recipe.plain], drawn.images[recipe.plain :]
    images = [known.images, plain, photo_rendering.as_if_cut_out(cut_out, recipe.seed), unknown]
    numbers = [known.labels, drawn.labels, rng.integers(0, CLASSES, len(unknown)).astype(np.uint8)]
    return Dataset(np.concatenate([part.reshape(-1, 28, 28) for part in images]), np.concatenate(numbers))


def _package(
    recipe: Recipe, trained: Trained, training: Rendered, validation: Rendered, held_out: Photos
) -> export.Package:
    model = trained.model
    files, serving = _choose_files(model, training, validation)
    served, aurocs = _fit(files[serving["artifact"]], training.of_a_class(), validation)
    if (arrays := novelty.save(served.detector)) is not None:
        files[ARRAYS] = arrays
    tested = Rendered(held_out, photo_rendering.as_served(held_out)[:, None])
    card = {
        "network": recipe.stages[-1].network,
        "parameters": model.count_params(),
        "macs": networks.count_macs(model),
        "classes": list(CLASS_NAMES),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "training": {
            "recipe": recipe.to_dict(),
            "split_seed": photo_folders.SPLIT_SEED,
            "photos": {
                name: _counts(part)
                for name, part in (("training", training.photos), ("validation", validation.photos), ("test", held_out))
            },
            "outliers": "Hats, shorts and skirts of the training part were shown with labels drawn at random, so the "
            "network has seen garments of these three kinds." if recipe.outliers else "none",
            "code": _code(),
        },
        "metrics": {"validation": metrics(served, validation), "test": metrics(served, tested)},
        "serving": serving,
        "calibration": served.calibration,
        "novelty": {**served.novelty, "validation_auroc": aurocs},
    }
    return export.Package(files, card)


def _fit(file: bytes, training: Rendered, validation: Rendered) -> tuple[Served, dict[str, float]]:
    """The network with the calibration and the novelty score that are best on validation photos; AUROC of each score
    there, of garments of no class against the ten."""
    known = validation.photos.have_class
    logits, features = litert.outputs(file, validation.images[:, 0])
    calibration = evaluation.fit_calibration(
        logits[known], labels(logits[known], validation.photos.accepted[known])
    )
    temperature = calibration["temperature"]
    some = training.images[:, :SEEN]
    seen_logits, seen = litert.outputs(file, some.reshape(-1, 28, 28))
    if features is None or seen is None:
        raise export.ExportFailed("The network for photos has no features to tell the novel by.")
    own = labels(seen_logits, np.repeat(training.photos.accepted, some.shape[1], axis=0))
    detectors = {name: novelty.fit(name, seen_logits, seen, own, temperature) for name in novelty.METHODS}
    scores = {name: each.score(logits, features, temperature) for name, each in detectors.items()}
    aurocs = {name: evaluation.auroc(each[known], each[~known]) for name, each in scores.items()}
    best = max(aurocs, key=lambda name: aurocs[name])
    described = evaluation.describe_novelty(best, scores[best][known])
    return Served(file, calibration, described, detectors[best]), aurocs


def _choose_files(
    model: keras.Model, training: Rendered, validation: Rendered
) -> tuple[dict[str, bytes], dict[str, Any]]:
    known = validation.of_a_class()
    images, accepted = known.images[:, 0], known.photos.accepted
    keras_file = to_keras(model)
    reloaded = load_keras(keras_file)
    files = {KERAS: keras_file, FLOAT32: export.to_litert(reloaded)}
    expected, found = predict_logits(model, images), litert.logits(files[FLOAT32], images)
    difference = float(np.abs(expected - found).max())
    if difference > export.FLOAT32_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise export.ExportFailed(f"Keras and LiteRT differ by {difference:.2g} in a logit of the validation photos.")
    int8 = export.to_litert_int8(reloaded, training.images.reshape(-1, 28, 28))
    right = {
        FLOAT32: _right(found, accepted), INT8: _right(litert.logits(int8, images), accepted),
    }  # fmt: skip
    served = FLOAT32
    if right[FLOAT32] - right[INT8] <= INT8_PHOTOS_LOST:
        files[INT8], served = int8, INT8
    return files, {
        "artifact": served,
        "largest_logit_difference": difference,
        "validation_accuracy": {name: count / len(images) for name, count in right.items()},
    }


def _right(logits: Floats, accepted: NDArray[np.bool_]) -> int:
    return int(accepted[np.arange(len(logits)), logits.argmax(axis=1)].sum())


def metrics(served: Served, rendered: Rendered) -> dict[str, Any]:
    """What the card says of one part of the photos; accuracy, loss and calibration are of those of a class."""
    answer = served.answer(rendered.images[:, 0])
    known = rendered.photos.have_class
    own = labels(answer.logits[known], rendered.photos.accepted[known])
    folders = photo_evaluation.by_folder(answer.logits.argmax(axis=1), rendered.photos)
    novel = answer.novelty > np.float32(served.novelty["threshold"])
    return photo_evaluation.overall(folders) | {
        "loss": evaluation.negative_log_likelihood(answer.logits[known], own),
        "ece": evaluation.expected_calibration_error(answer.logits[known], own),
        "by_folder": folders,
        "novelty_auroc": evaluation.auroc(answer.novelty[known], answer.novelty[~known]),
        "flagged": float(novel[~known].mean()),
        "flagged_known": float(novel[known].mean()),
    }


def _counts(photos: Photos) -> dict[str, int]:
    return {folder: photos.folders.count(folder) for folder in photo_folders.FOLDERS}


def _code() -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


def read_recipe(path: Path) -> Recipe:
    """The recipe in a JSON file. Raises InvalidSpec, OSError."""
    try:
        return Recipe.from_dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise error if isinstance(error, InvalidSpec) else InvalidSpec("recipe", f"{path} is not JSON: {error}.")
