"""Photos count as right as their folder says."""

import numpy as np

from ml.photo_evaluation import by_folder, labels, overall
from ml.photos import Photos

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
