"""Photos count as right as their folder says, and novelty scores tell what was never seen."""

import numpy as np
import pytest

from ml.photo_evaluation import auroc, by_folder, labels, novelty_scores, overall, table
from ml.photos import FOLDERS, Photos

NAMES = ("t-shirt/1", "t-shirt/2", "shoes/1", "shoes/2", "hat/1")
PHOTOS = Photos(NAMES, (np.zeros((8, 8, 3), np.uint8),) * 5)


def test_any_of_three_classes_is_right_for_a_shoe_and_none_for_a_hat() -> None:
    rows = by_folder(np.array([0, 6, 9, 8, 3]), PHOTOS)
    assert (rows["t-shirt"]["right"], rows["t-shirt"]["images"]) == (1, 2)
    assert rows["shoes"]["accuracy"] == 0.5
    assert rows["shoes"]["predicted"][9] == rows["shoes"]["predicted"][8] == 1
    assert "right" not in rows["hat"] and rows["hat"]["predicted"][3] == 1
    assert "right" not in rows["dress"]
    total = overall(rows)
    assert (total["right"], total["images"], total["accuracy"]) == (2, 4, 0.5)
    assert total["accuracy_interval"][0] < 0.5 < total["accuracy_interval"][1]


def test_the_label_of_a_shoe_is_the_likeliest_of_its_three_classes() -> None:
    answers = np.zeros((5, 10))
    answers[:, 8] = 9
    answers[2, 7] = answers[3, 9] = 1
    assert labels(answers, PHOTOS.accepted)[:4].tolist() == [0, 0, 7, 9]


def test_auroc_is_the_chance_that_the_unknown_scores_higher() -> None:
    assert auroc(np.array([0, 1]), np.array([2, 3])) == 1
    assert auroc(np.array([2, 3]), np.array([0, 1])) == 0
    assert auroc(np.array([1, 3]), np.array([2, 3])) == pytest.approx((1 + 0 + 1 + 0.5) / 4)


@pytest.mark.parametrize("score", ["max_softmax", "energy", "knn", "mahalanobis"])
def test_every_score_is_higher_for_what_is_far_from_training(score: str) -> None:
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(10, 16)
    own = rng.integers(0, 10, 200).astype(np.uint8)
    training = centres[own] + rng.normal(0, 1, (200, 16))
    features = np.concatenate([centres[own[:50]] + rng.normal(0, 1, (50, 16)), rng.normal(0, 1, (50, 16))])
    scores = novelty_scores(features[:, :10], features, training, own, 1.0)[score]
    assert scores.shape == (100,)
    assert auroc(scores[:50], scores[50:]) > 0.9


def test_the_table_has_a_row_for_each_folder_and_one_for_all() -> None:
    rows = by_folder(np.array([0, 6, 9, 8, 3]), PHOTOS)
    lines = table(rows, dict.fromkeys(FOLDERS, 0.25))
    assert len(lines) == 12
    assert "50.0%" in lines[1] and "25.0%" in lines[1]
    assert lines[-1].startswith("all of a class") and "50.0%" in lines[-1]
