"""Files of pictures to classify: what is wrong with one picture is said of that one, what is wrong with all ends it."""

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from ml import batch_files, dataset_files
from ml.batch_files import Entry, Limits, read_entries
from ml.datasets import DatasetError
from ml.images import InvalidImage, render_preview

LIMITS = Limits(items=1000, pixels=24_000_000, bytes=64 * 1024 * 1024)
PIXELS = [bytes([n]) * 783 + b"\0" for n in range(1, 6)]
PNG = render_preview(PIXELS[0])


def rows(labels: bool = False) -> list[str]:
    return [",".join([*([str(n)] if labels else []), *map(str, pixels)]) for n, pixels in enumerate(PIXELS)]


def idx(count: int, side: int = 28, content: bytes = b"".join(PIXELS)) -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, count, side, side) + content


PACKED = gzip.compress(idx(5), mtime=0)


def packed(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, picture in entries.items():
            archive.writestr(name, picture)
    return content.getvalue()


def read(content: bytes, labels: list[int] | None = None, limits: Limits = LIMITS) -> list[Entry]:
    return list(read_entries(io.BytesIO(content), None if labels is None else np.array(labels, np.uint8), limits))


def pixels(entries: list[Entry]) -> list[bytes]:
    return [entry.picture.pixels for entry in entries if not isinstance(entry.picture, InvalidImage)]


def errors(entries: list[Entry]) -> Iterator[tuple[int, str, str]]:
    for place, entry in enumerate(entries):
        if isinstance(entry.picture, InvalidImage):
            yield place, entry.picture.code, str(entry.picture)


@pytest.mark.parametrize("content", [
    "\n".join(rows()).encode(),
    "\r\n".join(rows()).encode() + b"\r\n",
    b"\xef\xbb\xbf" + "\n".join(rows()).encode(),
    ("\n".join([",".join(f"pixel{n}" for n in range(784)), *rows()])).encode(),
    ("\n\n".join(rows())).encode(),
    idx(5),
    PACKED,
    packed({f"{n}.png": render_preview(each) for n, each in enumerate(PIXELS)}),
])  # fmt: skip
def test_every_form_gives_the_same_pictures(content: bytes) -> None:
    entries = read(content)

    assert pixels(entries) == PIXELS
    assert {entry.label for entry in entries} == {None}


@pytest.mark.parametrize("content, labels", [
    ("\n".join(rows(labels=True)).encode(), None), (idx(5), [0, 1, 2, 3, 4]), (PACKED, [0, 1, 2, 3, 4]),
    (packed({f"any/{n}/{n}.png": render_preview(each) for n, each in enumerate(PIXELS)}), None),
])  # fmt: skip
def test_labels_come_with_their_pictures(content: bytes, labels: list[int] | None) -> None:
    assert [entry.label for entry in read(content, labels)] == [0, 1, 2, 3, 4]


def test_a_bad_row_fails_alone_and_names_its_place() -> None:
    lines = ["label," + ",".join(f"pixel{n}" for n in range(1, 785)), *rows(labels=True)]
    lines[2] = lines[2].replace("2", "256", 1)
    lines[3] += ",7"
    lines[4] = "ten" + lines[4][1:]
    found = read("\n".join(lines).encode())

    assert list(errors(found)) == [
        (1, "invalid_row", "Row 3, column 2: '256' is no pixel, a whole number from 0 to 255."),
        (2, "invalid_row", "Row 4 has 786 columns; the first row has 785."),
        (3, "invalid_row", "Row 5, column 1: 'ten' is no label, a whole number from 0 to 9."),
    ]
    assert pixels(found) == [PIXELS[0], PIXELS[4]]
    assert [entry.label for entry in found] == [0, None, None, None, 4]


def test_a_label_that_is_none_fails_its_picture_alone() -> None:
    found = read(idx(5), [0, 10, 2, 255, 4])

    assert [(place, code) for place, code, _ in errors(found)] == [(1, "invalid_label"), (3, "invalid_label")]


def test_what_is_odd_about_a_picture_is_warned_about() -> None:
    blank, inverted = ",".join(["7"] * 784), ",".join(["200"] * 783 + ["201"])
    warnings = [entry.picture.warnings for entry in read(f"{blank}\n{inverted}".encode())]  # type: ignore[union-attr]

    assert [[warning.code for warning in each] for each in warnings] == [["blank"], ["inverted"]]


@pytest.mark.parametrize("content, says", [
    (b"", "no CSV of pictures either. The CSV file is empty"),
    (b"1,2,3\n", "no CSV of pictures either. Row 1 has 3 columns"),
    (PNG, "no CSV of pictures either"),
    (bytes(784), "no IDX file of images"),
    (",".join(f"pixel{n}" for n in range(784)).encode(), "no pictures in the file"),
    ("\n".join([*rows(), "1" * 70_000]).encode(), "more than 65,536 characters"),
    (idx(0, content=b""), "no pictures in the file"),
    (idx(5)[:15], "no IDX file of images"),
    (idx(6), "promises 6 images, but the file ends"),
    (idx(4), "promises 4 images, but the file goes on"),
    (idx(4_000_000_000), "holds 4,000,000,000 pictures; at most 1,000"),
    (idx(5, side=32), "32x32 pixels; they must be 28x28"),
    (struct.pack(">BBBBI", 0, 0, 8, 1, 5) + bytes(5), "no IDX file of images"),
    (gzip.compress("\n".join(rows()).encode(), mtime=0), "Send a CSV unpacked"),
    (PACKED[:-20], "gzip file is damaged"),
    (b"\x1f\x8bnothing", "gzip file is damaged"),
    (b"PK no more", "ZIP file is damaged"),
    (packed({}), "no pictures in the file"),
    (packed({"__MACOSX/._1.png": PNG, ".DS_Store": b"x", "folder/": b""}), "no pictures in the file"),
])  # fmt: skip
def test_what_is_no_file_of_pictures_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        read(content)


@pytest.mark.parametrize("content, labels, says", [
    ("\n".join(rows()).encode(), [0] * 5, "go with an IDX file"),
    (packed({"1.png": PNG}), [0], "go with an IDX file"),
    (idx(5), [0] * 4, "5 images but 4 labels"),
])  # fmt: skip
def test_labels_of_their_own_go_with_as_many_idx_images(content: bytes, labels: list[int], says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        read(content, labels)


def test_the_number_of_blank_lines_has_a_limit() -> None:
    few = Limits(100, LIMITS.pixels, LIMITS.bytes)
    assert len(read("\n\n\n".join(rows()).encode() + b"\n" * 300, limits=few)) == 5
    with pytest.raises(DatasetError, match="more than 400 lines"):
        read("\n".join(rows()).encode() + b"\n" * 10_000, limits=few)


@pytest.mark.parametrize("content", [
    "\n".join(rows()).encode(), idx(5), packed({f"{n}.png": PNG for n in range(5)}),
])  # fmt: skip
def test_the_number_of_pictures_has_a_limit(content: bytes) -> None:
    few = Limits(4, LIMITS.pixels, LIMITS.bytes)
    with pytest.raises(DatasetError, match="in several files"):
        read(content, limits=few)
    assert len(read(content, limits=Limits(5, LIMITS.pixels, LIMITS.bytes))) == 5


def test_a_gzip_that_unpacks_to_more_than_it_promises_is_not_unpacked_to_its_end() -> None:
    bomb = gzip.compress(idx(5) + bytes(200_000_000))
    with pytest.raises(DatasetError, match="goes on behind them"):
        read(bomb)


def test_entries_keep_order_and_names_and_a_broken_one_fails_alone() -> None:
    inner = packed({"1.png": PNG})
    found = read(packed({"b.png": PNG, "Coat/a.png": PNG, "notes.txt": b"hello", "in.zip": inner, "cut.png": PNG[:-9]}))

    assert [(entry.name, entry.label) for entry in found] == [
        ("b.png", None), ("Coat/a.png", 4), ("notes.txt", None), ("in.zip", None), ("cut.png", None),
    ]  # fmt: skip
    assert [(place, code) for place, code, _ in errors(found)] == [
        (2, "not_an_image"), (3, "not_an_image"), (4, "truncated"),
    ]  # fmt: skip
    assert "archive within the archive" in next(text for place, _, text in errors(found) if place == 3)


@pytest.mark.parametrize("name", [
    "../1.png", "a/../../1.png", "..\\1.png", "/etc/1.png", "\\\\server\\1.png", "C:\\1.png", "a\n1.png", "a\x7f.png",
])  # fmt: skip
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="leads out of its folder"):
        read(packed({"fine.png": PNG, name: PNG}))


def test_a_name_that_is_too_long_is_refused_and_any_letters_are_fine() -> None:
    with pytest.raises(DatasetError, match="more than 500 letters"):
        read(packed({"x" * 501: PNG}))
    assert [entry.name for entry in read(packed({"Jäckchen\u202f👚.png": PNG}))] == ["Jäckchen\u202f👚.png"]


def test_an_encrypted_entry_and_an_unusual_compression_fail_alone() -> None:
    content = bytearray(packed({"1.png": PNG, "2.png": PNG}))
    content[6] |= 1
    directory = content.index(b"PK\1\2")
    content[directory + 8] |= 1
    found = read(bytes(content))

    assert [place for place, _, text in errors(found) if "encrypted" in text] == [0]
    (entry,) = read(packed({"1.png": PNG}, zipfile.ZIP_LZMA))
    assert "compression is unusual" in str(entry.picture)


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed({f"{n}.png": bytes(20 * 1024 * 1024) for n in range(3)})
    with pytest.raises(DatasetError, match="unpack to too many bytes"):
        read(bomb)
    with pytest.raises(DatasetError, match="unpack to too many bytes"):
        read(packed({"1.png": PNG}), limits=Limits(10, 1000, 100))
    large = read(packed({"1.png": bytes(33 * 1024 * 1024), "2.png": PNG}, zipfile.ZIP_STORED))
    assert [(place, "is larger than" in text) for place, _, text in errors(large)] == [(0, True)]
    monkeypatch.setattr(batch_files, "MAX_RATIO", 0)
    monkeypatch.setattr(batch_files, "MAX_PICTURE_BYTES", len(PNG))
    with pytest.raises(DatasetError, match="unpack to too many bytes"):
        read(packed({"1.png": PNG, "2.png": PNG}))


def test_pictures_of_an_archive_share_a_budget_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_files, "MAX_PIXELS_TOGETHER", 2 * 783)
    rgb = io.BytesIO()
    Image.new("RGB", (28, 28)).save(rgb, "PNG")
    found = read(packed({"1.png": rgb.getvalue(), "2.png": rgb.getvalue()}))

    assert [code for _, code, _ in errors(found)] == ["too_many_pixels"] * 2


def test_what_was_opened_stays_open() -> None:
    source = io.BytesIO("\n".join(rows()).encode())
    list(read_entries(source, None, LIMITS))

    assert not source.closed
