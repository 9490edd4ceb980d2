"""Draws an explanation: heat over the picture that the model saw."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

ENLARGED: Final = 8  # 28 -> 224 pixels


def render_overlay(pixels: bytes, heat: NDArray[np.uint8]) -> bytes:
    """A PNG file, RGB 224x224, of 784 gray pixels with `heat` uint8 [28, 28] in color over them."""
    gray = np.frombuffer(pixels, np.uint8).reshape(28, 28).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    size = (28 * ENLARGED, 28 * ENLARGED)
    smooth = cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC)
    color = cv2.applyColorMap(smooth, cv2.COLORMAP_PLASMA).astype(np.float32)
    share = (smooth.astype(np.float32) / 255 * 0.75)[..., None]
    mixed = np.rint(gray[..., None] * (1 - share) + color * share).astype(np.uint8)
    _, png = cv2.imencode(".png", mixed)
    return bytes(png)
