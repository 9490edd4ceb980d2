"""The training images that look most like a picture to a network: examples explain an answer better than numbers.

NumPy only, as the prediction worker asks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbors:
    """A network's features of n training images, projected to k dimensions and rounded to 8 bits.

    A code is (features - `mean` [d]) @ `projection` [d, k] / `scale`, rounded. `codes` int8 [n, k]; `labels` uint8 [n];
    `indexes` uint16 [n] into the official training images, 0 to 59,999.
    """

    projection: Floats
    mean: Floats
    scale: Floats
    codes: NDArray[np.int8]
    labels: NDArray[np.uint8]
    indexes: NDArray[np.uint16]

    @classmethod
    def load(cls, data: bytes) -> Self:
        """From the content of a version's neighbors.npz."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})

    def nearest(self, features: Floats, k: int = 3) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Indexes and labels, each [n, k], of the training images nearest to `features` [n, d], the nearest first."""
        codes = self.codes.astype(np.float32)
        places = (features - self.mean) @ self.projection / self.scale
        distances: NDArray[Any] = (codes**2).sum(axis=1) - 2 * places @ codes.T  # but for a constant of each row
        few = np.argpartition(distances, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(distances, few, axis=1).argsort(axis=1, kind="stable")
        nearest = np.take_along_axis(few, order, axis=1)
        return self.indexes[nearest], self.labels[nearest]
