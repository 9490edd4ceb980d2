"""Novelty scores against their definitions, worked out the long way."""

import numpy as np
import pytest

from ml import novelty
from ml.novelty import Detector, UnknownMethod

RNG = np.random.default_rng(3)
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 60)
CENTRES = RNG.normal(0, 4, (10, 6))
SPREAD = np.array([1, 0.5, 2, 1, 0.3, 1])
FEATURES = (CENTRES[LABELS] + RNG.normal(0, 1, (600, 6)) * SPREAD).astype(np.float32)
LOGITS = np.eye(10, dtype=np.float32)[LABELS] * 8 + RNG.normal(0, 1, (600, 10)).astype(np.float32)


def fitted(method: str) -> Detector:
    return novelty.fit(method, LOGITS, FEATURES, LABELS, 1.0)


def test_the_distance_is_mahalanobis_to_the_nearest_class() -> None:
    means = np.stack([FEATURES[LABELS == each].mean(axis=0) for each in range(10)]).astype(np.float64)
    centred = FEATURES - means[LABELS]
    inverse = np.linalg.inv(centred.T @ centred / len(centred))
    asked = RNG.normal(0, 4, (20, 6)).astype(np.float32)
    offsets = asked[:, None] - means
    expected = np.einsum("ncd,de,nce->nc", offsets, inverse, offsets).min(axis=1)
    np.testing.assert_allclose(fitted("mahalanobis").score(LOGITS[:20], asked, 1.0), expected, rtol=1e-3)


def test_the_relative_distance_is_less_that_from_all_classes_together() -> None:
    centred = FEATURES - FEATURES.mean(axis=0, dtype=np.float64)
    inverse = np.linalg.inv(centred.T @ centred / len(centred))
    background = np.einsum("nd,de,ne->n", centred, inverse, centred)
    expected = fitted("mahalanobis").score(LOGITS, FEATURES, 1.0) - background
    found = fitted("relative_mahalanobis").score(LOGITS, FEATURES, 1.0)
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_a_neighbor_is_near_whatever_the_length_of_the_features() -> None:
    scores = fitted("knn").score(LOGITS[:3], FEATURES[:3] * np.float32(7), 1.0)
    np.testing.assert_allclose(scores, 0, atol=1e-5)
    assert fitted("knn").score(LOGITS[:1], -FEATURES[:1], 1.0) > 0.1


def test_images_that_no_class_claims_are_more_novel() -> None:
    sure, unsure = np.eye(10, dtype=np.float32)[:1] * 12, np.zeros((1, 10), np.float32)
    for method in ("energy", "max_softmax"):
        detector = novelty.load(method, None)
        assert detector.score(unsure, None, 1.0) > detector.score(sure, None, 1.0)
    assert novelty.energy(unsure, 1.0)[0] == pytest.approx(-np.log(10))
    assert novelty.load("max_softmax", None).score(unsure, None, 1.0)[0] == pytest.approx(-0.1)


def test_huge_logits_do_not_overflow() -> None:
    assert np.isfinite(novelty.energy(np.array([[-1e4] * 9 + [1e4]], np.float32), 1.0)).all()


def test_the_sum_has_both_scores_at_equal_weight() -> None:
    detector = fitted(novelty.DEFAULT)
    energies = novelty.energy(LOGITS, 1.0)
    distances = fitted("mahalanobis").score(LOGITS, FEATURES, 1.0)
    expected = energies / energies.std() + distances / distances.std()
    np.testing.assert_allclose(detector.score(LOGITS, FEATURES, 1.0), expected, rtol=1e-3)


@pytest.mark.parametrize("method", novelty.METHODS)
def test_strange_features_and_logits_score_higher_and_a_saved_detector_scores_alike(method: str) -> None:
    detector = fitted(method)
    strange = RNG.normal(0, 12, (50, 6)).astype(np.float32), RNG.normal(0, 1, (50, 10)).astype(np.float32)
    known = detector.score(LOGITS, FEATURES, 1.0)
    assert known.dtype == np.float32
    assert np.median(detector.score(strange[1], strange[0], 1.0)) > np.median(known)
    data = novelty.save(detector)
    assert data == novelty.save(fitted(method))
    np.testing.assert_array_equal(novelty.load(method, data).score(LOGITS, FEATURES, 1.0), known)


def test_dead_features_and_missing_classes_are_no_obstacle() -> None:
    features = np.hstack([FEATURES, np.zeros((600, 2), np.float32)])
    some = LABELS < 4
    detector = novelty.fit(novelty.DEFAULT, LOGITS[some], features[some], LABELS[some], 1.0)
    assert np.isfinite(detector.score(LOGITS, features, 1.0)).all()


def test_a_method_that_is_unknown_or_lacks_its_file_is_refused() -> None:
    with pytest.raises(UnknownMethod, match="no novelty score 'tea_leaves'; this release knows: max_softmax"):
        novelty.load("tea_leaves", None)
    with pytest.raises(UnknownMethod, match="needs novelty.npz"):
        novelty.load("mahalanobis", None)
