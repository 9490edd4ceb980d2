"""Files of labelled images that people have: IDX, CSV, and ZIP of class folders.

They come from strangers, so nothing in a file is believed before it is checked, and nothing is unpacked without limit.
"""

import gzip
import io
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

# What the standard library raises for a ZIP file that is broken in one way or another.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError, OSError)

# What a ZIP file may cost. Its directory takes a kilobyte of memory an entry, and a picture of a single colour shrinks
# so well that only the number of pixels tells how long it takes to read: a second for 80 million, at worst.
MAX_ENTRIES: Final = 100_000
MAX_UNPACKED_BYTES: Final = 1024 * 1024 * 1024
MAX_PIXELS_TOGETHER: Final = 40_000_000_000
_ZIP_ENTRY = b"PK\1\2"  # with which each entry of the directory starts
_BLOCK = 1024 * 1024
# The longest line of a CSV file; 785 numbers with all the digits that anybody writes take a quarter of it.
LONGEST_LINE = 64 * 1024


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
        with path.open("rb") as source:
            return read_csv_file(source)
    with path.open("rb") as source:
        images = read_idx_images(source)
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path or not beside.is_file():
        return images, None
    with beside.open("rb") as source:
        return images, read_idx_labels(source)


def parse_idx_images(content: bytes) -> Images:
    """uint8 [n, 28, 28] from the bytes of an unpacked IDX file. Raises DatasetError."""
    return _parse_idx(content, (SIDE, SIDE))


def parse_idx_labels(content: bytes) -> Labels:
    """uint8 [n] from the bytes of an unpacked IDX file. Raises DatasetError."""
    return _parse_idx(content, ())


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


def _parse_idx(content: bytes, sides: tuple[int, ...]) -> NDArray[np.uint8]:
    dimensions = 1 + len(sides)
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
    # Before anything is made of the bytes: of 4,294,967,295 x 4,294,967,295 x 0 no array can be.
    if shape[1:] != sides:
        raise DatasetError(
            f"IDX images are {'x'.join(map(str, shape[1:]))} pixels; they must be {'x'.join(map(str, sides))}."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_csv_file(source: IO[bytes], max_items: int = MAX_ITEMS) -> tuple[Images, Labels | None]:
    """`read_csv` of a binary file, in UTF-8, whose lines may be of any length. Raises DatasetError as it does."""
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="replace", newline="")
    try:
        return read_csv(iter(lambda: text.readline(LONGEST_LINE), ""), max_items)
    finally:
        text.detach()  # or it would close what the caller opened


def read_csv(lines: Iterable[str], max_items: int = MAX_ITEMS) -> tuple[Images, Labels | None]:
    """Images, and labels if the rows have them, from CSV lines: 785 columns (label, then pixels) or 784 (pixels).

    A first line that is no numbers is a header. Raises DatasetError that names row and column, counted from 1 with the
    header as row 1.
    """
    columns, chunks = csv_chunks(lines)
    images, labels = [], []
    count = 0
    for number, rows in chunks:
        values = parse_rows(rows, number, columns)
        images.append(values[:, -PIXELS:])
        labels.append(values[:, 0])
        count += len(rows)
        if count > max_items:
            raise DatasetError(f"The CSV file has more than {max_items:,} rows.")
    if not sum(map(len, labels)):
        raise DatasetError("The CSV file has a header but no rows.")
    together = np.concatenate(images).reshape(-1, SIDE, SIDE)
    return together, np.concatenate(labels) if columns > PIXELS else None


def csv_chunks(lines: Iterable[str]) -> tuple[int, Iterator[tuple[int, list[str]]]]:
    """How many columns a CSV file has, 784 or 785, and its rows: a few at a time, with the number of their first.

    A header is left out, but counted. Raises DatasetError.
    """
    rows: Iterator[str] = (line.rstrip("\r\n") for line in lines)
    first = next(rows, None)
    if first is None:
        raise DatasetError("The CSV file is empty.")
    columns = first.count(",") + 1
    if columns not in (PIXELS, PIXELS + 1):
        raise DatasetError(f"Row 1 has {columns} columns; expected {PIXELS} pixels, or a label and {PIXELS} pixels.")
    first = first.lstrip("\ufeff")
    header = not any(_is_number(cell) for cell in first.split(","))
    return columns, _chunks(rows, 2) if header else _chunks(itertools.chain([first], rows), 1)


def _chunks(rows: Iterator[str], number: int) -> Iterator[tuple[int, list[str]]]:
    # Few rows at a time: a web process that reads a long file has to answer others in between.
    while chunk := list(itertools.islice(rows, 250)):
        yield number, chunk
        number += len(chunk)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # 1_0 is ten in Python only


def parse_rows(rows: list[str], first_number: int, columns: int) -> NDArray[np.uint8]:
    """uint8 [rows that are not blank, columns]. Raises DatasetError that names row and column."""
    if not any(map(str.strip, rows)):
        return np.empty((0, columns), np.uint8)  # loadtxt would warn
    try:
        values = _parse_plain(rows, columns)
        if values.shape == (len(rows), columns) and values.min() >= 0 and values.max() <= 255:
            if columns == PIXELS or values[:, 0].max() < CLASSES:
                return values.astype(np.uint8)
    except ValueError:
        pass
    # Slower, cell by cell: it finds the place that is wrong, and lets blank lines and "12.0" pass.
    parsed = [parse_row(row, number, columns) for number, row in enumerate(rows, first_number) if row.strip()]
    return np.array(parsed, np.uint8).reshape(-1, columns)


def _parse_plain(rows: list[str], columns: int) -> NDArray[np.int16]:
    """Rows of whole numbers. Raises ValueError for any other.

    NumPy's loadtxt sees nothing but digits, in cells that are short on average: other text has made it read memory that
    is not its own, and ended the process (2.4.6).
    """
    if any(len(row) > _LONGEST_CELL * columns for row in rows) or "".join(rows).translate(_PLAIN):
        raise ValueError
    return np.loadtxt(rows, delimiter=",", dtype=np.int16, ndmin=2)


_LONGEST_CELL = 5  # "255, "
_PLAIN = str.maketrans("", "", "0123456789, ")


def parse_row(row: str, number: int, columns: int) -> list[int]:
    """The numbers of a row. Raises DatasetError that names row and column."""
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


def read_zip(
    source: IO[bytes], max_items: int = MAX_ITEMS, max_pixels: int = 24_000_000, max_bytes: int = MAX_UNPACKED_BYTES
) -> tuple[Images, Labels]:
    """Images and labels from a ZIP of pictures in folders named by class ("Coat", "T-shirt/top" as "t-shirt-top") or
    by label ("4"). Raises DatasetError that names the entry.

    A picture may have `max_pixels`, and fewer the more there are: MAX_PIXELS_TOGETHER shared by all. Unpacked, the
    pictures may have `max_bytes` together.
    """
    with open_zip(source) as archive:
        entries = [entry for entry in archive.infolist() if is_picture(entry)]
        if not 0 < len(entries) <= max_items:
            raise DatasetError(f"The ZIP file holds {len(entries):,} pictures; expected 1 to {max_items:,}.")
        labels = np.array([_label_of(entry.filename) for entry in entries], np.uint8)
        each = min(max_pixels, MAX_PIXELS_TOGETHER // len(entries))
        return _read_pictures(archive, entries, each, max_bytes), labels


def open_zip(source: IO[bytes]) -> zipfile.ZipFile:
    """An archive that does not take more memory to open than it should. Raises DatasetError."""
    _check_directory(source)
    try:
        return zipfile.ZipFile(source)
    except _DAMAGED as error:
        raise DatasetError(f"The ZIP file is damaged or of an unknown kind: {shown(str(error))}.") from error


def _check_directory(source: IO[bytes]) -> None:
    """Refuse a ZIP file of so many entries that opening it takes too much memory. What it says of itself may be a lie,
    so the entries are counted; one across two blocks may be missed, which does not matter.
    """
    source.seek(0)
    found = sum(block.count(_ZIP_ENTRY) for block in iter(lambda: source.read(_BLOCK), b""))
    if found > MAX_ENTRIES:
        raise DatasetError(f"The ZIP file has {found:,} entries; at most {MAX_ENTRIES:,} are read. Send an IDX pair.")
    source.seek(0)


def is_picture(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is meant as a picture: no folder, and nothing that systems put into archives by themselves."""
    parts = _path(entry.filename).parts
    if not parts or entry.filename.endswith("/"):
        return False
    # Finder and Explorer leave files of their own in archives.
    return "__MACOSX" not in parts and not parts[-1].startswith(".") and parts[-1] not in ("Thumbs.db", "desktop.ini")


def _path(filename: str) -> PurePosixPath:
    return PurePosixPath(filename.replace("\\", "/"))  # as some programs for Windows separate folders


def folder_label(filename: str) -> int | None:
    """The label that the folder of an entry names, by class or by number; nothing where it names none."""
    return _LABELS.get(_folder_name(_path(filename).parent.name))


def _label_of(filename: str) -> int:
    label = folder_label(filename)
    if label is None:
        folder = _path(filename).parent.name
        known = ", ".join(map(_folder_name, CLASS_NAMES))
        raise DatasetError(
            f"{shown(filename)}: its folder {shown(folder)!r} is no class; use {known}, or 0 to {CLASSES - 1}."
        )
    return label


def _folder_name(name: str) -> str:
    return name.strip().lower().replace("/", "-").replace(" ", "-").replace("_", "-")


_LABELS = {name: label for label, each in enumerate(CLASS_NAMES) for name in (_folder_name(each), str(label))}


def _read_pictures(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], max_pixels: int, max_bytes: int
) -> Images:
    pixels = np.empty((len(entries), PIXELS), np.uint8)
    read = 0
    for place, entry in enumerate(entries):
        data = unzipped(archive, entry)
        read += len(data)
        if read > max_bytes:
            raise DatasetError(f"The pictures in the ZIP file have more than {max_bytes:,} bytes. Send smaller ones.")
        try:
            pixels[place] = np.frombuffer(read_image(data, max_pixels).pixels, np.uint8)
        except InvalidImage as error:
            raise DatasetError(f"{shown(entry.filename)}: {error}") from error
    return pixels.reshape(-1, SIDE, SIDE)


def unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, at most MAX_PICTURE_BYTES. Raises DatasetError."""
    # The other methods can be asked to take gigabytes of memory, and nobody's pictures need them.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DatasetError(f"{shown(entry.filename)}: its compression is unusual. Pack it with deflate, or without.")
    try:
        with archive.open(entry) as picture:
            data = picture.read(MAX_PICTURE_BYTES + 1)
    except _DAMAGED as error:
        raise DatasetError(f"{shown(entry.filename)} is damaged or encrypted: {shown(str(error))}.") from error
    if len(data) > MAX_PICTURE_BYTES:
        raise DatasetError(f"{shown(entry.filename)} is larger than {MAX_PICTURE_BYTES:,} bytes.")
    return data


def shown(name: str) -> str:
    """A name, or what a library says of it, as far as it fits into a message."""
    return name if len(name) <= 200 else f"{name[:200]}…"
