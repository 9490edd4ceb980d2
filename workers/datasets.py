"""Data sets of the users' own, in the artifact store: an information sheet, and the images and labels in one file.

The sheet is stored last, so that a data set exists exactly when it is complete.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from ml.artifacts import ArtifactNotFound, Artifacts
from ml.datasets import Dataset

FASHION_MNIST = "fashion-mnist"

Sheet = dict[str, Any]


class UnknownDataset(LookupError):
    """There is no data set of this name."""


class DatasetStore:
    """Put, find and forget data sets."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def put(self, name: str, data: Dataset, sheet: Sheet) -> None:
        """Store a data set and what there is to say of it."""
        content = io.BytesIO()
        np.savez_compressed(content, images=data.images, labels=data.labels, allow_pickle=False)
        self._artifacts.put(f"datasets/{name}/data.npz", content.getvalue())
        self._artifacts.put(f"datasets/{name}/sheet.json", json.dumps(sheet).encode())

    def names(self) -> list[str]:
        """All data sets, newest first."""
        keys = self._artifacts.list("datasets/")
        return sorted((key.split("/")[1] for key in keys if key.endswith("/sheet.json")), reverse=True)

    def sheet(self, name: str) -> Sheet:
        """What there is to say of a data set. Raises UnknownDataset."""
        try:
            sheet: Sheet = json.loads(self._artifacts.get(f"datasets/{name}/sheet.json"))
        except (ArtifactNotFound, ValueError) as missing:
            raise UnknownDataset(name) from missing
        return sheet

    def load(self, name: str) -> Dataset:
        """Images and labels. Raises UnknownDataset."""
        self.sheet(name)
        with np.load(io.BytesIO(self._artifacts.get(f"datasets/{name}/data.npz")), allow_pickle=False) as arrays:
            return Dataset(arrays["images"], arrays["labels"])

    def delete(self, name: str) -> None:
        """Forget a data set. Raises UnknownDataset."""
        self.sheet(name)
        self._artifacts.delete(f"datasets/{name}/sheet.json")
        self._artifacts.delete(f"datasets/{name}/data.npz")
