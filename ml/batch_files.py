"""Files of pictures to classify, read one by one: CSV, IDX and ZIP, labelled or not.

Unlike a data set, a batch need not be right as a whole: a row or an entry that cannot be read is an entry with an
error, and the next one is read. What makes the whole file unreadable, or dangerous to read, raises DatasetError, at any
time while the entries are gone through.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Final

from ml import dataset_files
from ml.dataset_files import CLASSES, LONGEST_LINE, MAX_PICTURE_BYTES, PIXELS, SIDE, DatasetError, Labels, shown
from ml.images import ContractImage, InvalidImage, contract_image, read_image

# A ZIP file may unpack to so many times its size. Pictures are packed already, and drawings as BMP shrink less.
MAX_RATIO: Final = 100
MAX_NAME: Final = 500  # characters
_AT_ONCE = 256  # pictures of an IDX file
_LINES_AN_ITEM = 4  # of a CSV file: some programs put blank ones between the rows
_GZIP, _ZIP, _IDX = b"\x1f\x8b", b"PK", b"\0\0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a file, or why it cannot be read. `label` (0 to 9) and `name` where it came with them."""

    picture: ContractImage | InvalidImage
    label: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pictures a file may hold, how many pixels each, and how many bytes all of them when unpacked."""

    items: int
    pixels: int
    bytes: int


def read_entries(source: IO[bytes], labels: Labels | None, limits: Limits) -> Iterator[Entry]:
    """Every picture of a CSV, IDX or ZIP file, told apart by how it begins; `labels` are those of an IDX file.

    Raises DatasetError when the file is none of these, holds no pictures, or is beyond a limit.
    """
    start = source.read(4)
    source.seek(0)
    is_idx = start.startswith((_GZIP, _IDX))
    if labels is not None and not is_idx:
        raise DatasetError("Labels in a file of their own go with an IDX file of images only.")
    if start.startswith(_ZIP):
        entries = _zip_entries(source, limits)
    elif is_idx:
        entries = _idx_entries(source, labels, limits)
    else:
        entries = _csv_entries(source, limits.items)
    count = 0
    for count, entry in enumerate(entries, 1):
        if count > limits.items:
            raise DatasetError(f"The file holds more than {limits.items:,} pictures. Send them in several files.")
        yield entry
    if not count:
        raise DatasetError("There are no pictures in the file.")


def _csv_entries(source: IO[bytes], most: int) -> Iterator[Entry]:
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="replace", newline="")
    try:
        columns, chunks = _columns(iter(lambda: text.readline(LONGEST_LINE), ""))
        for number, rows in chunks:
            if any(len(row) >= LONGEST_LINE for row in rows):
                raise DatasetError(f"A row after row {number - 1} has more than {LONGEST_LINE:,} characters.")
            if number > _LINES_AN_ITEM * most:  # blank ones give no entry, but take time
                raise DatasetError(f"The file has more than {_LINES_AN_ITEM * most:,} lines. Leave out the blank ones.")
            yield from _row_entries(rows, number, columns)
    finally:
        text.detach()  # or it would close what the caller opened


def _columns(lines: Iterator[str]) -> tuple[int, Iterator[tuple[int, list[str]]]]:
    try:
        return dataset_files.csv_chunks(lines)
    except DatasetError as error:
        raise DatasetError(f"This is no IDX or ZIP file, and no CSV of pictures either. {error}") from error


def _row_entries(rows: list[str], number: int, columns: int) -> Iterator[Entry]:
    try:
        values = dataset_files.parse_rows(rows, number, columns)
    except DatasetError:
        # One of them is wrong: each by itself.
        yield from (_row_entry(row, at, columns) for at, row in enumerate(rows, number) if row.strip())
        return
    for row in values:
        label = int(row[0]) if columns > PIXELS else None
        yield Entry(contract_image(row[-PIXELS:].tobytes()), label)


def _row_entry(row: str, number: int, columns: int) -> Entry:
    try:
        values = dataset_files.parse_row(row, number, columns)
    except DatasetError as error:
        return Entry(InvalidImage("invalid_row", str(error)))
    return Entry(contract_image(bytes(values[-PIXELS:])), values[0] if columns > PIXELS else None)


def _idx_entries(source: IO[bytes], labels: Labels | None, limits: Limits) -> Iterator[Entry]:
    start = source.read(2)
    source.seek(0)
    stream: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=source) if start == _GZIP else source
    count = _idx_count(_idx_read(stream, 16), limits.items)
    if labels is not None and len(labels) != count:
        raise DatasetError(f"There are {count:,} images but {len(labels):,} labels.")
    for first in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - first) * PIXELS
        block = _idx_read(stream, size)
        if len(block) < size:
            raise DatasetError(f"The IDX header promises {count:,} images, but the file ends before them.")
        for place in range(size // PIXELS):
            label = None if labels is None else int(labels[first + place])
            yield _idx_entry(block[place * PIXELS : (place + 1) * PIXELS], label, first + place)
    if _idx_read(stream, 1):
        raise DatasetError(f"The IDX header promises {count:,} images, but the file goes on behind them.")


def _idx_read(stream: IO[bytes] | gzip.GzipFile, size: int) -> bytes:
    try:
        return bytes(stream.read(size))
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"The gzip file is damaged: {error}.") from error


def _idx_count(header: bytes, most: int) -> int:
    if not header.startswith(b"\0\0\x08\x03") or len(header) < 16:
        raise DatasetError(
            "This is no IDX file of images: it must start with 00000803 and the number of images, rows and columns. "
            "Send a CSV unpacked, and the labels of IDX images as `labels`."
        )
    count, rows, columns = (int.from_bytes(header[at : at + 4], "big") for at in (4, 8, 12))
    if (rows, columns) != (SIDE, SIDE):
        raise DatasetError(f"The IDX images are {rows}x{columns} pixels; they must be {SIDE}x{SIDE}.")
    if count > most:
        raise DatasetError(f"The file holds {count:,} pictures; at most {most:,} are read. Send them in several files.")
    return count


def _idx_entry(pixels: bytes, label: int | None, place: int) -> Entry:
    if label is not None and label >= CLASSES:
        detail = f"The label of item {place + 1} is {label}; it must be a whole number from 0 to {CLASSES - 1}."
        return Entry(InvalidImage("invalid_label", detail))
    return Entry(contract_image(pixels), label)


def _zip_entries(source: IO[bytes], limits: Limits) -> Iterator[Entry]:
    source.seek(0, io.SEEK_END)
    left = min(limits.bytes, source.tell() * MAX_RATIO + MAX_PICTURE_BYTES)
    with dataset_files.open_zip(source) as archive:
        members = [member for member in archive.infolist() if dataset_files.is_picture(member)]
        if len(members) > limits.items:
            detail = f"The ZIP file holds {len(members):,} pictures; at most {limits.items:,} are read."
            raise DatasetError(f"{detail} Send them in several files.")
        for member in members:
            _check_name(member.filename)
        most_pixels = min(limits.pixels, dataset_files.MAX_PIXELS_TOGETHER // max(1, len(members)))
        for member in members:
            picture: ContractImage | InvalidImage
            try:
                data = dataset_files.unzipped(archive, member)
                left -= len(data)
                picture = _picture(data, most_pixels)
            except InvalidImage as invalid:
                picture = invalid
            except DatasetError as error:
                # What could not be unpacked to its end took time, and counts as far as it may have gone.
                left -= min(member.file_size, MAX_PICTURE_BYTES)
                picture = InvalidImage("damaged", str(error))
            if left < 0:
                raise DatasetError("The pictures in the ZIP file unpack to too many bytes. Send smaller ones.")
            yield Entry(picture, dataset_files.folder_label(member.filename), member.filename)


def _picture(data: bytes, max_pixels: int) -> ContractImage:
    if data.startswith(b"PK\3\4"):
        raise InvalidImage("not_an_image", "An archive within the archive is not opened; put its pictures beside it.")
    return read_image(data, max_pixels)


def _check_name(name: str) -> None:
    """Nothing is ever written under these names here; but results hand them on, and there it may be."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.search(r"^[A-Za-z]:|[\0-\x1f\x7f]", name):
        raise DatasetError(
            f"The entry {shown(repr(name))} of the ZIP file has a name that leads out of its folder, or control "
            "characters in it. Pack the pictures with plain relative names."
        )
    if len(name) > MAX_NAME:
        raise DatasetError(f"The entry {shown(name)} of the ZIP file has a name of more than {MAX_NAME} letters.")
