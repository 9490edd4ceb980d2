"""The runtime answers alike however pictures are batched, and its numbers are what they are said to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ml import releases
from ml.images import CLASS_NAMES, read_image
from ml.runtime import Classifier
from processes import ROOT, SAMPLES, sample

CARD, FILES = releases.read(ROOT / "ml" / "shipped" / "small")
ARTIFACTS = [name for name in FILES if name.endswith(".tflite")]


def load(artifact: str = "model.tflite", batch_sizes: Sequence[int] = (1, 8, 32, 64), **changes: Any) -> Classifier:
    """The shipped version with another artifact served, or other fields of its card."""
    return Classifier({**CARD, "serving": {"artifact": artifact}, **changes}, FILES.get, batch_sizes)


@pytest.fixture(scope="module", params=ARTIFACTS)
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return load(request.param)


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


def test_garments_are_told_apart_in_another_light(classifier: Classifier) -> None:
    for change in (lambda x: x * 0.5 + 60, lambda x: 255 - x):
        changed = np.rint(change(garments().astype(float))).astype(np.uint8)

        best = classifier.classify(changed).probabilities.argmax(axis=1)
        assert [CLASS_NAMES[i] for i in best] == list(SAMPLES.values())
        heat, expected = (classifier.explain(each[0]).heat.astype(int) for each in (changed, garments()))
        assert np.abs(heat - expected).mean() < 10


def test_noise_is_more_novel_than_garments(classifier: Classifier) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (20, 784), np.uint8)

    assert np.median(classifier.classify(noise).novelty) > np.median(classifier.classify(garments()).novelty)


def warmer(times: float) -> dict[str, float]:
    return {"temperature": CARD["calibration"]["temperature"] * times}


def test_a_higher_temperature_is_less_sure_of_the_same_classes() -> None:
    sure, unsure = (load(calibration=warmer(x)).classify(garments()).probabilities for x in (1, 3))

    assert (sure.argmax(axis=1) == unsure.argmax(axis=1)).all()
    assert (sure.max(axis=1) > unsure.max(axis=1)).all()


def test_one_batch_size_is_enough_for_any_number_of_pictures() -> None:
    few, usual = load(batch_sizes=(4,)), load()

    np.testing.assert_allclose(
        few.classify(mixture(11)).probabilities, usual.classify(mixture(11)).probabilities, atol=1e-5
    )


def test_all_shipped_artifacts_agree() -> None:
    exact, *others = (load(name).classify(garments()).probabilities for name in sorted(ARTIFACTS, key=len))
    for other in others:
        np.testing.assert_allclose(exact, other, atol=0.1)


@pytest.fixture(scope="module")
def with_photos() -> Classifier:
    """A version whose network for photographs is its own network, but a warmer one."""
    files = {**FILES, "photos.tflite": FILES["model.tflite"]}
    photos = {"serving": {"artifact": "photos.tflite"}, "calibration": warmer(3), "novelty": ENERGY}
    own = {"serving": {"artifact": "model.tflite"}, "calibration": warmer(1), "novelty": ENERGY}
    card = {**CARD, **own, "photos": photos}
    return Classifier(card, files.get)


ENERGY = {**CARD["novelty"], "score": "energy"}


@pytest.mark.parametrize("mask", [
    [False] * 10, [True] * 10, [True] + [False] * 9, [False, True] * 5, [False] * 7 + [True] * 3,
], ids=["none", "all", "the first", "every second", "the last"])  # fmt: skip
def test_photos_are_answered_by_their_own_network_and_the_rest_by_the_other(
    with_photos: Classifier, mask: list[bool]
) -> None:
    photos = np.array(mask)
    cool, warm = (load(calibration=warmer(x), novelty=ENERGY).classify(garments()) for x in (1, 3))
    found = with_photos.classify(garments(), photos)

    for name in ("probabilities", "novelty", "is_fashion"):
        answers = getattr(found, name)
        np.testing.assert_allclose(answers[photos], getattr(warm, name)[photos], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(answers[~photos], getattr(cool, name)[~photos], atol=1e-5, err_msg=name)


def test_a_version_without_a_network_for_photos_answers_them_all_the_same(classifier: Classifier) -> None:
    every, none = (classifier.classify(garments(), np.full(10, photo)).probabilities for photo in (True, False))

    np.testing.assert_array_equal(every, none)


def test_a_version_without_its_served_file_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks model.none.tflite"):
        load("model.none.tflite")


def test_a_novelty_score_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="no novelty score 'tea leaves'"):
        load(novelty={**CARD["novelty"], "score": "tea leaves"})
