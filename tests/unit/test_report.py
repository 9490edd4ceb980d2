"""A report says of a network what can be counted by hand."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from ml import novelty, outliers, report, report_text
from ml.datasets import Dataset
from ml.photos import Photos
from ml.report import Answer, Served

CORNERS = np.arange(40, dtype=np.uint8)
TEST = Dataset(np.tile(CORNERS[:, None, None], (1, 28, 28)), CORNERS % 10)


class Oracle(Served):
    """Knows test images by their corner, is never sure of anything else, and finds it as strange as can be."""

    def answer(self, images: Any) -> Answer:
        known = (images == images[:, :1, :1]).all(axis=(1, 2))
        logits = np.zeros((len(images), 10), np.float32)
        logits[known, images[known, 0, 0] % 10] = 9
        return Answer(logits, np.where(known, 0.5, 1).astype(np.float32))


@pytest.fixture(scope="module")
def oracle() -> Served:
    card = {"score": "energy", "quantiles": [0, 1], "threshold": 0.95}
    return Oracle(b"", {"temperature": 1.0}, card, novelty.load("energy", None))


def test_a_report_counts_what_was_right_and_what_was_flagged(oracle: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "OUTLIERS", 30)
    found = report.report(oracle, TEST, full=True)
    assert found["test"]["accuracy"] == 1
    assert found["test"]["images"] == 40 == sum(each["images"] for each in found["test"]["reliability"])
    assert found["novelty"]["auroc"] == {name: 1 for name in outliers.SETS}
    assert found["novelty"]["fpr95"] == {name: 0 for name in outliers.SETS}
    assert found["novelty"]["flagged"] == {name: 1 for name in outliers.SETS}
    assert found["novelty"]["flagged_known"] == 0
    table = found["robustness"]["corruptions"]
    assert table["noise"]["accuracy"] == [0.1] * 5  # class 0 where there is nothing to know
    assert table["blur"]["accuracy"] == [1] * 5  # these pictures are of one brightness
    mean = np.mean([row["accuracy"] for row in table.values()])
    assert found["robustness"]["mean_accuracy"] == pytest.approx(mean)


def test_a_short_report_has_no_corruptions_and_tracks_what_it_does(oracle: Served) -> None:
    done = []

    def track(tasks: Sequence[Any]) -> Iterator[Any]:
        for task in tasks:
            done.append(task.name)
            yield task

    found = report.report(oracle, TEST, full=False, track=track)
    assert set(found) == {"test", "novelty"}
    assert done == ["", *outliers.SETS]
    assert found["novelty"]["images"] == {name: report.FEW_OUTLIERS for name in outliers.SETS}


def test_photos_of_garments_are_judged_and_those_of_no_class_should_be_flagged(
    oracle: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = Photos(("t-shirt/1", "shoes/1", "pants/1", "hat/1"), (np.zeros((1, 1), np.uint8),) * 4)
    served = np.stack([np.full((28, 28), value, np.uint8) for value in (0, 9, 5, 0)])
    served[3, 5, 5] = 200
    monkeypatch.setattr(report, "as_served", lambda photos: served)
    found = report.report_photos(oracle, photos)
    assert (found["images"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert found["per_folder"] == {"pants": 0, "shoes": 1, "t-shirt": 1}
    assert found["novelty"]["auroc"] == {"hat": 1}


def test_the_text_has_a_line_for_everything(oracle: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "OUTLIERS", 10)
    text = report_text.render(report.report(oracle, TEST, full=True))
    for word in ("images    40", "accuracy  100.00%", "ECE", "confidence", "Ankle boot", "digits", "inversion", "mean"):
        assert word in text


def test_a_version_without_the_file_that_it_serves_cannot_be_opened() -> None:
    with pytest.raises(ValueError, match="lacks model.tflite"):
        Served.open({"serving": {"artifact": "model.tflite"}}, {}.get)
