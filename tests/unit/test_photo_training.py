"""The network for photos: what it learns from, and what comes out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml import datasets, networks, photos
from ml.__main__ import main
from ml.datasets import Dataset
from ml.export import litert_logits
from ml.keras_files import to_keras
from ml.photo_rendering import as_served
from ml.photo_training import Recipe, Rendered, labelled, make, mix, read_recipe, render
from ml.spec import InvalidSpec
from photo_folders import fill

# Keras loads its own files in a way that NumPy 2 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
TINY = {"stem": 8, "width": 8, "blocks_14": 1, "blocks_7": 1}
STAGE = {"epochs": 1, "batch_size": 32, "hyperparameters": TINY}
VALUES: dict[str, Any] = {
    "cuts": 1, "views": 2, "plain": 20, "as_cut_out": 30, "outliers": 0.5, "warm_start": True, "seed": 1,
    "stages": [STAGE, STAGE],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("photos"), 6)


@pytest.fixture(scope="module")
def split(folder: Path) -> photos.PhotoSplit:
    return photos.split(photos.load_photos(folder))


@pytest.fixture(scope="module")
def fashion() -> Dataset:
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return Dataset(images, labels)


def sneakers(images: np.ndarray) -> np.ndarray:
    """A teacher to whom everything is a bag, but rather a sneaker than a sandal."""
    return np.tile(np.eye(10, dtype=np.float32)[7] + 2 * np.eye(10, dtype=np.float32)[8], (len(images), 1))


def test_renderings_have_their_photos_class_and_shoes_the_one_that_the_teacher_prefers(
    split: photos.PhotoSplit,
) -> None:
    known = split.training.of_a_class()
    data = labelled(Rendered(known, np.zeros((len(known), 2, 28, 28), np.uint8)), sneakers)
    assert len(data) == 2 * len(known)
    expected = {"t-shirt": 0, "pants": 1, "longsleeve": 2, "dress": 3, "outwear": 4, "shirt": 6, "shoes": 7}
    assert data.labels.tolist() == [expected[name] for name in known.folders for _ in range(2)]


def test_the_mix_has_photos_the_data_set_and_outliers_of_every_label(
    split: photos.PhotoSplit, fashion: Dataset
) -> None:
    recipe = Recipe.from_dict(VALUES | {"outliers": 1.0})
    images = np.zeros((len(split.training), 20, 28, 28), np.uint8)
    mixed = mix(recipe, Rendered(split.training, images), fashion, sneakers)
    known, unknown = len(split.training.of_a_class()) * 20, len(split.training.of_no_class()) * 20
    assert len(mixed) == known + 50 + unknown
    assert set(mixed.labels[known + 50 :]) == set(range(10)), "so they are like no class"
    without = Recipe.from_dict(VALUES | {"outliers": 0.0})
    assert len(mix(without, Rendered(split.training, images), fashion, sneakers)) == known + 50


def test_renderings_are_kept_until_a_photo_changes(split: photos.PhotoSplit, tmp_path: Path) -> None:
    recipe, said = Recipe.from_dict(VALUES | {"cuts": 2}), []
    first = render(split.validation, recipe, tmp_path, said.append)
    again = render(split.validation, recipe, tmp_path, said.append)
    assert np.array_equal(first, again) and first.shape == (len(split.validation), 4, 28, 28)
    assert said == ["rendered 1 of 2", "rendered 2 of 2"]
    brighter = photos.Photos(split.validation.names, tuple(picture // 2 + 99 for picture in split.validation.pictures))
    assert not np.array_equal(render(brighter, recipe, tmp_path, said.append), first)
    assert len(said) == 4


def test_a_recipe_makes_files_that_answer_alike_and_a_card_that_says_how_well(
    split: photos.PhotoSplit, fashion: Dataset
) -> None:
    base = to_keras(networks.build("resnet_small", **TINY))
    made = make(Recipe.from_dict(VALUES), split, fashion, np.arange(len(fashion)), base, say=lambda line: None)
    card = json.loads(json.dumps(made.card))
    assert {"photos.keras", "photos.tflite", "photos.neighbors.npz"} <= set(made.files)
    assert card["serving"]["artifact"] in made.files
    test = card["metrics"]["test"]
    assert test["images"] == len(split.held_out.of_a_class()) and 0 <= test["accuracy"] <= 1
    logits = litert_logits(made.files[card["serving"]["artifact"]], as_served(split.held_out.of_a_class()))
    right = split.held_out.of_a_class().accepted[np.arange(len(logits)), logits.argmax(axis=1)]
    assert test["accuracy"] == pytest.approx(right.mean())
    assert sum(test["by_folder"]["hat"]["predicted"]) == test["by_folder"]["hat"]["images"] == 2
    aurocs = card["novelty"]["validation_auroc"]
    assert aurocs[card["novelty"]["score"]] == max(aurocs.values())
    assert len(card["novelty"]["quantiles"]) == 101
    assert card["training"]["recipe"] == json.loads(json.dumps(Recipe.from_dict(VALUES).to_dict()))
    assert [len(stage) for stage in card["training"]["history"]] == [1, 1]
    assert "drawn at random" in card["training"]["outliers"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("[", "is not JSON"), ("{}", "needs exactly these fields"), ('{"stages": []}', "needs exactly these fields")],
)
def test_a_recipe_that_cannot_be_read_is_explained(content: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(content)
    with pytest.raises(InvalidSpec, match=complaint):
        read_recipe(path)


def test_a_recipe_needs_a_stage() -> None:
    with pytest.raises(InvalidSpec, match="at least one"):
        Recipe.from_dict(VALUES | {"stages": []})


def test_training_on_photos_needs_photos(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEMLINE_PHOTOS_DIR", raising=False)
    assert main(["train-photos"]) == 1
    assert "HEMLINE_PHOTOS_DIR" in capsys.readouterr().err
