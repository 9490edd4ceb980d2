"""A report in words and columns, for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from ml.images import CLASS_NAMES

Report = Mapping[str, Any]


def render(report: Report) -> str:
    """The report as text of several lines, a part for each of its entries."""
    parts = [*_test(report["test"])]
    for name, part in (("novelty", _novelty), ("robustness", _robustness), ("photos_held_out", _photos)):
        if name in report:
            parts.append("\n".join(part(report[name])))
    return "\n\n".join(parts)


def _test(test: Report) -> Iterator[str]:
    low, high = test["accuracy_interval"]
    yield "\n".join([
        f"images    {test['images']:,}",
        f"accuracy  {test['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})",
        f"loss      {test['loss']:.4f}",
        f"ECE       {test['ece']:.4f}",
    ])
    rows = [f"{'confidence':<12} accuracy  images"]
    rows += [f"{each['confidence']:<12.2%} {each['accuracy']:8.2%} {each['images']:7,}" for each in test["reliability"]]
    yield "\n".join(rows)
    rows = [f"{'class':<12} precision  recall  images   confusion (columns: predicted 0 to {len(CLASS_NAMES) - 1})"]
    for each, row in zip(test["per_class"], test["confusion_matrix"], strict=True):
        counts = " ".join(f"{count:5}" for count in row)
        rows.append(f"{each['label']:<12} {each['precision']:9.2%} {each['recall']:7.2%} {each['images']:7,}  {counts}")
    yield "\n".join(rows)


def _novelty(novelty: Report) -> Iterator[str]:
    yield f"{'none of them':<12}    AUROC  FPR at 95 %  flagged  images"
    for name, auroc in novelty["auroc"].items():
        fpr, flagged, images = (novelty[key][name] for key in ("fpr95", "flagged", "images"))
        yield f"{name:<12} {auroc:8.4f} {fpr:12.2%} {flagged:8.2%} {images:7,}"
    yield f"{'(known ones)':<12} {novelty['flagged_known']:30.2%}"


def _robustness(robustness: Report) -> Iterator[str]:
    severities = "".join(f"{severity:>8}" for severity in range(1, 6))
    yield f"{'corruption':<12}{severities}   accuracy by severity, {robustness['images']:,} images"
    for name, row in robustness["corruptions"].items():
        accuracies = "".join(f"{accuracy:8.2%}" for accuracy in row["accuracy"])
        strengths = ", ".join(f"{strength:g}" for strength in row["strengths"])
        yield f"{name:<12}{accuracies}   {row['strength']}: {strengths}"
    yield f"{'mean':<12}{robustness['mean_accuracy']:8.2%}"


def _photos(photos: Report) -> Iterator[str]:
    low, high = photos["accuracy_interval"]
    yield f"photos    {photos['images']:,}, held out"
    yield f"accuracy  {photos['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})"
    yield ", ".join(f"{name} {accuracy:.0%}" for name, accuracy in photos["per_folder"].items())
    yield from _novelty(photos["novelty"])
