"""Data sets of the users' own, in the artifact store: an information sheet, and the images and labels in one file.

The sheet is stored last and deleted first, so that a data set exists exactly while it is complete.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from ml.artifacts import ArtifactNotFound, Artifacts
from ml.datasets import Dataset
from workers import ids

FASHION_MNIST = "fashion-mnist"

Sheet = dict[str, Any]  # its `owner`, where there is one, is not for clients


class UnknownDataset(LookupError):
    """There is no data set of this name."""


class DatasetInUse(Exception):
    """A job that waits or runs needs the data set."""


class DatasetStore:
    """Put, find and forget data sets. Every method may raise OSError when the store cannot be reached."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def put(self, name: str, data: Dataset, sheet: Sheet) -> None:
        """Store a data set and what there is to say of it."""
        content = io.BytesIO()
        np.savez_compressed(content, images=data.images, labels=data.labels, allow_pickle=False)
        self._artifacts.put(_data(name), content.getvalue())
        self._put_sheet(name, sheet)

    def names(self) -> list[str]:
        """All data sets, newest first."""
        keys = self._artifacts.list("datasets/")
        return sorted((key.split("/")[1] for key in keys if key.endswith("/sheet.json")), reverse=True)

    def page(
        self, cursor: str | None, limit: int, sees: Callable[[str], bool] = lambda _: True
    ) -> tuple[list[tuple[str, Sheet]], str | None]:
        """Names and sheets, newest first, that come after a cursor (the ULID of the last one); and the next cursor.

        Only those of whose owners `sees` says so.
        """
        names = [name for name in self.names() if cursor is None or name < f"ds_{cursor}"]
        there = ((name, sheet) for name in names if (sheet := self._sheet(name)) is not None)
        found = list(islice(((name, sheet) for name, sheet in there if sees(sheet.get("owner", ""))), limit + 1))
        return found[:limit], found[limit - 1][0].partition("_")[2] if len(found) > limit else None

    def sheet(self, name: str) -> Sheet:
        """What there is to say of a data set. Raises UnknownDataset."""
        sheet = self._sheet(name)
        if sheet is None:
            raise UnknownDataset(name)
        return sheet

    def owner(self, name: str) -> str:
        """Whose a data set is; "" where it is nobody's in particular, or is not there."""
        return str((self._sheet(name) or {}).get("owner", ""))

    def load(self, name: str) -> Dataset:
        """Images and labels. Raises UnknownDataset."""
        try:
            content = self._artifacts.get(_data(name))
        except ArtifactNotFound as missing:
            raise UnknownDataset(f"There is no data set {name!r} any more.") from missing
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Dataset(arrays["images"], arrays["labels"])

    def delete(self, name: str, used_by: Callable[[], str | None]) -> None:
        """Forget a data set, unless `used_by` names a job that needs it. Raises UnknownDataset, DatasetInUse.

        It is asked once more when the data set is off the list, so that no job can come to use it: one may have come
        since the first time. Then the data set returns; the images were there all the time.
        """
        sheet = self.sheet(name)
        _refuse(name, used_by())
        self._artifacts.delete(_sheet(name))
        try:
            _refuse(name, used_by())
        except Exception:
            self._put_sheet(name, sheet)
            raise
        self._artifacts.delete(_data(name))

    def _sheet(self, name: str) -> Sheet | None:
        if ids.split("ds", name) is None:
            return None
        try:
            sheet: Sheet = json.loads(self._artifacts.get(_sheet(name)))
        except ArtifactNotFound:
            return None
        return sheet

    def _put_sheet(self, name: str, sheet: Sheet) -> None:
        self._artifacts.put(_sheet(name), json.dumps(sheet).encode())


def _refuse(name: str, job: str | None) -> None:
    if job is not None:
        raise DatasetInUse(f"{job} uses {name}. Wait until it ends, or cancel it.")


def _sheet(name: str) -> str:
    return f"datasets/{name}/sheet.json"


def _data(name: str) -> str:
    return f"datasets/{name}/data.npz"
