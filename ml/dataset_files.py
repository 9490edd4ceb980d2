"""Files of labelled images that people have: IDX, CSV, and ZIP of class folders.

They come from strangers, so nothing in a file is believed before it is checked, and nothing is unpacked without limit.
"""

import gzip
import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from ml.images import CLASS_NAMES, InvalidImage, read_image

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]

CLASSES: Final = 10
SIDE: Final = 28
PIXELS: Final = SIDE * SIDE
MAX_ITEMS: Final = 1_000_000
MAX_PICTURE_BYTES: Final = 32 * 1024 * 1024


class DatasetError(ValueError):
    """A file is not the data it should be; the message says where and what to do."""


def read_idx_images(source: IO[bytes], max_items: int = MAX_ITEMS) -> Images:
    """uint8 [n, 28, 28] from an IDX file, gzipped or not. Raises DatasetError."""
    return parse_idx_images(_unpacked(source, 16 + max_items * PIXELS))


def read_idx_labels(source: IO[bytes], max_items: int = MAX_ITEMS) -> Labels:
    """uint8 [n] from an IDX file, gzipped or not. Raises DatasetError."""
    return parse_idx_labels(_unpacked(source, 8 + max_items))


def read_file(path: Path) -> tuple[Images, Labels | None]:
    """Images and, where there are any, labels from a .csv, an IDX or a .zip file, told apart by name.

    The labels of IDX images are looked for beside them, in the file named "labels-idx1" instead of "images-idx3".
    Raises DatasetError; OSError if the file cannot be read.
    """
    if path.suffix == ".zip":
        with path.open("rb") as source:
            return read_zip(source)
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            return read_csv(lines)
    with path.open("rb") as source:
        images = read_idx_images(source)
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path or not beside.is_file():
        return images, None
    with beside.open("rb") as source:
        return images, read_idx_labels(source)


def parse_idx_images(content: bytes) -> Images:
    """uint8 [n, 28, 28] from the bytes of an unpacked IDX file. Raises DatasetError."""
    images = _parse_idx(content, dimensions=3)
    if images.shape[1:] != (SIDE, SIDE):
        raise DatasetError(f"IDX images are {images.shape[1]}x{images.shape[2]} pixels; they must be {SIDE}x{SIDE}.")
    return images


def parse_idx_labels(content: bytes) -> Labels:
    """uint8 [n] from the bytes of an unpacked IDX file. Raises DatasetError."""
    return _parse_idx(content, dimensions=1)


def _unpacked(source: IO[bytes], limit: int) -> bytes:
    start = source.read(2)
    source.seek(0)
    packed = start == b"\x1f\x8b"
    try:
        # One byte more than allowed tells "too long" without unpacking a bomb.
        content = gzip.GzipFile(fileobj=source).read(limit + 1) if packed else source.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"The gzip file is damaged: {error}.") from error
    if len(content) > limit:
        raise DatasetError(f"The IDX file holds more than {limit:,} bytes.")
    return bytes(content)


def _parse_idx(content: bytes, dimensions: int) -> NDArray[np.uint8]:
    header = 4 + 4 * dimensions
    magic = struct.pack(">BBBB", 0, 0, 8, dimensions)
    if content[:4] != magic:
        raise DatasetError(
            f"This is no IDX file of bytes in {dimensions} dimension(s): it starts with "
            f"{content[:4].hex() or 'nothing'}, not {magic.hex()}."
        )
    if len(content) < header:
        raise DatasetError("The IDX file ends within its header.")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    promised = int(np.prod(shape, dtype=object))
    if promised != len(content) - header:
        raise DatasetError(
            f"The IDX header promises {promised:,} bytes ({' x '.join(map(str, shape))}), "
            f"but {len(content) - header:,} follow."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_csv(lines: Iterable[str], max_items: int = MAX_ITEMS) -> tuple[Images, Labels | None]:
    """Images, and labels if the rows have them, from CSV lines: 785 columns (label, then pixels) or 784 (pixels).

    A first line that is no numbers is a header. Raises DatasetError that names row and column, counted from 1 with the
    header as row 1.
    """
    rows: Iterator[str] = (line.rstrip("\r\n") for line in lines)
    first = next(rows, None)
    if first is None:
        raise DatasetError("The CSV file is empty.")
    columns = first.count(",") + 1
    if columns not in (PIXELS, PIXELS + 1):
        raise DatasetError(f"Row 1 has {columns} columns; expected {PIXELS} pixels, or a label and {PIXELS} pixels.")
    header = not any(_is_number(cell) for cell in first.lstrip("\ufeff").split(","))
    number = 2 if header else 1
    if not header:
        rows = itertools.chain([first.lstrip("\ufeff")], rows)
    chunks: list[NDArray[np.uint8]] = []
    while chunk := list(itertools.islice(rows, 1000)):
        chunks.append(_parse_rows(chunk, number, columns))
        number += len(chunk)
        if sum(map(len, chunks)) > max_items:
            raise DatasetError(f"The CSV file has more than {max_items:,} rows.")
    if not chunks or not sum(map(len, chunks)):
        raise DatasetError("The CSV file has a header but no rows.")
    values = np.concatenate(chunks)
    images = np.ascontiguousarray(values[:, -PIXELS:]).reshape(-1, SIDE, SIDE)
    return images, values[:, 0].copy() if columns > PIXELS else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse_rows(rows: list[str], first_number: int, columns: int) -> NDArray[np.uint8]:
    try:
        # comments=None: a "#" is an error, not the end of a row.
        values = np.loadtxt(rows, delimiter=",", dtype=np.int16, ndmin=2, comments=None)
        if values.shape == (len(rows), columns) and values.min() >= 0 and values.max() <= 255:
            if columns == PIXELS or values[:, 0].max() < CLASSES:
                return values.astype(np.uint8)
    except ValueError:
        pass
    # Slower, cell by cell: it finds the place that is wrong, and lets blank lines and "12.0" pass.
    parsed = [_parse_row(row, number, columns) for number, row in enumerate(rows, first_number) if row.strip()]
    return np.array(parsed, np.uint8).reshape(-1, columns)


def _parse_row(row: str, number: int, columns: int) -> list[int]:
    cells = row.split(",")
    if len(cells) != columns:
        raise DatasetError(f"Row {number} has {len(cells)} columns; the first row has {columns}.")
    values = []
    for column, cell in enumerate(cells, 1):
        label = column == 1 and columns > PIXELS
        highest = CLASSES - 1 if label else 255
        value = float(cell) if _is_number(cell) else float("nan")
        if not (value.is_integer() and 0 <= value <= highest):
            what = "label" if label else "pixel"
            raise DatasetError(
                f"Row {number}, column {column}: {cell.strip()[:20]!r} is no {what}, "
                f"a whole number from 0 to {highest}."
            )
        values.append(int(value))
    return values


def read_zip(source: IO[bytes], max_items: int = MAX_ITEMS) -> tuple[Images, Labels]:
    """Images and labels from a ZIP of pictures in folders named by class ("Coat", "T-shirt/top" as "t-shirt-top") or
    by label ("4"). Raises DatasetError that names the entry.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if _is_picture(entry)]
            if not 0 < len(entries) <= max_items:
                raise DatasetError(f"The ZIP file holds {len(entries):,} pictures; expected 1 to {max_items:,}.")
            labels = np.array([_label_of(entry.filename) for entry in entries], np.uint8)
            pixels = b"".join(_pixels_of(archive, entry) for entry in entries)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"The ZIP file is damaged, encrypted or of an unknown kind: {error}.") from error
    return np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE), labels


def _is_picture(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename).parts
    # Finder and Explorer leave files of their own in archives.
    return not entry.is_dir() and "__MACOSX" not in parts and not parts[-1].startswith(".") and parts[-1] != "Thumbs.db"


def _label_of(filename: str) -> int:
    folder = PurePosixPath(filename).parent.name
    name = _folder_name(folder)
    names = [_folder_name(each) for each in CLASS_NAMES]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < CLASSES:
        return int(name)
    raise DatasetError(f"{filename}: its folder {folder!r} is no class; use {', '.join(names)}, or 0 to {CLASSES - 1}.")


def _folder_name(name: str) -> str:
    return name.strip().lower().replace("/", "-").replace(" ", "-").replace("_", "-")


def _pixels_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as picture:
        data = picture.read(MAX_PICTURE_BYTES + 1)
    if len(data) > MAX_PICTURE_BYTES:
        raise DatasetError(f"{entry.filename}: is larger than {MAX_PICTURE_BYTES:,} bytes.")
    try:
        return read_image(data).pixels
    except InvalidImage as error:
        raise DatasetError(f"{entry.filename}: {error}") from error
