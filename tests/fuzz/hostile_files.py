"""What may come of a file that a stranger sends: what it says, or a refusal in our own words, at a bounded cost.

Each function takes the bytes of one file, reads it in every way in which the product reads such files, and fails where
one ends in anything else. Property-based tests, the fuzzer and the replay of its corpus all judge by these.
"""

import io
import re

import numpy as np

from ml import batch_files, dataset_files, images
from ml.batch_files import Entry, Limits, read_entries
from ml.dataset_files import CLASSES, PIXELS, DatasetError, Images, Labels
from ml.image_files import Picture, decode
from ml.images import ContractImage, InvalidImage

# Small, so that a file that is cheap to make is at a limit.
MAX_PIXELS = 1_000_000
LIMITS = Limits(items=100, pixels=MAX_PIXELS, bytes=16 * 1024 * 1024)

_CODES = {"empty", "not_an_image", "unsupported_format", "too_many_pixels", "truncated", "damaged"}
_OF_A_ROW = {"invalid_row", "invalid_label"}
_LONGEST_MESSAGE = 2000  # whoever sends a file does not decide how much we answer and log


def picture(data: bytes) -> None:
    """A picture file becomes 784 pixels or InvalidImage; the short way and the long way agree."""
    try:
        read = images.read_image(data, MAX_PIXELS)
    except InvalidImage as invalid:
        _check_refusal(invalid, _CODES)
        return
    _check_picture(read)
    short = images._plain_png(data)
    if short is not None:
        long = decode(data, MAX_PIXELS)
        assert isinstance(long, Picture) and long.pixels.tobytes() == short, "the short way sees another picture"


def csv(data: bytes) -> None:
    """A CSV file becomes a data set or DatasetError; and entries of a batch, which agree."""
    try:
        whole = dataset_files.read_csv_file(io.BytesIO(data), LIMITS.items)
    except DatasetError as refused:
        _check_message(refused)
        whole = None
    entries = _entries(data, None)
    if whole is not None and not data.startswith((b"PK", b"\x1f\x8b", b"\0\0")):
        assert entries is not None, "a data set, but no batch"
        _check_same(whole[0], whole[1], entries)


def idx(data: bytes) -> None:
    """A pair of IDX files: two bytes say how long the labels are, which come first."""
    length = int.from_bytes(data[:2], "big")
    label_file, image_file = data[2 : 2 + length], data[2 + length :]
    labels = _idx_labels(label_file)
    try:
        pictures = dataset_files.read_idx_images(io.BytesIO(image_file), LIMITS.items)
    except DatasetError as refused:
        _check_message(refused)
        pictures = None
    for given in (None, labels):
        entries = _entries(image_file, given)
        if entries is not None and pictures is not None:
            _check_same(pictures, given, entries)


def zip_file(data: bytes) -> None:
    """A ZIP file becomes a data set or DatasetError; and entries of a batch, whose names lead nowhere."""
    try:
        whole = dataset_files.read_zip(io.BytesIO(data), LIMITS.items, LIMITS.pixels, LIMITS.bytes)
    except DatasetError as refused:
        _check_message(refused)
        whole = None
    entries = _entries(data, None) if data.startswith(b"PK") else None
    for entry in entries or []:
        assert entry.name is not None and len(entry.name) <= batch_files.MAX_NAME
        assert not re.search(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|[\0-\x1f\x7f]", entry.name), entry.name
    if whole is not None and entries is not None:
        _check_same(whole[0], whole[1], entries)


def _idx_labels(data: bytes) -> Labels | None:
    try:
        labels = dataset_files.read_idx_labels(io.BytesIO(data), LIMITS.items)
    except DatasetError as refused:
        _check_message(refused)
        return None
    assert labels.dtype == np.uint8 and labels.ndim == 1 and len(labels) <= LIMITS.items
    return labels


def _entries(data: bytes, labels: Labels | None) -> list[Entry] | None:
    found = []
    try:
        for entry in read_entries(io.BytesIO(data), labels, LIMITS):
            found.append(entry)
            if isinstance(entry.picture, InvalidImage):
                _check_refusal(entry.picture, _CODES | _OF_A_ROW)
            else:
                _check_picture(entry.picture)
            assert entry.label is None or 0 <= entry.label < CLASSES
    except DatasetError as refused:
        _check_message(refused)
        return None
    finally:
        assert len(found) <= LIMITS.items
    return found


def _check_picture(read: ContractImage) -> None:
    assert type(read.pixels) is bytes and len(read.pixels) == PIXELS
    assert all(warning.code and warning.detail for warning in read.warnings)


def _check_refusal(invalid: InvalidImage, codes: set[str]) -> None:
    assert invalid.code in codes, invalid.code
    _check_message(invalid)


def _check_message(refused: Exception) -> None:
    text = str(refused)
    assert 0 < len(text) <= _LONGEST_MESSAGE, f"a message of {len(text)} characters"
    assert not re.search(r"Traceback|object at 0x|site-packages", text), text


def _check_same(pictures: Images, labels: Labels | None, entries: list[Entry]) -> None:
    """What is a data set as a whole has the same pictures and labels as a batch, unless a batch refuses a label."""
    assert pictures.dtype == np.uint8 and pictures.shape == (len(entries), 28, 28)
    for place, entry in enumerate(entries):
        if isinstance(entry.picture, InvalidImage):
            assert entry.picture.code in ("invalid_label", "too_many_pixels"), entry.picture
        else:
            assert entry.picture.pixels == pictures[place].tobytes()
            assert labels is None or entry.label == labels[place]
