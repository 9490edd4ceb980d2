"""Pictures in whatever form a program has them, as the API takes them: base64 of a picture's file."""

from __future__ import annotations

import io
import os
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    Picture = str | os.PathLike[str] | bytes | BinaryIO | PillowImage | Any
    """A path, the bytes of a file, a file opened in binary mode, a Pillow image or a NumPy array (uint8)."""


def encode(picture: Picture) -> str:
    """Base64 of the picture's file. Raises OSError where a path cannot be read, TypeError for what is no picture."""
    if isinstance(picture, (str, os.PathLike)):
        data: Any = Path(picture).read_bytes()
    elif isinstance(picture, (bytes, bytearray, memoryview)):
        data = picture
    elif hasattr(picture, "__array_interface__") or hasattr(picture, "save"):
        data = _png(picture)
    elif hasattr(picture, "read"):
        data = picture.read()
        if isinstance(data, str):
            raise TypeError("Open the picture's file in binary mode: open(path, 'rb').")
    else:
        raise TypeError(
            f"{type(picture).__name__} is no picture: give a path, bytes, a file, a Pillow image or a NumPy array."
        )
    return b64encode(data).decode()


def _png(picture: Any) -> bytes:
    """A Pillow image, or an array of shape (height, width[, 3 or 4]), as PNG."""
    try:
        from PIL import Image
    except ImportError:
        raise TypeError("NumPy arrays are sent by way of Pillow: pip install pillow.") from None
    if not isinstance(picture, Image.Image):
        if picture.dtype != "uint8":
            raise TypeError(f"Give an array of uint8 from 0 to 255, not of {picture.dtype}.")
        picture = Image.fromarray(picture)
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
