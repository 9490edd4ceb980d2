"""What `python -m ml evaluate` and `python -m ml novelty` print, once it is known of which version and data."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ml import comparison, novelty_comparison, photos, report, report_text
from ml.datasets import Dataset, Split
from ml.photo_rendering import as_served
from ml.report import Read, Served

Card = Mapping[str, Any]


def evaluate(card: Card, read: Read, data: Dataset, photos_dir: Path | None, json_file: Path | None) -> None:
    """Print what the card of a version says about test data, measured now and as served, and how it does on photos.

    Raises ValueError for a version that lacks a file.
    """
    served = Served.open(card, read)
    found = report.report(served, data, full=True, track=bar)
    if photos_dir is not None:
        network = Served.open(card["photos"], read, "photos.npz") if "photos" in card else served
        found["photos_held_out"] = report.report_photos(network, photos.split(photos.load_photos(photos_dir)).held_out)
    print(report_text.render(found))
    if photos_dir is None:
        print("\nNo photos were looked at: HEMLINE_PHOTOS_DIR does not name their folder.")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def compare(models: Sequence[tuple[str, Card, Read]], data: Dataset) -> None:
    """Print which of several models is better on the same images: a name, a card and its files for each."""
    answers = [Served.open(card, read).answer(data.images) for _, card, read in models]
    right = [answer.logits.argmax(axis=1) == data.labels for answer in answers]
    print(comparison.render([name for name, _, _ in models], right))


def compare_novelty(card: Card, read: Read, data: Split, photos_dir: Path | None) -> None:
    """Print AUROC, share flagged and cost of every novelty score, on validation images against pictures of no class.

    Raises ValueError for a version whose files lack the features.
    """
    more = {}
    if photos_dir is not None:
        strange = photos.split(photos.load_photos(photos_dir)).validation.of_no_class()
        garments, folders = as_served(strange), np.array(strange.folders)
        more = {str(name): garments[folders == name] for name in np.unique(folders)}
    content = read(card["serving"]["artifact"]) or b""
    print(novelty_comparison.render(novelty_comparison.compare(content, data, more)))


def bar(tasks: Sequence[Any]) -> Iterator[Any]:
    """The tasks, with a progress bar where somebody watches."""
    yield from tqdm(tasks, unit="set", leave=False, disable=None)
