"""The runtime answers alike however pictures are batched, and its numbers are what they are said to be."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.images import CLASS_NAMES, read_image
from ml.runtime import Classifier
from processes import ROOT, SAMPLES, sample

SHIPPED = ROOT / "ml" / "shipped" / "small"
CARD: dict[str, Any] = json.loads((SHIPPED / "card.json").read_bytes())


@pytest.fixture(scope="module", params=["model.tflite", "model.int8.tflite"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    path = SHIPPED / request.param
    if not path.exists():
        pytest.skip(f"this release ships no {request.param}")
    return Classifier(path.read_bytes(), CARD)


def garments() -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(read_image(sample(name)).pixels, np.uint8) for name in SAMPLES])


def mixture(count: int) -> NDArray[np.uint8]:
    """Garments, noise, and blank and full pictures."""
    noise = np.random.default_rng(7).integers(0, 256, (count, 784), np.uint8)
    noise[:: 3] = np.resize(garments(), noise[:: 3].shape)
    noise[0], noise[-1] = 0, 255
    return noise


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 130])
def test_a_batch_of_any_size_is_answered_as_each_picture_alone(classifier: Classifier, count: int) -> None:
    pictures = mixture(count)
    together = classifier.classify(pictures)
    alone = [classifier.classify(pictures[i : i + 1]) for i in range(count)]

    assert together.probabilities.shape == (count, 10)
    np.testing.assert_allclose(together.probabilities, np.concatenate([a.probabilities for a in alone]), atol=1e-5)
    np.testing.assert_allclose(together.novelty, np.concatenate([a.novelty for a in alone]), atol=1e-3)


def test_what_a_larger_batch_left_behind_does_not_reach_a_smaller_one(classifier: Classifier) -> None:
    pictures = garments()
    before = classifier.classify(pictures[:3])
    classifier.classify(np.full((8, 784), 255, np.uint8))
    after = classifier.classify(pictures[:3])

    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_probabilities_sum_to_one_and_novelty_lies_between_zero_and_one(classifier: Classifier) -> None:
    predictions = classifier.classify(mixture(64))

    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (predictions.probabilities >= 0).all()
    assert ((predictions.novelty >= 0) & (predictions.novelty <= 1)).all()
    assert predictions.probabilities.dtype == predictions.novelty.dtype == np.float32
    assert (predictions.is_fashion == (predictions.novelty <= np.float32(CARD["novelty"]["threshold"]))).all()


def test_the_samples_of_the_console_are_told_apart(classifier: Classifier) -> None:
    predictions = classifier.classify(garments())

    assert [CLASS_NAMES[i] for i in predictions.probabilities.argmax(axis=1)] == list(SAMPLES.values())
    assert predictions.is_fashion.all()


def test_noise_is_more_novel_than_garments(classifier: Classifier) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (20, 784), np.uint8)

    assert np.median(classifier.classify(noise).novelty) > np.median(classifier.classify(garments()).novelty)


def test_a_higher_temperature_is_less_sure_of_the_same_classes() -> None:
    network = (SHIPPED / "model.tflite").read_bytes()
    warmer = {**CARD, "calibration": {"temperature": CARD["calibration"]["temperature"] * 3}}
    sure, unsure = (Classifier(network, card, (8,)).classify(garments()).probabilities for card in (CARD, warmer))

    assert (sure.argmax(axis=1) == unsure.argmax(axis=1)).all()
    assert (sure.max(axis=1) > unsure.max(axis=1)).all()


def test_one_batch_size_is_enough_for_any_number_of_pictures() -> None:
    network = (SHIPPED / "model.tflite").read_bytes()
    few, usual = Classifier(network, CARD, (4,)), Classifier(network, CARD)

    np.testing.assert_allclose(
        few.classify(mixture(11)).probabilities, usual.classify(mixture(11)).probabilities, atol=1e-5
    )


def test_both_shipped_artifacts_agree() -> None:
    if not (SHIPPED / "model.int8.tflite").exists():
        pytest.skip("this release ships one artifact")
    exact, small = (
        Classifier((SHIPPED / name).read_bytes(), CARD).classify(garments()).probabilities
        for name in ("model.tflite", "model.int8.tflite")
    )

    np.testing.assert_allclose(exact, small, atol=0.1)
