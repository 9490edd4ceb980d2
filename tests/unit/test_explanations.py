"""An explanation shows where a network looks and what it finds alike, with networks of which both are known."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ml import explanations, releases
from ml.explanations import Explanation, Neighbor
from ml.images import CLASS_NAMES, read_image
from ml.overlays import render_overlay
from ml.runtime import Classifier
from processes import SAMPLES, sample

QUARTERS = {"top left": 0, "top right": 1, "bottom left": 2, "bottom right": 3}
CARD: dict[str, Any] = {
    "serving": {"artifact": "model.tflite"}, "calibration": {"temperature": 1.0},
    "novelty": {"score": "energy", "quantiles": list(np.linspace(-9, 0, 101)), "threshold": 0.95},
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> bytes:
    """A network whose features are the brightness of each quarter, and whose classes 0 to 3 are those features."""
    import tensorflow as tf

    weights = tf.constant(np.eye(4, 10), tf.float32) * 20

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1))])  # type: ignore[untyped-decorator]
    def answer(image: Any) -> Any:
        features = tf.reshape(tf.nn.avg_pool2d(image, 14, 14, "VALID"), (-1, 4))
        return features @ weights, features

    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()]).convert())


def index() -> bytes:
    """As neighbors.npz: a dark picture, and for each quarter two that are bright in it alone."""
    codes = np.concatenate([np.zeros((1, 4)), np.eye(4) * 100, np.eye(4) * 60])
    file = io.BytesIO()
    np.savez(
        file, projection=np.eye(4, dtype=np.float32), mean=np.zeros(4, np.float32), scale=np.float32(0.01),
        codes=codes.astype(np.int8), labels=np.array([9, 0, 1, 2, 3, 0, 1, 2, 3], np.uint8),
        indexes=np.array([59999, 10, 11, 12, 13, 20, 21, 22, 23], np.uint16),
    )  # fmt: skip
    return file.getvalue()


@pytest.fixture(scope="module")
def classifier(network: bytes) -> Classifier:
    return Classifier(CARD, {"model.tflite": network, "neighbors.npz": index()}.get)


def quarter(name: str, value: int = 255) -> NDArray[np.uint8]:
    pixels = np.full((2, 14, 2, 14), 30, np.uint8)
    pixels[QUARTERS[name] // 2, :, QUARTERS[name] % 2] = value
    return pixels.reshape(784)


def heat_by_quarter(heat: NDArray[np.uint8]) -> list[float]:
    return list(heat.reshape(2, 14, 2, 14).mean(axis=(1, 3)).ravel())


@pytest.mark.parametrize("name", QUARTERS)
def test_the_heat_is_where_the_answer_comes_from(classifier: Classifier, name: str) -> None:
    heat = classifier.explain(quarter(name)).heat
    shares = heat_by_quarter(heat)

    assert (heat.shape, heat.dtype, heat.max()) == ((28, 28), np.uint8, 255)
    assert shares.pop(QUARTERS[name]) > 5 * max(shares)


@pytest.mark.parametrize("name", QUARTERS)
def test_the_neighbors_are_the_training_images_of_the_nearest_features(classifier: Classifier, name: str) -> None:
    number = QUARTERS[name]
    nearest, second, third = classifier.explain(quarter(name)).neighbors

    assert nearest == Neighbor(10 + number, number)
    assert second == Neighbor(20 + number, number)
    assert third.class_id != number


def test_a_photo_is_explained_by_the_network_that_answers_it_and_its_own_index(network: bytes) -> None:
    photos = {**CARD, "serving": {"artifact": "photos.tflite"}}
    files = {"model.tflite": network, "neighbors.npz": index(), "photos.tflite": network}
    card, picture = {**CARD, "photos": photos}, quarter("top left")
    without, has_one = (Classifier(card, each.get) for each in (files, {**files, "photos.neighbors.npz": index()}))

    assert len(without.explain(picture).neighbors) == 3
    assert without.explain(picture, photo=True).neighbors == ()
    assert without.explain(picture, photo=True).heat.max() == 255
    assert has_one.explain(picture, photo=True).neighbors == has_one.explain(picture).neighbors


def test_a_blank_picture_has_no_heat(classifier: Classifier) -> None:
    assert not classifier.explain(np.zeros(784, np.uint8)).heat.any()


def test_what_speaks_against_the_answer_is_cold() -> None:
    covered = explanations.coverings(np.full(784, 9, np.uint8))

    assert not explanations.heat(covered, np.full(len(covered), -1, np.float32)).any()


def test_every_pixel_of_the_garment_is_covered_and_none_of_the_background() -> None:
    whole, left = np.full(784, 9, np.uint8), np.zeros((28, 28), np.uint8)
    left[:, :5] = 9

    assert explanations.coverings(whole).any(axis=0).all()
    assert len(explanations.coverings(whole)) == 144
    assert len(explanations.coverings(left.reshape(784))) == 12 * 3
    np.testing.assert_array_equal(explanations.coverings(left.reshape(784)).any(axis=0), left.reshape(784) > 0)
    assert len(explanations.coverings(np.zeros(784, np.uint8))) == 0


def test_shipped_versions_explain_every_sample_by_its_garment() -> None:
    for _, card, contents in releases.versions():
        classifier = Classifier(card, contents.get)
        for name in SAMPLES:
            pixels = np.frombuffer(read_image(sample(name)).pixels, np.uint8)
            heat = classifier.explain(pixels).heat.reshape(784)
            assert heat.max() == 255 and not heat[pixels == 0].any(), f"{card['network']}: {name}"


@pytest.mark.parametrize("neighbors", [(), (Neighbor(0, 0), Neighbor(59_999, 9), Neighbor(300, 5))])
def test_an_explanation_comes_back_from_its_bytes(neighbors: tuple[Neighbor, ...]) -> None:
    heat = np.arange(784, dtype=np.uint16).astype(np.uint8).reshape(28, 28)
    packed = Explanation(heat, neighbors).pack()
    found = Explanation.unpack(packed)

    assert len(packed) == 784 + 3 * len(neighbors)
    np.testing.assert_array_equal(found.heat, heat)
    assert found.neighbors == neighbors
    assert all(CLASS_NAMES[each.class_id] for each in found.neighbors)


def test_an_overlay_colors_what_is_hot_and_leaves_the_rest_gray() -> None:
    heat = np.zeros((28, 28), np.uint8)
    heat[:14] = 255
    image = cv2.imdecode(np.frombuffer(render_overlay(bytes([128]) * 784, heat), np.uint8), cv2.IMREAD_COLOR)
    color = np.ptp(image, axis=2)

    assert image.shape == (224, 224, 3)
    assert color[:100].min() > 100
    assert (image[124:] == 128).all()
