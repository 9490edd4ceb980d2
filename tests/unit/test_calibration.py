"""Calibrated logits: the same classes, and chances that come true."""

import numpy as np
import pytest

from ml import evaluation
from ml.calibration import calibrated, fit_sharpness

RNG = np.random.default_rng(11)


def true_and_distorted(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated logits, labels drawn from them, and the logits of a network that is too sure where it should doubt."""
    logits = RNG.normal(0, 2.5, (count, 10)).astype(np.float32)
    chances = evaluation.probabilities(logits).cumsum(axis=1)
    labels = (RNG.random((count, 1)) > chances).sum(axis=1).clip(0, 9).astype(np.uint8)
    top = np.sort(logits, axis=1)
    lead = top[:, -1] - top[:, -2]
    return logits, labels, logits * (0.5 + 1.5 * np.exp(-lead))[:, None].astype(np.float32)


def test_a_card_with_a_temperature_alone_divides_by_it() -> None:
    logits = RNG.normal(0, 1, (5, 10)).astype(np.float32)
    np.testing.assert_allclose(calibrated(logits, {"temperature": 0.8}), logits / 0.8, rtol=1e-6)


def test_the_factor_is_a_polynomial_of_the_lead_up_to_its_limit() -> None:
    logits = np.zeros((3, 10), np.float32)
    logits[:, 2], logits[:, 3] = (5, 8, 30), 3
    card = {"temperature": 1, "sharpness": [1.0, 0.1, 0.01], "largest_lead": 5}
    factors = [1 + 0.2 + 0.04, 1 + 0.5 + 0.25, 1 + 0.5 + 0.25]
    np.testing.assert_allclose(calibrated(logits, card), logits * np.array(factors)[:, None], rtol=1e-6)


def test_doubt_that_a_temperature_cannot_give_is_fitted_and_no_answer_changes() -> None:
    _, labels, logits = true_and_distorted(6000)
    card = evaluation.fit_calibration(logits, labels)
    after = calibrated(logits, card)
    assert (after.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert card["ece_after"] == evaluation.expected_calibration_error(after, labels)
    alone = evaluation.expected_calibration_error(logits, labels, card["temperature"])
    assert card["ece_after"] < 0.5 * alone
    _, fresh_labels, fresh = true_and_distorted(6000)
    loss = evaluation.negative_log_likelihood(calibrated(fresh, card), fresh_labels)
    assert loss < evaluation.negative_log_likelihood(fresh, fresh_labels, card["temperature"])


def test_logits_that_one_temperature_calibrates_get_close_to_it() -> None:
    logits, labels, _ = true_and_distorted(20_000)
    card = evaluation.fit_calibration(2 * logits, labels)
    assert card["temperature"] == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(
        evaluation.probabilities(calibrated(2 * logits, card)), evaluation.probabilities(logits), atol=0.05
    )


def test_a_few_images_fit_a_temperature_only() -> None:
    _, labels, logits = true_and_distorted(evaluation.ENOUGH_IMAGES - 1)
    assert "sharpness" not in evaluation.fit_calibration(logits, labels)


def test_an_absurd_fit_is_none() -> None:
    logits = RNG.normal(0, 1, (2000, 10)).astype(np.float32)
    least_likely = logits.argmin(axis=1).astype(np.uint8)
    assert fit_sharpness(logits, least_likely, 1.0) == {}
