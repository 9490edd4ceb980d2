"""Flip, shift and random erasing of a batch, as a pure function of a random generator.

On raw uint8 pixels and in NumPy, so that a resumed run draws what an unbroken one would have drawn.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

# Zhong et al., "Random Erasing Data Augmentation" (2017): share of the image's area, and aspect ratio.
ERASED_AREA: Final = (0.02, 0.33)
ERASED_ASPECT: Final = (0.3, 1 / 0.3)


def augment(images: Images, rng: np.random.Generator, flip: bool, shift: int, erase: float) -> Images:
    """A changed copy of uint8 [n, 28, 28]: mirrored at even odds, moved by up to `shift` pixels each way, and with
    probability `erase` a rectangle of noise."""
    images = _shift_and_flip(images, rng, flip, shift)
    return _erase(images, rng, erase) if erase else images


def _shift_and_flip(images: Images, rng: np.random.Generator, flip: bool, shift: int) -> Images:
    count, height, width = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
    top, left = rng.integers(0, 2 * shift + 1, size=(2, count, 1))
    rows = top + np.arange(height)
    columns = np.broadcast_to(np.arange(width), (count, width))
    if flip:
        mirrored = rng.random((count, 1)) < 0.5
        columns = np.where(mirrored, columns[:, ::-1], columns)
    moved: Images = padded[np.arange(count)[:, None, None], rows[:, :, None], (left + columns)[:, None, :]]
    return moved


def _erase(images: Images, rng: np.random.Generator, probability: float) -> Images:
    count, height, width = images.shape
    area = rng.uniform(*ERASED_AREA, size=count) * height * width
    aspect = np.exp(rng.uniform(math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), size=count))
    tall = np.clip(np.sqrt(area * aspect), 1, height).astype(int)
    wide = np.clip(np.sqrt(area / aspect), 1, width).astype(int)
    top = rng.integers(0, height - tall + 1)
    left = rng.integers(0, width - wide + 1)
    chosen = np.less(rng.random(count), probability)
    noise = rng.integers(0, 256, size=images.shape, dtype=np.uint8)
    rows, columns = np.arange(height), np.arange(width)
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None]) & chosen[:, None]
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return np.where(in_rows[:, :, None] & in_columns[:, None, :], noise, images)
