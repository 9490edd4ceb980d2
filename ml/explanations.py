"""Why a picture got its answer: where a network looks, and which training images it finds alike.

Where it looks is asked by occlusion (Zeiler and Fergus 2014, arXiv:1311.2901): cover a patch of the picture and see how
much less sure of its answer the network becomes. That needs nothing but answers, so it holds for what is served, int8
and all. NumPy only: workers compute explanations, the web process shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE: Final = 28
PATCH: Final = 6  # about as wide as a sleeve, a strap or a heel: covering less is hardly noticed
STRIDE: Final = 2

_NEIGHBOR = np.dtype([("index", "<u2"), ("class_id", "u1")])


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A training image, by its place among the data set's official 60,000, and its class."""

    index: int
    class_id: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """`heat` uint8 [28, 28]: how much each pixel speaks for the answer, 255 the most. `neighbors`: nearest first."""

    heat: Pixels
    neighbors: tuple[Neighbor, ...] = ()

    def pack(self) -> bytes:
        """784 bytes of heat, then three for each neighbor."""
        neighbors = [(each.index, each.class_id) for each in self.neighbors]
        return self.heat.tobytes() + np.array(neighbors, _NEIGHBOR).tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """What `pack` made."""
        heat = np.frombuffer(data, np.uint8, SIDE * SIDE).reshape(SIDE, SIDE)
        neighbors = np.frombuffer(data, _NEIGHBOR, offset=SIDE * SIDE).tolist()
        return cls(heat, tuple(Neighbor(*each) for each in neighbors))


def coverings(pixels: Pixels) -> NDArray[np.bool_]:
    """[m, 784]: what each patch covers of a picture [784]; what is background already cannot be covered."""
    covered = _patches() & (pixels > 0)
    return np.asarray(covered[covered.any(axis=1)])


def heat(covered: NDArray[np.bool_], losses: Floats) -> Pixels:
    """uint8 [28, 28]: the mean loss [m] over all patches that cover a pixel, from 0 (none, or a gain) to 255."""
    mean = losses @ covered.astype(np.float32) / _patches().sum(axis=0)
    highest = float(mean.max(initial=0))
    scaled = np.clip(mean * (255 / highest), 0, 255) if highest > 0 else np.zeros_like(mean)
    result: Pixels = np.rint(scaled).astype(np.uint8).reshape(SIDE, SIDE)
    return result


@lru_cache(maxsize=1)
def _patches() -> NDArray[np.bool_]:
    starts = range(0, SIDE - PATCH + 1, STRIDE)
    patches = np.zeros((len(starts), len(starts), SIDE, SIDE), np.bool_)
    for i, top in enumerate(starts):
        for j, left in enumerate(starts):
            patches[i, j, top : top + PATCH, left : left + PATCH] = True
    return patches.reshape(-1, SIDE * SIDE)
