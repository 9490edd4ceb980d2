"""What is exported answers as what was trained, and its card is what the runtime needs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from ml import datasets, export, litert, networks, training
from ml.datasets import Dataset, Split
from ml.export import FLOAT32, INT8, KERAS, ExportFailed, Package
from ml.runtime import Classifier
from ml.spec import TrainingSpec
from ml.training import Trained

# Keras saves variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
SHIPPED = Path(export.__file__).parent / "shipped" / "small"
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


def test_features_come_after_the_logits_and_are_what_the_last_layer_sees(trained: Trained, package: Package) -> None:
    images = data().training.images
    last = trained.model.layers[-1]
    insides = keras.Model(trained.model.inputs, last.input)
    expected = training.predict_logits(insides, images)
    for name, tolerance in ((FLOAT32, 1e-4), (INT8, 0.2 * float(expected.max()))):
        logits, features = litert.outputs(package.files[name], images)
        assert features is not None
        np.testing.assert_allclose(features, expected, atol=tolerance)
        np.testing.assert_allclose(features @ last.kernel + last.bias, logits, atol=10 * tolerance)


def test_a_network_that_is_asked_about_the_mirror_image_too_has_the_mean_of_both_features(trained: Trained) -> None:
    inputs = keras.Input((28, 28, 1))
    answers = [trained.model(inputs), trained.model(inputs[:, :, ::-1])]
    averaged = keras.Model(inputs, keras.layers.Average()(answers))
    images = data().test.images
    logits, features = litert.outputs(export.to_litert(averaged), images)
    alone = export.to_litert(trained.model)
    parts = [litert.outputs(alone, each) for each in (images, images[:, :, ::-1])]
    assert features is not None
    np.testing.assert_allclose(logits, np.mean([part[0] for part in parts], axis=0), atol=1e-4)
    np.testing.assert_allclose(features, np.mean([np.asarray(part[1]) for part in parts], axis=0), atol=1e-4)


def test_outputs_in_another_order_are_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    both = export.logits_and_features
    monkeypatch.setattr(export, "logits_and_features", lambda model, image: both(model, image)[::-1])
    with pytest.raises(ExportFailed, match="The outputs are"):
        export.to_litert(trained.model)


def test_a_file_of_one_output_has_logits_and_no_features() -> None:
    content = (SHIPPED / FLOAT32).read_bytes()
    if litert.has_features(content):
        converter = export.tf.lite.TFLiteConverter.from_keras_model(networks.build("tutorial_cnn"))
        content = bytes(converter.convert())
    logits, features = litert.outputs(content, data().test.images[:3])
    assert logits.shape == (3, 10)
    assert features is None


def test_a_package_knows_what_it_has_not_seen(package: Package) -> None:
    card = package.card["novelty"]
    assert card["score"] == "energy_mahalanobis"
    assert set(package.files) >= {"novelty.npz"}
    assert "neighbors.npz" not in package.files  # these are none of the official images
    assert set(card["auroc"]) == set(card["fpr95"]) == {"digits", "noise", "textures"}
    assert all(0 <= value <= 1 for value in card["auroc"].values())
    assert "robustness" not in package.card  # only with a full report


def test_a_package_knows_what_its_pictures_have_in_common(package: Package) -> None:
    assert package.card["levels"]["dark_corners"] is True


def test_a_refreshed_version_says_the_same_and_more(package: Package) -> None:
    again = export.refresh(package.files, package.card, replace(data(), indexes=np.arange(len(data().training))))
    assert {name: again.files[name] for name in package.files} == dict(package.files)
    assert "neighbors.npz" in again.files
    assert again.card["metrics"] == package.card["metrics"]
    assert again.card["history"] == package.card["history"]
    robustness = again.card["robustness"]
    assert len(robustness["corruptions"]) == 7
    assert all(len(row["accuracy"]) == 5 for row in robustness["corruptions"].values())


def test_int8_is_left_out_when_it_costs_accuracy(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "INT8_ACCURACY_LOSS", -1.0)
    made = export.package(trained, SPEC, data())
    assert set(made.files) == {KERAS, FLOAT32, "novelty.npz"}
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
