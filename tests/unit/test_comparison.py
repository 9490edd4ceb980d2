import numpy as np
import pytest

from ml.comparison import differences, mcnemar, render


def test_equal_models_differ_by_luck_alone() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(7, 7) == 1


@pytest.mark.parametrize("counts", [(10, 2), (2, 10)])
def test_p_is_the_exact_two_sided_one(counts: tuple[int, int]) -> None:
    # 2 * (1 + 12 + 66) / 2^12
    assert mcnemar(*counts) == pytest.approx(0.03857421875)


def test_many_images_are_no_trouble() -> None:
    assert 0 < mcnemar(4600, 5400) < 1e-10


def test_pairs_are_counted_on_the_same_images() -> None:
    first = np.array([True, True, False, True])
    second = np.array([True, False, True, False])
    (found,) = differences([first, second])
    assert (found.only_first, found.only_second, found.p_value) == (2, 1, 1)


def test_what_is_printed_tells_mean_spread_and_every_pair() -> None:
    right = [np.arange(1000) < count for count in (940, 945, 950)]
    text = render(["one", "two", "three"], right)
    assert "94.00%" in text and "mean" in text and "± 0.50 points" in text
    assert text.count("McNemar") == 3
    assert "one against three: 0 images only the first got right, 10 only the second; p = 0.002" in text


def test_one_model_is_compared_with_nobody() -> None:
    assert "McNemar" not in render(["one"], [np.ones(10, bool)])
