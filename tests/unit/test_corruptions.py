"""Corruptions do what they say, more at each severity, and always the same."""

import numpy as np
import pytest

from ml import corruptions
from ml.corruptions import CORRUPTIONS, SEVERITIES, corrupt

IMAGES = np.zeros((30, 28, 28), np.uint8)
IMAGES[:, 6:22, 9:19] = np.linspace(120, 250, 30).astype(np.uint8)[:, None, None]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_changes_more_and_repeats_itself(name: str) -> None:
    assert len(CORRUPTIONS[name].strengths) == SEVERITIES
    changes = []
    for severity in range(1, SEVERITIES + 1):
        corrupted = corrupt(IMAGES, name, severity)
        assert (corrupted.shape, corrupted.dtype) == (IMAGES.shape, np.uint8)
        np.testing.assert_array_equal(corrupted, corrupt(IMAGES, name, severity))
        changes.append(np.abs(corrupted.astype(int) - IMAGES).mean())
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_the_strongest_inversion_is_the_negative() -> None:
    np.testing.assert_array_equal(corrupt(IMAGES, "inversion", 5), 255 - IMAGES)


def test_a_shift_moves_whole_pixels_and_loses_nothing_that_stays_inside() -> None:
    moved = corrupt(IMAGES, "shift", 5)
    assert (moved.sum(axis=(1, 2)) == IMAGES.sum(axis=(1, 2))).all()
    assert (moved != IMAGES).any(axis=(1, 2)).all()


def test_brightness_and_contrast_are_what_they_are_called() -> None:
    assert (corrupt(IMAGES, "brightness", 1)[:, 0, 0] == 26).all()
    spread = np.ptp(corrupt(IMAGES, "contrast", 2).astype(int), axis=(1, 2))
    np.testing.assert_allclose(spread, np.ptp(IMAGES, axis=(1, 2)) / 2, atol=1)


def test_another_seed_gives_other_noise() -> None:
    assert (corrupt(IMAGES, "noise", 1) != corrupt(IMAGES, "noise", 1, corruptions.SEED + 1)).any()
