"""What was done to the light of a picture is undone, and what is in order stays as it is, bit for bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ml import levels
from ml.images import read_image
from processes import SAMPLES, sample

GARMENTS = np.stack([np.frombuffer(read_image(sample(name)).pixels, np.uint8) for name in SAMPLES])
COMMON = levels.in_common(GARMENTS)


def test_the_samples_have_black_and_white_and_dark_corners() -> None:
    assert COMMON is not None and COMMON["white"] >= 254 and COMMON["dark_corners"] is True


def test_what_is_in_order_passes_as_it_is() -> None:
    assert np.shares_memory(levels.restored(GARMENTS, COMMON), GARMENTS)
    assert levels.restored(255 - GARMENTS, None).tobytes() == (255 - GARMENTS).tobytes()


@pytest.mark.parametrize("change", [
    lambda x: x * 0.75 + 0.25 * x.mean(), lambda x: x * 0.3, lambda x: x * 0.5 + 100, lambda x: 255 - x,
    lambda x: 200 - x * 0.5,
])  # fmt: skip
def test_a_change_of_light_is_undone(change: object) -> None:
    changed = np.rint(change(GARMENTS.astype(float))).astype(np.uint8)  # type: ignore[operator]
    found = levels.restored(np.concatenate([changed, GARMENTS]), COMMON)

    assert np.abs(found[: len(changed)].astype(int) - GARMENTS).max() <= 3
    np.testing.assert_array_equal(found[len(changed) :], GARMENTS)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_picture_of_nothing_is_no_picture_of_light(value: int) -> None:
    blank: NDArray[np.uint8] = np.full((1, 784), value, np.uint8)

    np.testing.assert_array_equal(levels.restored(blank, COMMON), blank)


def test_pictures_in_which_black_is_rare_have_nothing_to_give_back() -> None:
    pale = np.maximum(GARMENTS, 1)

    assert levels.in_common(np.concatenate([GARMENTS, pale])) is None
    assert levels.in_common(GARMENTS // 2) is None  # white is as rare
    assert levels.in_common(GARMENTS[:0]) is None


def test_a_network_that_knows_negatives_gets_them() -> None:
    white = np.where(GARMENTS >= 254, 255, GARMENTS).astype(np.uint8)
    both = np.concatenate([white, 255 - white])
    common = levels.in_common(both)

    assert common is not None and common["dark_corners"] is False
    np.testing.assert_array_equal(levels.restored(both, common), both)
