"""Any picture -> the contract of the networks: 28x28 gray pixels, a garment bright on black, and what to warn about.

Training and serving meet here: photos take this one way in both. A picture that is in the contract already passes
through bit for bit, by the shortest way there is, because that is what thousands of requests a second carry.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ml.garments import SIDE, ImageWarning, to_contract
from ml.image_files import InvalidImage, decode, open_picture

__all__ = ["CLASS_NAMES", "ContractImage", "ImageWarning", "InvalidImage", "read_image", "render_preview"]

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)


@dataclass(frozen=True, slots=True)
class ContractImage:
    """`pixels`: 784 bytes, row-major, 0 is background. `warnings`: what to doubt about a prediction from them."""

    pixels: bytes
    warnings: tuple[ImageWarning, ...] = ()


def read_image(data: bytes, max_pixels: int = 24_000_000) -> ContractImage:
    """A PNG, JPEG, WebP, GIF, BMP or TIFF file of any mode and size.

    Raises InvalidImage when the file is empty, of another format, damaged, incomplete, or has more than `max_pixels`
    (seen in the header, before anything is decoded).
    """
    image = open_picture(data, max_pixels)
    picture = decode(data, image, 96)
    if picture.pixels.shape == (SIDE, SIDE) and picture.alpha is None:
        return ContractImage(picture.pixels.tobytes())
    pixels, warnings = to_contract(picture.pixels, picture.alpha)
    return ContractImage(pixels.tobytes(), warnings)


_PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\x08\0\0\0\0Wf\x80H"
_PNG_TAIL = b"\0\0\0\0IEND\xaeB`\x82"


def render_preview(pixels: bytes) -> bytes:
    """A PNG of 784 gray pixels."""
    rows = np.zeros((SIDE, SIDE + 1), np.uint8)
    rows[:, 1:] = np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE)
    chunk = b"IDAT" + zlib.compress(rows.tobytes(), 0)
    return b"".join((
        _PNG_HEAD, (len(chunk) - 4).to_bytes(4, "big"), chunk, zlib.crc32(chunk).to_bytes(4, "big"), _PNG_TAIL,
    ))
