"""The levels of a picture: what all training images have in common is given back to a picture that lacks it.

Each of the 70,000 pictures of Fashion-MNIST has black in it and white, and none is bright in all four corners. So a
picture whose light was changed on its way, or that is a negative, can be told, and the change be undone; what a network
was never shown it would get wrong. A picture in order passes bit for bit.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_BRIGHT: Final = 128
_WHITE: Final = 250
_CORNERS: Final = [0, 27, 756, 783]


def in_common(pixels: Pixels) -> dict[str, Any] | None:
    """What all these training images, [n, 784] or [n, 28, 28], have in common, for a card: the least of their brightest
    pixels (`white`), and whether each has a corner that is not bright (`dark_corners`). Nothing where one has no black
    or no white.
    """
    pixels = pixels.reshape(len(pixels), 784)
    if len(pixels) == 0 or pixels.min(axis=1).any() or (white := int(pixels.max(axis=1).min())) < _WHITE:
        return None
    return {"white": white, "dark_corners": not _is_negative(pixels).any()}


def restored(pixels: Pixels, common: Mapping[str, Any] | None) -> Pixels:
    """The pictures, [n, 784] or [n, 28, 28], with what the training images have in common, where they lack it."""
    if common is None:
        return pixels
    shape, pixels = pixels.shape, pixels.reshape(len(pixels), 784)
    black, white = pixels.min(axis=1), pixels.max(axis=1)
    off = ((black > 0) | (white < common["white"])) & (black < white)
    if off.any():
        pixels = pixels.copy()
        low, span = black[off, None].astype(np.float32), (white - black)[off, None].astype(np.float32)
        pixels[off] = np.rint((pixels[off] - low) * (255 / span))
    if common["dark_corners"] and (negative := _is_negative(pixels) & (black < white)).any():
        pixels = np.where(negative[:, None], 255 - pixels, pixels)
    return pixels.reshape(shape)


def _is_negative(pixels: Pixels) -> NDArray[np.bool_]:
    return np.asarray(pixels[:, _CORNERS].min(axis=1) >= _BRIGHT)
