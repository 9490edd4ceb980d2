"""The figures of a model card, checked against definitions and by hand."""

import numpy as np
import pytest

from ml import evaluation

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 10, 4000).astype(np.uint8)


def drawn_from_their_own_probabilities() -> tuple[np.ndarray, np.ndarray]:
    """Logits that are calibrated by construction: labels are drawn from their softmax."""
    logits = RNG.normal(0, 2, (20_000, 10)).astype(np.float32)
    chances = evaluation.probabilities(logits).cumsum(axis=1)
    labels = (RNG.random((len(logits), 1)) > chances).sum(axis=1).clip(0, 9).astype(np.uint8)
    return logits, labels


def test_accuracy_and_loss_agree_with_their_definitions() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1] + [1e-9] * 7, [0.1, 0.8, 0.1] + [1e-9] * 7], np.float32))
    labels = np.array([0, 2], np.uint8)
    assert evaluation.accuracy(logits, labels) == 0.5
    expected = -(np.log(0.7) + np.log(0.1)) / 2
    assert evaluation.negative_log_likelihood(logits, labels) == pytest.approx(expected, rel=1e-5)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.full((3, 10), -1e4, np.float32)
    logits[:, 4] = 1e4
    assert evaluation.negative_log_likelihood(logits, np.array([4, 4, 4], np.uint8)) == 0


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    logits = np.eye(10, dtype=np.float32)[[6, 6, 0, 9]]
    confusion = evaluation.confusion_matrix(logits, np.array([0, 6, 0, 9], np.uint8))
    assert confusion[0, 6] == 1 and confusion[0, 0] == 1 and confusion[6, 6] == 1 and confusion[9, 9] == 1
    assert confusion.sum() == 4
    rows = evaluation.per_class(confusion)
    assert (rows[6]["label"], rows[6]["precision"], rows[6]["recall"], rows[6]["images"]) == ("Shirt", 0.5, 1.0, 1)
    assert (rows[1]["precision"], rows[1]["recall"], rows[1]["images"]) == (0, 0, 0)


def test_calibrated_logits_have_no_calibration_error_and_overconfident_ones_do() -> None:
    logits, labels = drawn_from_their_own_probabilities()
    assert evaluation.expected_calibration_error(logits, labels) < 0.015
    assert evaluation.expected_calibration_error(3 * logits, labels) > 0.1


def test_the_bins_of_the_reliability_diagram_have_equal_mass() -> None:
    logits, labels = drawn_from_their_own_probabilities()
    bins = evaluation.reliability(logits, labels)
    assert len(bins) == 15
    assert {each["images"] for each in bins} <= {1333, 1334}
    assert [each["confidence"] for each in bins] == sorted(each["confidence"] for each in bins)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_logits_were_divided_by_is_found(temperature: float) -> None:
    logits, labels = drawn_from_their_own_probabilities()
    assert evaluation.fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_novelty_quantiles_rise_and_keep_95_percent_of_validation_images() -> None:
    scores = RNG.normal(0, 1, 5000).astype(np.float32)
    card = evaluation.describe_novelty("energy", scores)
    quantiles = card["quantiles"]
    assert card["score"] == "energy"
    assert len(quantiles) == 101
    assert quantiles == sorted(quantiles)
    novelty = np.interp(scores, quantiles, np.linspace(0, 1, 101))
    assert np.mean(novelty <= card["threshold"]) == pytest.approx(0.95, abs=0.002)


def test_the_calibration_of_a_card_lowers_the_error_that_it_states() -> None:
    logits, labels = drawn_from_their_own_probabilities()
    card = evaluation.fit_calibration(3 * logits, labels)
    assert card["temperature"] == pytest.approx(3, rel=0.05)
    assert card["ece_after"] < 0.015 < 0.1 < card["ece_before"]
    assert card["ece_after"] == evaluation.expected_calibration_error(3 * logits, labels, card["temperature"])


def test_auroc_counts_the_pairs_in_which_the_strange_one_scores_higher() -> None:
    known, strange = np.array([1, 2, 3, 4], np.float32), np.array([2.5, 4, 5], np.float32)
    # 2.5 beats two of four; 4 beats three and ties with one; 5 beats all.
    assert evaluation.auroc(known, strange) == pytest.approx((2 + 3.5 + 4) / 12)
    assert evaluation.auroc(known, known) == 0.5
    assert evaluation.auroc(known, known + 10) == 1
    assert evaluation.auroc(known + 10, known) == 0


def test_the_false_positive_rate_is_that_of_strange_ones_below_the_known_95_percent() -> None:
    known = np.arange(1, 101, dtype=np.float32)
    strange = np.array([1, 95, 96, 96.5, 200], np.float32)
    assert np.mean(known <= 96) >= 0.95
    assert evaluation.false_positive_rate(known, strange) == pytest.approx(3 / 5)
    assert evaluation.false_positive_rate(known, known + 1000) == 0


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    low, high = evaluation.wilson_interval(9600, 10_000)
    assert (low, high) == (pytest.approx(0.95598, abs=1e-5), pytest.approx(0.96367, abs=1e-5))


def test_the_metrics_of_a_part_agree_with_each_other() -> None:
    logits = RNG.normal(0, 1, (4000, 10)).astype(np.float32)
    found = evaluation.metrics(logits, LABELS, temperature=2.0)
    assert found["images"] == 4000 == sum(map(sum, found["confusion_matrix"]))
    assert found["accuracy"] == sum(found["confusion_matrix"][i][i] for i in range(10)) / 4000
    assert found["loss"] == evaluation.negative_log_likelihood(logits / 2, LABELS)
