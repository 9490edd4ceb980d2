"""Labelled images: Fashion-MNIST with its digests checked, and the splits that figures rest on.

Without TensorFlow, because the web process reads uploaded data sets.
"""

import gzip
import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.dataset_files import (
    CLASSES, PIXELS, SIDE, DatasetError, parse_idx_images, parse_idx_labels, read_csv, read_file, read_idx_images,
    read_idx_labels, read_zip,
)

__all__ = [
    "CLASSES", "PIXELS", "SIDE", "Dataset", "DatasetError", "Split", "load_fashion_mnist", "read_csv", "read_file",
    "read_idx_images", "read_idx_labels", "read_zip", "split", "split_in_three", "split_official", "subset",
]

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]

PUBLISHER: Final = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# MD5 of each official file as published, and of what it unpacks to.
OFFICIAL: Final = {
    "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
    "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
    "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
}

# Fixed for good: figures of different runs compare only on the same split.
SPLIT_SEED: Final = 20170825
VALIDATION_SHARE: Final = 1 / 12


@dataclass(frozen=True)
class Dataset:
    """images: uint8 [n, 28, 28], 0 is background; labels: uint8 [n], 0 to 9."""

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        if self.images.shape != (len(self.labels), SIDE, SIDE):
            raise DatasetError(f"Images of shape {self.images.shape} do not go with {len(self.labels)} labels.")
        if len(self.labels) and self.labels.max() >= CLASSES:
            row = int(np.argmax(self.labels >= CLASSES))
            raise DatasetError(f"Label {self.labels[row]} of item {row + 1} is not one of 0 to {CLASSES - 1}.")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over images, then labels, in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def take(self, indices: NDArray[np.intp]) -> "Dataset":
        """The items at these places, in this order."""
        return Dataset(self.images[indices], self.labels[indices])


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a data set that a run needs: it learns from one, chooses on one, and is judged on one."""

    training: Dataset
    validation: Dataset
    test: Dataset
    # Where each training image stands in the official training file; nothing for other data.
    indexes: NDArray[np.intp] | None = None


def load_fashion_mnist(directory: Path | None = None, cache: Path | None = None) -> tuple[Dataset, Dataset]:
    """The official 60,000 training and 10,000 test images, from `directory`, else downloaded into `cache`.

    Files may be gzipped or not. Raises DatasetError for a file that is missing, cannot be fetched, or is not the
    publisher's byte for byte.
    """
    if directory is None and cache is None:
        raise DatasetError("Fashion-MNIST needs a directory that holds its files or a cache to download them to.")
    content = {name: _official_file(name, directory, cache) for name in OFFICIAL}

    def part(prefix: str) -> Dataset:
        return Dataset(
            parse_idx_images(content[f"{prefix}-images-idx3-ubyte"]),
            parse_idx_labels(content[f"{prefix}-labels-idx1-ubyte"]),
        )

    return part("train"), part("t10k")


def _official_file(name: str, directory: Path | None, cache: Path | None) -> bytes:
    packed_digest, digest = OFFICIAL[name]
    if directory is not None:
        for path in (directory / f"{name}.gz", directory / name):
            if path.is_file():
                return _checked(path.read_bytes(), str(path), packed_digest if path.suffix else digest)
        raise DatasetError(f"{directory} has neither {name}.gz nor {name}.")
    assert cache is not None
    path = cache / f"{name}.gz"
    if not path.is_file():
        packed = _download(PUBLISHER + path.name)
        _checked(packed, PUBLISHER + path.name, packed_digest)
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(packed)
        partial.replace(path)
    return _checked(path.read_bytes(), str(path), packed_digest)


def _checked(content: bytes, where: str, digest: str) -> bytes:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise DatasetError(f"{where} is not the official file: its MD5 is {found}, not {digest}. Delete it and retry.")
    return gzip.decompress(content) if where.endswith(".gz") else content


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return bytes(response.read())
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise DatasetError(
            f"{url} could not be downloaded ({error}). Download the four files elsewhere and name their directory in "
            "HEMLINE_DATA_DIR."
        ) from error


def split(data: Dataset, share: float = VALIDATION_SHARE, seed: int = SPLIT_SEED) -> tuple[Dataset, Dataset]:
    """(training, validation): `share` of each class goes to validation; byte-identical images stay on one side.

    The same data, share and seed give the same split on every machine. Order is kept. Raises DatasetError where
    either side would be empty.
    """
    kept, held_out = _places(data, share, seed)
    return data.take(kept), data.take(held_out)


def split_official(official: Dataset, test: Dataset) -> Split:
    """The split of Fashion-MNIST that all figures rest on."""
    kept, held_out = _places(official, VALIDATION_SHARE, SPLIT_SEED)
    return Split(official.take(kept), official.take(held_out), test, kept)


def _places(data: Dataset, share: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    held_out = _held_out(data, share, np.random.default_rng(seed))
    if not held_out.any() or held_out.all():
        raise DatasetError(f"{len(data)} images are too few to split; give at least {round(2 / share)} of each class.")
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def split_in_three(data: Dataset) -> Split:
    """Test and validation parts cut from data that has none of its own, the size of each VALIDATION_SHARE of all."""
    rest, test = split(data, VALIDATION_SHARE)
    training, validation = split(rest, VALIDATION_SHARE)
    return Split(training, validation, test)


def subset(data: Dataset, fraction: float, seed: int) -> Dataset:
    """`fraction` of each class, at least one image of it, drawn by seed; order is kept."""
    if fraction == 1:
        return data
    rng = np.random.default_rng(seed)
    places = []
    for label in np.unique(data.labels):
        members = rng.permutation(np.flatnonzero(data.labels == label))
        places.append(members[: max(1, round(fraction * len(members)))])
    return data.take(np.sort(np.concatenate(places)))


def _held_out(data: Dataset, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    rows = np.ascontiguousarray(data.images.reshape(len(data), PIXELS)).view(f"V{PIXELS}").ravel()
    _, first, group, size = np.unique(rows, return_index=True, return_inverse=True, return_counts=True)
    held_out = np.zeros(len(first), bool)
    for label in range(CLASSES):
        quota = round(share * int(np.count_nonzero(data.labels == label)))
        # In the order of first appearance, so that how np.unique sorts bytes does not matter.
        groups = np.flatnonzero(data.labels[first] == label)
        groups = groups[np.argsort(first[groups])]
        for each in rng.permutation(groups):
            if quota >= size[each]:
                held_out[each] = True
                quota -= size[each]
    return held_out[group]
