"""Opens picture files that strangers send.

A file is an attack until proven otherwise: this module exists so that nothing but a complete picture of an accepted
format, within the pixel limit, reaches the rest, and that everything else costs next to nothing and ends in one
exception. Pillow does the decoding; what it is given, and when, is decided here.
"""

import io
import logging
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image, Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Pixels = NDArray[np.uint8]

# What is odd about a stranger's file is said to the stranger, not to whoever reads this process's log.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class InvalidImage(ValueError):
    """The bytes cannot be read as a picture. `code` is for programs, the text says what to do about it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: gray uint8 [h, w] or RGB uint8 [h, w, 3], and alpha uint8 [h, w] where it is not opaque."""

    pixels: Pixels
    alpha: Pixels | None


def open_picture(data: bytes, max_pixels: int) -> ImageFile:
    """Reads the header only. Raises InvalidImage when it is not one that may be decoded."""
    if not data:
        raise InvalidImage("empty", "The image is empty; send the bytes of a picture file.")
    plugin = _plugin(data)
    try:
        # The plugin's class, not Image.open: that one speaks of bombs through warnings, which belong to the process.
        image = plugin(io.BytesIO(data))
    except Exception as error:
        raise _unreadable(data, error) from error
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImage(
            "too_many_pixels",
            f"The image has {width} x {height} pixels, more than the {max_pixels:,} that are accepted;"
            " scale it down and send it again.",
        )
    return image


def decode(data: bytes, image: ImageFile, scale_to: int) -> Picture:
    """Decodes all of it, upright. JPEGs come at the smallest scale whose short edge still has `scale_to` pixels."""
    try:
        image.draft("RGB" if image.mode == "YCbCr" else image.mode, (scale_to, scale_to))
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _to_arrays(upright)
    except InvalidImage:
        raise
    except Exception as error:
        raise _unreadable(data, error) from error


def _to_arrays(image: Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        return Picture(_to_8_bit(np.asarray(image)), None)
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return Picture(rgba[..., :3], None if rgba[..., 3].min() == 255 else rgba[..., 3])
    return Picture(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")), None)


def _to_8_bit(values: NDArray[np.generic]) -> Pixels:
    top = 255.0 if values.max() <= 255 else 65535.0
    return np.clip(values * (255.0 / top), 0, 255).astype(np.uint8)


_ACCEPTED = "PNG, JPEG, WebP, GIF, BMP and TIFF"
_PLUGINS: tuple[tuple[bytes, Callable[[io.BytesIO], ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
)


def _plugin(data: bytes) -> Callable[[io.BytesIO], ImageFile]:
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    raise InvalidImage("not_an_image", f"These bytes are no picture; send a file of one of {_ACCEPTED}.")


def _unreadable(data: bytes, error: Exception) -> InvalidImage:
    return InvalidImage("truncated", "The picture file is incomplete or damaged; send all of its bytes.")
