"""Files that are wrong on purpose, in every way that hypothesis thinks of; hostile_files says what may come of them."""

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.strategies import SearchStrategy, binary, booleans, integers, sampled_from, text
from PIL import Image

import hostile_files
from ml import dataset_files
from ml.batch_files import read_entries
from ml.datasets import DatasetError
from ml.images import ContractImage, InvalidImage, read_image, render_preview
from processes import sample
from targets import CORPUS

PICTURES = {path.name: path.read_bytes() for path in sorted((CORPUS / "pictures").iterdir())}
U32 = sampled_from([0, 1, 2, 27, 28, 29, 784, 2**16, 2**31 - 1, 2**31, 2**32 - 1]) | integers(0, 2**32 - 1)
U16 = sampled_from([0, 1, 8, 2**15, 2**16 - 1]) | integers(0, 2**16 - 1)


def damaged(files: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """Files with some bytes exchanged, cut off, put in twice, and followed by others."""
    edits = strategies.lists(strategies.tuples(integers(0, 2**16), integers(0, 255)), max_size=6)
    return strategies.builds(
        _damage, files, edits, strategies.none() | integers(0, 2**14), integers(0, 400), binary(max_size=8)
    )


def _damage(data: bytes, edits: list[tuple[int, int]], cut: int | None, twice: int, more: bytes) -> bytes:
    content = bytearray(data)
    for place, value in edits:
        if content:
            content[place % len(content)] = value
    if cut is not None and content:
        del content[cut % len(content) :]
    return bytes(content[:twice] + content + more)


@given(damaged(sampled_from(list(PICTURES.values()))))
def test_a_damaged_picture_is_read_or_refused(data: bytes) -> None:
    hostile_files.picture(data)


@given(
    binary(max_size=300),
    sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"RIFF\0\0\0\0WEBP",
        ]
    ),
)
def test_anything_behind_the_first_bytes_of_a_format_is_read_or_refused(data: bytes, magic: bytes) -> None:
    hostile_files.picture(magic + data)


@given(U32, U32, integers(0, 255), integers(0, 255), booleans(), binary(max_size=100))
def test_a_png_that_lies_about_itself_with_right_checksums_is_read_or_refused(
    width: int, height: int, depth: int, colors: int, interlaced: bool, rows: bytes
) -> None:
    head = struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, interlaced)
    hostile_files.picture(_png([(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]))


@given(
    strategies.lists(
        strategies.tuples(
            sampled_from(
                [
                    b"tEXt",
                    b"zTXt",
                    b"iTXt",
                    b"iCCP",
                    b"eXIf",
                    b"tRNS",
                    b"PLTE",
                    b"acTL",
                    b"fcTL",
                    b"fdAT",
                    b"IDAT",
                    b"gAMA",
                    b"pHYs",
                    b"xxXx",
                ]
            ),
            binary(max_size=60),
        ),
        max_size=6,
    )
)
def test_chunks_of_any_content_around_a_picture_are_read_or_refused(chunks: list[tuple[bytes, bytes]]) -> None:
    head = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(28 * 29))
    hostile_files.picture(_png([(b"IHDR", head), *chunks, (b"IDAT", rows), *chunks, (b"IEND", b"")]))


@given(
    strategies.lists(strategies.tuples(U16, integers(0, 18), U32, U32), max_size=12),
    sampled_from("<>"),
    binary(max_size=60),
)
def test_a_tiff_directory_of_any_content_is_read_or_refused(
    tags: list[tuple[int, int, int, int]], order: str, rest: bytes
) -> None:
    needed = [
        (256, 4, 1, 3),
        (257, 4, 1, 3),
        (258, 3, 1, 8 << 16 if order == ">" else 8),
        (262, 3, 1, 1 << 16 if order == ">" else 1),
    ]
    fields = b"".join(struct.pack(order + "HHII", *tag) for tag in needed + tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(needed) + len(tags))
    hostile_files.picture(head + fields + bytes(4) + rest)


def test_a_picture_of_more_pixels_than_are_accepted_costs_nothing() -> None:
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = _png([(b"IHDR", head), (b"IDAT", zlib.compress(bytes(30_000_000))), (b"IEND", b"")])
    with pytest.raises(InvalidImage) as refused:
        read_image(bomb)
    assert refused.value.code == "too_many_pixels"


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        for kind, content in chunks
    )


@given(
    sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"]),
    sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]),
    integers(1, 40),
    integers(1, 40),
    integers(0, 9),
)
def test_every_picture_that_a_program_writes_is_read(
    mode: str, kind: str, width: int, height: int, turned: int
) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x112] = turned
    picture = Image.effect_noise((width, height), 80)
    try:
        (picture.convert("RGB") if mode in ("P", "CMYK", "RGBA") else picture).convert(mode).save(file, kind, exif=exif)
    except (OSError, ValueError):
        return  # the format does not have this mode
    assert len(read_image(file.getvalue()).pixels) == 784


CELLS = sampled_from(
    ["0", "255", "256", "-1", "1e0", "1e999", "nan", "", " ", "0x1", "1_0", '"1"', "٣", "\0", "9" * 400]
) | text(max_size=4)
ROWS = strategies.builds(
    lambda columns, odd, value: ",".join(odd.get(place, value) for place in range(columns)),
    sampled_from([784, 785, 783, 786, 1]),
    strategies.dictionaries(integers(0, 785), CELLS, max_size=3),
    sampled_from(["0", "7"]),
)


@given(
    strategies.lists(ROWS, max_size=5),
    sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    sampled_from(["utf-8", "utf-16", "latin-1", "utf-8-sig"]),
)
def test_rows_of_any_content_are_read_or_refused(rows: list[str], end: str, encoding: str) -> None:
    hostile_files.csv(end.join(rows).encode(encoding, "replace"))


class Endless(io.RawIOBase):
    """A file that says the same for ever, and how much of it was read."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self.left = start
        self.again = again * (65536 // len(again) + 1)
        self.read_so_far = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return 0  # only ever asked for before the first bytes count

    def readinto(self, buffer: Any) -> int:
        part = (self.left + self.again)[: len(buffer)]
        self.left = self.left[len(part) :]
        buffer[: len(part)] = part
        self.read_so_far += len(part)
        assert self.read_so_far < 16 * 1024 * 1024, "it reads and reads"
        return len(part)


@pytest.mark.parametrize(
    "start, again",
    [
        (b"", b"0,"),
        (b"", b"0"),
        (b"", b","),
        (b"", b"\xff"),
        (b"0," * 783 + b"0\n", b"0,"),
        (b"0," * 783 + b"0\n", b"9"),
        (b"", b'"'),
        (b"", b"\n"),
        (b"", b"\0"),
    ],
)
def test_a_csv_of_endless_columns_or_digits_is_refused_when_the_first_line_is_too_long(
    start: bytes, again: bytes
) -> None:
    for read in (_dataset, _batch):
        with pytest.raises(DatasetError) as refused:
            read(io.BufferedReader(Endless(start, again)))
        assert len(str(refused.value)) < 1000


@given(U32, U32, U32, integers(0, 5), sampled_from([0, 1, 783, 784, 785, 784 * 2]), booleans(), integers(0, 300))
def test_an_idx_header_that_lies_is_refused(
    count: int, rows: int, columns: int, dimensions: int, follow: int, packed: bool, labels: int
) -> None:
    head = struct.pack(">BBBBIII", 0, 0, 8, dimensions, count, rows, columns)
    images = head + bytes(follow)
    label_file = struct.pack(">BBBBI", 0, 0, 8, 1, count) + bytes(range(256))[:labels]
    pair = (gzip.compress(label_file), gzip.compress(images)) if packed else (label_file, images)
    hostile_files.idx(len(pair[0]).to_bytes(2, "big") + pair[0] + pair[1])


def test_a_gzip_bomb_takes_no_memory() -> None:
    head = struct.pack(">BBBBIII", 0, 0, 8, 3, 10**6, 28, 28)
    bomb = gzip.compress(head + bytes(200_000_000), compresslevel=1)
    for read in (lambda source: dataset_files.read_idx_images(source, 1000), _batch):
        tracemalloc.start()
        with pytest.raises(DatasetError):
            read(io.BytesIO(bomb))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * 1024 * 1024, peak


NAMES = sampled_from(
    [
        "coat/1.png",
        "../coat/1.png",
        "/coat/1.png",
        "C:\\coat\\1.png",
        "coat/../../x.png",
        "..\\coat\\1.png",
        "coat/\n.png",
        "coat/",
        "",
        ".",
        "4/x.png",
        "coat/" + "a" * 600,
        "__MACOSX/coat/1.png",
        "coat/‮gnp.exe",
        "coat/..png",
        "T-shirt/top/1.png",
    ]
) | text(max_size=20)
BAG = sample("bag")


def _packed(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED, mode: int = 0o100644) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            entry.compress_type = method
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return content.getvalue()


NESTED = _packed([("coat/1.png", BAG)])
CONTENTS = sampled_from([BAG, b"", b"/etc/passwd", NESTED, bytes(1 << 20), sample("coat")[:100], b"\x89PNG\r\n\x1a\n"])
ENTRIES = strategies.lists(strategies.tuples(NAMES, CONTENTS), max_size=4)
METHODS = sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
MODES = sampled_from([0o100644, 0o120777, 0o040755, 0o060000, 0])


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@given(strategies.builds(_packed, ENTRIES, METHODS, MODES))
def test_entries_of_any_name_kind_and_content_are_read_or_refused(data: bytes) -> None:
    hostile_files.zip_file(data)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@given(damaged(strategies.builds(_packed, ENTRIES, METHODS, MODES)))
def test_a_damaged_zip_is_read_or_refused(data: bytes) -> None:
    hostile_files.zip_file(data)


@given(integers(0, 45), U16)
def test_a_zip_that_lies_in_its_directory_is_read_or_refused(place: int, value: int) -> None:
    content = bytearray(NESTED)
    struct.pack_into("<H", content, content.index(b"PK\1\2") + 4 + min(place, 40), value)
    hostile_files.zip_file(bytes(content))


def test_what_a_zip_names_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in ("../../coat/1.png", str(tmp_path / "coat/1.png"), "coat/1.png"):
        hostile_files.zip_file(_packed([(name, BAG)]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_link_within_a_zip_leads_nowhere() -> None:
    (entry,) = read_entries(
        io.BytesIO(_packed([("coat/1.png", b"/etc/passwd")], mode=0o120777)), None, hostile_files.LIMITS
    )
    assert isinstance(entry.picture, InvalidImage) and entry.picture.code == "not_an_image"


def test_a_zip_bomb_takes_no_memory() -> None:
    bomb = _packed([(f"coat/{n}.png", bytes(60_000_000)) for n in range(3)])
    assert len(bomb) < 300_000
    for read in (_dataset_of_zip, _batch):
        tracemalloc.start()
        with pytest.raises(DatasetError):
            read(io.BytesIO(bomb))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # A picture may have 32 MiB, and is put together of what was unpacked.
        assert peak < 80 * 1024 * 1024, peak


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_entries_of_the_same_name_are_all_read() -> None:
    white = render_preview(bytes(784))
    data = _packed([("coat/1.png", BAG), ("coat/1.png", white)])
    found = [entry.picture for entry in read_entries(io.BytesIO(data), None, hostile_files.LIMITS)]
    assert [isinstance(each, ContractImage) and each.pixels for each in found] == [read_image(BAG).pixels, bytes(784)]
    images, labels = dataset_files.read_zip(io.BytesIO(data))
    assert labels.tolist() == [4, 4] and np.array_equal(images[1], np.zeros((28, 28)))


def _dataset(source: Any) -> object:
    return dataset_files.read_csv_file(source, hostile_files.LIMITS.items)


def _dataset_of_zip(source: Any) -> object:
    limits = hostile_files.LIMITS
    return dataset_files.read_zip(source, limits.items, limits.pixels, limits.bytes)


def _batch(source: Any) -> object:
    return list(read_entries(source, None, hostile_files.LIMITS))
