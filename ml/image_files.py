"""Opens picture files that strangers send.

A file is an attack until proven otherwise: this module exists so that nothing but a complete picture of an accepted
format, within the pixel limit, reaches the rest, and that everything else costs next to nothing and ends in one
exception. Pillow does the decoding; what it is given, and when, is decided here.
"""

import contextlib
import ctypes
import io
import logging
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import _imaging
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import DecompressionBombError, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Pixels = NDArray[np.uint8]

# What is odd about a stranger's file is said to the stranger, not to whoever reads this process's log.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(AttributeError, OSError):
    # libtiff writes to stderr by itself. Pillow has its return values, so nothing is lost.
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)

# Large pictures are decoded one at a time, so that a process needs the memory of one, not of one for each thread.
_LARGE = 4_000_000
_one_large_picture = threading.Lock()

# The longest edge at which pictures are worked on is this to twice this.
_WORKING_EDGE = 256

# A progressive JPEG has about ten scans. Each is a pass over the whole picture, and ten bytes are enough for one.
_MOST_SCANS = 100
# Chunks, segments or tags: a large PNG has a thousand. Pillow looks at each of them in Python.
_MOST_PARTS = 5_000
# The longest that most formats can say. Pillow keeps a pointer for each row, so a column of pixels takes much memory.
_LONGEST_EDGE = 65_535

_ORIENTATION, _TILE_WIDTH, _TILE_LENGTH = 0x0112, 322, 323


class InvalidImage(ValueError):
    """The bytes cannot be read as a picture. `code` is for programs, the text says what to do about it.

    Codes: empty, not_an_image, unsupported_format, too_many_pixels, truncated, damaged.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Picture:
    """Gray uint8 [h, w] or RGB uint8 [h, w, 3], upright. Where it is not opaque, on black, with `alpha` uint8 [h, w].

    Pictures with more than 511 pixels on the longest edge have been scaled down by a whole number.
    """

    pixels: Pixels
    alpha: Pixels | None


def decode(data: bytes, max_pixels: int) -> Picture:
    """Raises InvalidImage; for too many pixels it does so before anything but the header is read."""
    plugin = _plugin(data)
    whole = _is_whole(data)
    try:
        # The plugin's class, not Image.open: that one speaks of bombs through warnings, which belong to the process.
        with plugin(io.BytesIO(data)) as image:
            _check_size(image, max_pixels)
            if not whole:
                raise _truncated()
            large = image.width * image.height > _LARGE
            with _one_large_picture if large else contextlib.nullcontext():
                return _load(image)
    except InvalidImage:
        raise
    except DecompressionBombError as error:
        raise _too_many(max_pixels) from error
    except Exception as error:
        truncated = not whole or "truncated" in str(error).lower()
        raise (_truncated() if truncated else _damaged()) from error


def _check_size(image: ImageFile, max_pixels: int) -> None:
    if max(image.size) > _LONGEST_EDGE:
        detail = f"A picture may be {_LONGEST_EDGE:,} pixels long; scale it down and send it again."
        raise InvalidImage("too_many_pixels", detail)
    size = image.width * image.height
    if isinstance(image, TiffImageFile):
        # A tile is decoded whole, however little of it the picture shows.
        size = max(size, image.tag_v2.get(_TILE_WIDTH, 1) * image.tag_v2.get(_TILE_LENGTH, 1))
    if size > max_pixels:
        raise _too_many(max_pixels, f" of {image.width} x {image.height} pixels")


def _too_many(max_pixels: int, size: str = "") -> InvalidImage:
    return InvalidImage(
        "too_many_pixels",
        f"A picture{size} is larger than the {max_pixels:,} pixels that are accepted; scale it down and send it again.",
    )


def _is_whole(data: bytes) -> bool:
    """Whether the file goes on to where its format says that it ends. Raises InvalidImage for an endless list of parts.

    Decoders are content as soon as they have all pixels, and some before.
    """
    if data.startswith(b"\x89PNG"):
        return _is_whole_png(data)
    if data.startswith(b"\xff\xd8"):
        return _is_whole_jpeg(data)
    if data.startswith((b"II", b"MM")):
        return _is_whole_tiff(data)
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        return len(data) >= 26 and len(data) >= int.from_bytes(data[2:6], "little")
    return data.rstrip(b"\0\r\n").endswith(b";")  # GIF


def _is_whole_png(data: bytes) -> bool:
    place = 8
    for _ in range(_MOST_PARTS):
        end = place + 12 + int.from_bytes(data[place:place + 4], "big")
        if end > len(data) or len(data) < place + 12:
            return False
        if data[place + 4:place + 8] == b"IEND":
            return True
        place = end
    raise _damaged()


def _is_whole_jpeg(data: bytes) -> bool:
    place = 2
    for _ in range(_MOST_PARTS):
        if data[place:place + 1] != b"\xff" or data[place + 1:place + 2] == b"\xda":
            break
        place += 2 + int.from_bytes(data[place + 2:place + 4], "big")
    else:
        raise _damaged()
    if data.count(b"\xff\xda\0", place) > _MOST_SCANS:
        raise _damaged()
    # Before the first scan lie thumbnails, which are JPEGs too; after it the mark of the end cannot be anything else.
    return data.find(b"\xff\xd9", place) >= 0


def _is_whole_tiff(data: bytes) -> bool:
    """The first directory and what it points to; strips and tiles are counted by the decoder."""
    if data[2:4] in (b"+\0", b"\0+"):
        return True  # BigTIFF: left to the decoder.
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "4xI", data)
        (count,) = struct.unpack_from(order + "H", data, start)
        if count > _MOST_PARTS:
            raise _damaged()
        fields = struct.iter_unpack(order + "2xHII", data[start + 2:start + 2 + 12 * count])
        sizes = [(_TIFF_SIZES.get(kind, 0) * times, offset) for kind, times, offset in fields]
    except struct.error:
        return False
    ends = [offset + size for size, offset in sizes if size > 4]
    return int(max([start + 6 + 12 * count, *ends])) <= len(data)


# Bytes in a value of each type of the TIFF 6.0 specification, section 2.
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def _load(image: ImageFile) -> Picture:
    longest = max(image.size)
    # Only JPEG knows a draft: it decodes at a half, a quarter or an eighth, for a fraction of the time and memory.
    image.draft(None, tuple(max(1, edge * _WORKING_EDGE // longest) for edge in image.size))  # type: ignore[arg-type]
    image.load()
    orientation = _orientation(image)
    to_array = _converter(image)
    factor = max(1, max(image.size) // _WORKING_EDGE)
    array = np.concatenate([_shrink(to_array(band), factor) for band in _bands(image, factor)])
    array = _upright(array, orientation)
    if array.ndim == 3 and array.shape[2] == 4:
        alpha = array[..., 3]
        return Picture(np.ascontiguousarray(array[..., :3]), None if alpha.min() == 255 else alpha)
    return Picture(array, None)


def _bands(image: Image, factor: int) -> Iterator[Image]:
    """Strips across a picture, so that converting and shrinking a large one takes no second copy of it."""
    if factor == 1:
        yield image
        return
    rows = factor * 16
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _shrink(array: Pixels, factor: int) -> Pixels:
    if factor == 1:
        return array
    size = (max(1, array.shape[1] // factor), max(1, array.shape[0] // factor))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), np.uint8)


def _converter(image: Image) -> Callable[[Image], Pixels]:
    """From a strip of a picture of any mode to uint8: gray, RGB, or RGB premultiplied by alpha, and alpha."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _scale_of(image)
    if image.has_transparency_data:
        return lambda band: np.asarray(band.convert("RGBA").convert("RGBa"))
    if image.mode == "LAB":
        return lambda band: np.asarray(band.getchannel(0))
    return lambda band: np.asarray(band.convert("L" if image.mode in ("1", "L") else "RGB"))


def _scale_of(image: Image) -> Callable[[Image], Pixels]:
    """Deep gray has no agreed white: the range that its values reach tells whether it is 1, 255, 65,535 or more."""
    factor = max(1, max(image.size) // _WORKING_EDGE)
    top = max(float(np.nan_to_num(np.asarray(band)).max()) for band in _bands(image, factor))
    if image.mode == "F" and top <= 1:
        scale = 255.0
    elif top <= 255:
        scale = 1.0
    else:
        # Not 1/257: writers make 16 bits of 8 by multiplying with 256 as well as with 257, and this undoes both.
        scale = 1 / 256 if top <= 65535 else 255 / top
    rounding = 0.5 if image.mode == "F" else 0.0

    def to_8_bit(band: Image) -> Pixels:
        values = np.nan_to_num(np.asarray(band, np.float64)) * scale + rounding
        return np.clip(values, 0, 255).astype(np.uint8)

    return to_8_bit


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # A damaged note about a picture is no reason to refuse the picture.
        return 1


def _upright(array: Pixels, orientation: int) -> Pixels:
    """Undoes the eight orientations of the Exif standard (CIPA DC-008, tag 274)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


_ACCEPTED = "PNG, JPEG, WebP, GIF, BMP or TIFF"
_PLUGINS: tuple[tuple[bytes, Callable[[Any], ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
)
_OTHER_FORMATS = (
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"), (0, b"\xffO\xffQ", "JPEG 2000"), (0, b"\xff\n", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"), (4, b"ftypavi", "AVIF"), (4, b"ftyphei", "HEIC"), (4, b"ftypmif", "HEIF"),
    (4, b"ftyphev", "HEIC"), (0, b"\0\0\1\0", "ICO"), (0, b"8BPS", "Photoshop"), (0, b"%PDF", "PDF"),
    (0, b"v/1\1", "OpenEXR"), (0, b"DDS ", "DDS"), (0, b"qoif", "QOI"), (0, b"icns", "ICNS"),
    (0, b"<svg", "SVG"), (0, b"<?xml", "SVG"), (0, b"P4\n", "PBM"), (0, b"P5\n", "PGM"), (0, b"P6\n", "PPM"),
)


def _plugin(data: bytes) -> Callable[[Any], ImageFile]:
    if not data:
        raise InvalidImage("empty", "The image is empty; send the bytes of a picture file.")
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    for offset, magic, name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            raise InvalidImage("unsupported_format", f"{name} is not accepted; convert the picture to {_ACCEPTED}.")
    if any(magic.startswith(data) for magic, _ in _PLUGINS):
        raise _truncated()
    raise InvalidImage("not_an_image", f"These bytes are no picture; send a {_ACCEPTED} file.")


def _truncated() -> InvalidImage:
    return InvalidImage("truncated", "The picture file ends before the picture does; send all of its bytes.")


def _damaged() -> InvalidImage:
    return InvalidImage("damaged", "The picture file is damaged or incomplete; save it anew and send that.")
