"""The pictures of no class are always the same ones, and worth looking at."""

import numpy as np
import pytest

from ml import outliers


@pytest.mark.parametrize("name", outliers.SETS)
def test_a_seed_always_draws_the_same_pictures_and_another_draws_others(name: str) -> None:
    first = outliers.draw(name, 40, outliers.CHOOSING_SEED)
    assert (first.shape, first.dtype) == ((40, 28, 28), np.uint8)
    np.testing.assert_array_equal(first, outliers.draw(name, 40, outliers.CHOOSING_SEED))
    other = outliers.draw(name, 40, outliers.REPORTING_SEED)
    assert not {each.tobytes() for each in first} & {each.tobytes() for each in other}


@pytest.mark.parametrize("name", outliers.SETS)
def test_no_two_pictures_are_alike_and_none_is_blank(name: str) -> None:
    pictures = outliers.draw(name, 200, 5)
    assert len({each.tobytes() for each in pictures}) == 200
    assert (np.ptp(pictures.reshape(200, -1).astype(int), axis=1) > 40).all()


def test_digits_are_bright_on_black_in_the_middle() -> None:
    digits = outliers.draw("digits", 100, 5).astype(float)
    assert digits[:, 0].max() < 30 and digits[:, :, -1].max() < 60
    assert (digits.max(axis=(1, 2)) > 250).all()
    rows = (digits.sum(axis=2) @ np.arange(28)) / digits.sum(axis=(1, 2))
    assert abs(rows.mean() - 13.5) < 1


def test_a_set_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        outliers.draw("cats", 1, 5)
