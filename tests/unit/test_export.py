"""What is exported answers as what was trained, and its card is what the runtime needs."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from ml import datasets, export, networks, training
from ml.datasets import Dataset, Split
from ml.export import FLOAT32, INT8, KERAS, ExportFailed, Package
from ml.runtime import Classifier
from ml.spec import TrainingSpec
from ml.training import Trained

# Keras saves variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
SPEC = TrainingSpec(epochs=4, batch_size=32, hyperparameters={"stem": 8, "width": 8, "blocks_14": 1})


def data() -> Split:
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return datasets.split_in_three(Dataset(images, labels))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return training.train(SPEC, data().training, data().validation)


@pytest.fixture(scope="module")
def package(trained: Trained) -> Package:
    return export.package(trained, SPEC, data(), "sample")


def test_keras_and_litert_agree_on_real_images(trained: Trained, package: Package) -> None:
    images = data().training.images
    expected = training.predict_logits(trained.model, images)
    np.testing.assert_allclose(export.litert_logits(package.files[FLOAT32], images), expected, atol=1e-4)


def test_the_keras_file_has_the_weights_kept_and_no_optimizer(
    trained: Trained, package: Package, tmp_path: Path
) -> None:
    path = tmp_path / KERAS
    path.write_bytes(package.files[KERAS])
    model = keras.models.load_model(path)
    assert getattr(model, "optimizer", None) is None
    for ours, theirs in zip(trained.model.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", networks.names())
def test_every_network_exports_to_int8_that_takes_raw_pixels(name: str) -> None:
    model = networks.build(name)
    images = data().training.images
    content = export.to_litert_int8(model, images)
    source = Interpreter(model_content=content).get_input_details()[0]
    assert source["dtype"] == np.int8
    assert source["quantization"] == (pytest.approx(1 / 255), -128)
    expected = training.predict_logits(model, images)
    found = export.litert_logits(content, images, batch_size=64)
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.98


def test_the_runtime_serves_a_package_as_its_card_says(package: Package) -> None:
    card = json.loads(json.dumps(package.card))
    classifier = Classifier(card, package.files.get)
    pixels = data().test.images.reshape(-1, 784)
    found = classifier.classify(pixels)
    test = card["metrics"]["test"]
    assert np.mean(found.probabilities.argmax(axis=1) == data().test.labels) == test["accuracy"]
    loss = -np.log(found.probabilities[np.arange(len(pixels)), data().test.labels]).mean()
    assert loss == pytest.approx(test["loss"], rel=1e-3)
    kept = classifier.classify(data().validation.images.reshape(-1, 784)).is_fashion
    assert np.mean(kept) == pytest.approx(0.95, abs=0.06)


def test_the_card_says_what_the_model_was_made_of(package: Package) -> None:
    card = package.card
    assert card["network"] == "resnet_small"
    assert card["training_spec"] == SPEC.to_dict()
    assert card["data"]["name"] == "sample"
    assert card["data"]["training"] == {"images": len(data().training), "sha256": data().training.digest}
    assert [row["epoch"] for row in card["history"]] == [1, 2, 3, 4]
    assert card["training_seconds"] > 0
    assert card["parameters"] > 0 < card["macs"]
    assert set(card["code"]) == {"sha256", "tensorflow", "keras", "numpy", "ai-edge-litert"}


def test_int8_is_left_out_when_it_costs_accuracy(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "INT8_ACCURACY_LOSS", -1.0)
    made = export.package(trained, SPEC, data())
    assert set(made.files) == {KERAS, FLOAT32}
    assert made.card["serving"]["artifact"] == FLOAT32
    assert INT8 in made.card["serving"]["validation_accuracy"]


def test_a_litert_file_that_answers_otherwise_is_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    to_litert = export.to_litert

    def of_another_model(model: Any) -> bytes:
        return to_litert(networks.build("tutorial_cnn"))

    monkeypatch.setattr(export, "to_litert", of_another_model)
    with pytest.raises(ExportFailed, match="Keras and LiteRT differ by"):
        export.package(trained, SPEC, data())


def test_batch_statistics_do_not_leak_into_exported_answers(package: Package) -> None:
    images = data().test.images
    alone = np.concatenate([export.litert_logits(package.files[FLOAT32], image[None]) for image in images])
    np.testing.assert_allclose(alone, export.litert_logits(package.files[FLOAT32], images), atol=1e-4)
