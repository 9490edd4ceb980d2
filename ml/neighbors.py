"""The training images most like a picture, as the network sees them: an answer that people can check with their eyes.

NumPy only, because the prediction worker looks them up. Features are turned to a few principal components and rounded
to a byte each, so that the index of all training images stays under 1 MB.
"""

import io
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

COMPONENTS: Final = 14
_DISTANCES: Final = 8_000_000  # held at once, 32 MB of them


class Neighbors:
    """An index that was loaded. It can be asked by several threads at once."""

    def __init__(
        self, projection: Floats, mean: Floats, scale: float, codes: NDArray[np.int8], labels: Labels,
        indexes: NDArray[np.uint16],
    ) -> None:
        self._projection = projection / np.float32(scale)
        self._mean = mean
        self._codes = codes
        self._halves = (codes.astype(np.float32) ** 2).sum(axis=1) / 2
        self._labels = labels
        self._indexes = indexes

    @classmethod
    def load(cls, data: bytes) -> Self:
        """The index of `build`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            content: dict[str, Any] = dict(arrays)
        return cls(**content | {"scale": float(content["scale"])})

    def nearest(self, features: Floats, k: int = 3) -> tuple[NDArray[np.int64], Labels]:
        """(indexes [n, k] among the official training images, their labels [n, k]) for features [n, d], nearest first.

        Among equally near ones, the first comes first. k is at most the number of images in the index.
        """
        codes = self._codes.astype(np.float32).T  # kept as bytes: a worker holds several indexes and asks few
        step = max(1, _DISTANCES // len(self._codes))
        found = [self._nearest(features[start : start + step], codes, k) for start in range(0, len(features), step)]
        places = np.concatenate(found) if found else np.zeros((0, k), np.int64)
        return self._indexes[places].astype(np.int64), self._labels[places]

    def _nearest(self, features: Floats, codes: Floats, k: int) -> NDArray[np.int64]:
        projected = (features - self._mean) @ self._projection
        # |c - p|² / 2 without |p|², which is the same for every code.
        distances = self._halves - projected @ codes
        some = np.argpartition(distances, k - 1, axis=1)[:, :k]
        order = np.lexsort((some, np.take_along_axis(distances, some, axis=1)), axis=1)
        return np.take_along_axis(some, order, axis=1)


def build(features: Floats, labels: Labels, indexes: NDArray[np.integer[Any]]) -> bytes:
    """The index of training images with these features [n, d] and labels [n], which stand at `indexes` [n] of the
    official file. The same input gives the same bytes."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    _, directions = np.linalg.eigh(centred.T @ centred)
    largest = directions[:, ::-1][:, :COMPONENTS]
    # An eigenvector's sign is arbitrary; the largest entry shall be positive.
    largest = largest * np.sign(largest[np.abs(largest).argmax(axis=0), np.arange(largest.shape[1])])
    projected = centred @ largest
    # One step for all components keeps distances; the farthest thousandth is cut off rather than all made coarser.
    scale = max(float(np.quantile(np.abs(projected), 0.9999)) / 127, 1e-9)
    codes = np.clip(np.rint(projected / scale), -127, 127).astype(np.int8)
    buffer = io.BytesIO()
    np.savez(
        buffer, allow_pickle=False, projection=largest.astype(np.float32), mean=mean.astype(np.float32),
        scale=np.float32(scale), codes=codes, labels=labels.astype(np.uint8), indexes=indexes.astype(np.uint16),
    )
    return buffer.getvalue()
