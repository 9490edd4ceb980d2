"""Importance sampling draws what it should as often as it should, and its weights leave the mean of the loss alone."""

import numpy as np
import pytest

from ml import sampling


def scores(images: int = 2000) -> sampling.Floats:
    """Most of them near 0, as the distances of a trained network are."""
    return (np.random.default_rng(3).uniform(size=images) ** 8).astype(np.float32)


@pytest.mark.parametrize("share", [0.05, 0.35, 0.5, 0.99])
def test_probabilities_add_up_to_the_share_and_grow_with_the_scores(share: float) -> None:
    likely = sampling.probabilities(scores(), share)
    assert likely.sum() == pytest.approx(share * 2000, abs=1e-3)
    assert likely.max() <= 1
    assert likely.min() >= sampling.BLIND * share * 0.999
    assert (np.diff(likely[scores().argsort()]) >= 0).all()


@pytest.mark.parametrize("same", [0.0, 1e-30, 1.0])
def test_images_of_which_the_same_is_known_are_equally_likely(same: float) -> None:
    likely = sampling.probabilities(np.full(1000, same, np.float32), 0.3)
    assert likely.min() == likely.max() == pytest.approx(0.3)


def test_a_draw_takes_each_image_once_and_weighs_none_more_than_twice_its_share() -> None:
    chosen, weights = sampling.draw(scores(), 0.35, np.random.default_rng(1))
    assert len(chosen) == len(set(chosen.tolist())) == len(weights) == 700
    assert 0.35 * 0.999 <= weights.min() and weights.max() <= 2 * 1.001


def test_what_a_draw_says_of_the_mean_is_right_on_average() -> None:
    values = np.random.default_rng(5).normal(1, 2, size=2000) + scores()
    said = []
    for seed in range(400):
        chosen, weights = sampling.draw(scores(), 0.2, np.random.default_rng(seed))
        said.append(np.mean(weights * values[chosen]))
    error = np.std(said) / np.sqrt(len(said))
    assert abs(np.mean(said) - values.mean()) < 4 * error


def test_importance_tells_the_mean_of_the_scores_better_than_a_blind_draw() -> None:
    known = scores()
    drawn, blind = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chosen, weights = sampling.draw(known, 0.2, rng)
        drawn.append(np.mean(weights * known[chosen]))
        blind.append(known[rng.permutation(len(known))[: len(chosen)]].mean())
    assert np.std(drawn) < 0.5 * np.std(blind)


def test_what_is_learned_of_an_image_is_remembered_in_part() -> None:
    known = np.ones(4, np.float32)
    sampling.learn(known, np.array([2, 0]), np.array([0.0, 0.5], np.float32))
    assert known.tolist() == [0.75, 1.0, 0.5, 1.0]
