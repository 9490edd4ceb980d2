"""Data is what it says it is, or the error says where it is not."""

import gzip
import hashlib
import io
import struct
import subprocess
import sys
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ml import datasets
from ml.datasets import Dataset, DatasetError
from ml.images import render_preview

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"


def sample(prefix: str = "train") -> Dataset:
    images, labels = datasets.read_file(SAMPLE / f"{prefix}-images-idx3-ubyte.gz")
    assert labels is not None
    return Dataset(images, labels)


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture
def official_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample passes for the official files."""
    digests = {}
    for path in SAMPLE.glob("*.gz"):
        packed = path.read_bytes()
        digests[path.stem] = (hashlib.md5(packed).hexdigest(), hashlib.md5(gzip.decompress(packed)).hexdigest())
    monkeypatch.setattr(datasets, "OFFICIAL", {name: digests[name] for name in datasets.OFFICIAL})


def test_fashion_mnist_is_read_from_a_directory(official_sample: None) -> None:
    train, test = datasets.load_fashion_mnist(SAMPLE)
    assert np.bincount(train.labels).tolist() == [30] * 10
    assert np.bincount(test.labels).tolist() == [10] * 10


def test_fashion_mnist_is_read_from_unpacked_files(official_sample: None, tmp_path: Path) -> None:
    for path in SAMPLE.glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    assert datasets.load_fashion_mnist(tmp_path)[0].digest == sample().digest


def test_files_that_are_not_the_official_ones_are_refused() -> None:
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte.gz is not the official file: its MD5 is"):
        datasets.load_fashion_mnist(SAMPLE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte"):
        datasets.load_fashion_mnist(tmp_path)


def test_fashion_mnist_is_downloaded_once_into_the_cache(
    official_sample: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO((SAMPLE / url.rsplit("/", 1)[1]).read_bytes())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for _ in range(2):
        train, _ = datasets.load_fashion_mnist(cache=tmp_path / "cache")
    assert train.digest == sample().digest
    assert asked == [f"{datasets.PUBLISHER}{name}.gz" for name in datasets.OFFICIAL]


def test_a_download_with_another_digest_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(b"a captive portal"))
    with pytest.raises(DatasetError, match="is not the official file"):
        datasets.load_fashion_mnist(cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def urlopen(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(DatasetError, match="no route to host.*HEMLINE_DATA_DIR"):
        datasets.load_fashion_mnist(cache=tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "starts with nothing"),
        (b"\x89PNG\r\n", "no IDX file"),
        (b"\0\0\x08\x03\0\0", "ends within its header"),
        (idx(np.zeros((2, 28, 28), np.uint8))[:-1], r"promises 1,568 bytes \(2 x 28 x 28\), but 1,567 follow"),
        (idx(np.zeros((2, 28, 28), np.uint8)) + b"\0", "but 1,569 follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "promises 79,228,162,458,924,105,385,300,197,375 bytes"),
        (idx(np.zeros((2, 32, 32), np.uint8)), "32x32 pixels; they must be 28x28"),
        (b"\0\0\x08\x03" + b"\xff" * 8 + bytes(4), "4294967295x0 pixels; they must be 28x28"),
        (idx(np.zeros(4, np.uint8)), "3 dimension"),
        (gzip.compress(idx(np.zeros((2, 28, 28), np.uint8)), mtime=0)[:-9], "gzip file is damaged"),
    ],
)
def test_idx_files_that_lie_are_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        datasets.read_idx_images(io.BytesIO(content))


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    with pytest.raises(DatasetError, match="more than 78,416 bytes"):
        datasets.read_idx_images(io.BytesIO(bomb), max_items=100)


def test_idx_images_are_read_with_the_labels_beside_them(tmp_path: Path) -> None:
    labelled = sample()
    (tmp_path / "my-images.idx3").write_bytes(idx(labelled.images))
    images, labels = datasets.read_file(tmp_path / "my-images.idx3")
    assert labels is None
    (tmp_path / "my-labels.idx1").write_bytes(idx(labelled.labels))
    images, labels = datasets.read_file(tmp_path / "my-images.idx3")
    assert labels is not None
    assert Dataset(images, labels).digest == labelled.digest


def csv_lines(data: Dataset) -> list[str]:
    rows = np.column_stack([data.labels, data.images.reshape(len(data), -1)])
    return [",".join(map(str, row)) for row in rows]


@pytest.mark.parametrize("header", [[], ["label," + ",".join(f"pixel{n}" for n in range(1, 785))]])
def test_labelled_csv_is_read_with_or_without_a_header(header: list[str]) -> None:
    images, labels = datasets.read_csv(header + csv_lines(sample()))
    assert labels is not None
    assert Dataset(images, labels).digest == sample().digest


def test_unlabelled_csv_is_read() -> None:
    lines = [line.split(",", 1)[1] for line in csv_lines(sample())]
    images, labels = datasets.read_csv(lines)
    assert labels is None
    assert np.array_equal(images, sample().images)


def test_csv_with_float_cells_blank_lines_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    row = ",".join(["3.0"] + ["7.0"] * 784)
    path = tmp_path / "excel.csv"
    path.write_bytes(f"\ufeff{row}\r\n{row}\r\n\r\n".encode())
    images, labels = datasets.read_file(path)
    assert labels is not None and labels.tolist() == [3, 3]
    assert (images == 7).all()


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        (1, "10", "Row 1003, column 1: '10' is no label, a whole number from 0 to 9"),
        (2, "256", "Row 1003, column 2: '256' is no pixel, a whole number from 0 to 255"),
        (785, "-1", "Row 1003, column 785: '-1' is no pixel"),
        (400, "0.5", "column 400: '0.5' is no pixel"),
        (400, "", "column 400: '' is no pixel"),
        (400, "nan", "column 400: 'nan' is no pixel"),
        (400, "#", "column 400: '#' is no pixel"),
        (400, "1,2", "Row 1003 has 786 columns; the first row has 785"),
    ],
)
def test_errors_in_csv_name_row_and_column(column: int, cell: str, complaint: str) -> None:
    good = ["1"] + ["0"] * 784
    bad = good[: column - 1] + [cell] + good[column:]
    lines = ["label," + ",".join(["p"] * 784), *[",".join(good)] * 1001, ",".join(bad)]
    with pytest.raises(DatasetError, match=complaint):
        datasets.read_csv(lines)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "is empty"),
        (["1,2,3"], "Row 1 has 3 columns; expected 784 pixels"),
        ([",".join(["p"] * 784)], "a header but no rows"),
    ],
)
def test_csv_of_another_shape_is_refused(lines: list[str], complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        datasets.read_csv(lines)


def zipped(entries: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer


def test_a_zip_of_class_folders_is_read() -> None:
    data = sample()
    coat, boot = data.images[data.labels == 4][0], data.images[data.labels == 9][0]
    names = {"train/Coat/a.png": render_preview(coat.tobytes()), "Ankle boot/b.png": render_preview(boot.tobytes())}
    images, labels = datasets.read_zip(zipped(names | {"__MACOSX/Coat/._a.png": b"x", "Coat/.DS_Store": b"x"}))
    assert labels.tolist() == [4, 9]
    assert np.array_equal(images, [coat, boot])


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({}, "holds 0 pictures"),
        ({"hats/a.png": b"x"}, "hats/a.png: its folder 'hats' is no class; use t-shirt-top, trouser"),
        ({"Coat/a.png": b"no picture"}, "Coat/a.png: "),
    ],
)
def test_a_zip_of_something_else_is_refused(entries: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        datasets.read_zip(zipped(entries))


def test_what_is_no_zip_is_refused() -> None:
    with pytest.raises(DatasetError, match="damaged"):
        datasets.read_zip(io.BytesIO(b"PK no more"))


def test_a_zip_whose_names_are_endless_gets_a_short_answer() -> None:
    content = zipped({f"coat/{'a' * 3000}.png": b"x"}).getvalue()
    with pytest.raises(DatasetError) as refused:
        datasets.read_zip(io.BytesIO(content.replace(b"coat", b"Coat", 1)))
    assert len(str(refused.value)) < 1000


def test_a_dataset_needs_a_label_for_each_image_and_known_classes() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    with pytest.raises(DatasetError, match="do not go with 3 labels"):
        Dataset(images, np.zeros(3, np.uint8))
    with pytest.raises(DatasetError, match="Label 10 of item 2"):
        Dataset(images, np.array([0, 10], np.uint8))


def test_a_split_is_stratified_complete_and_always_the_same() -> None:
    training, validation = datasets.split(sample(), share=0.2)
    assert np.bincount(validation.labels).tolist() == [6] * 10
    assert np.bincount(training.labels).tolist() == [24] * 10
    both = [image.tobytes() for image in (*training.images, *validation.images)]
    assert sorted(both) == sorted(image.tobytes() for image in sample().images)
    again = datasets.split(sample(), share=0.2)
    assert (again[0].digest, again[1].digest) == (training.digest, validation.digest)
    assert validation.digest.startswith("fd5769062caa3550")


def test_identical_images_stay_on_one_side_of_a_split() -> None:
    data = sample()
    doubled = Dataset(np.concatenate([data.images, data.images]), np.concatenate([data.labels, data.labels]))
    training, validation = datasets.split(doubled, share=0.2)
    assert len(validation) == 120
    assert not {image.tobytes() for image in training.images} & {image.tobytes() for image in validation.images}


def test_too_few_images_to_split_are_refused() -> None:
    with pytest.raises(DatasetError, match="10 images are too few to split; give at least 24 of each class"):
        datasets.split_in_three(sample().take(np.arange(10)))


def test_three_parts_do_not_overlap() -> None:
    parts = datasets.split_in_three(sample())
    assert [len(part) for part in (parts.training, parts.validation, parts.test)] == [260, 20, 20]


def test_a_subset_is_a_share_of_each_class() -> None:
    assert np.bincount(datasets.subset(sample(), 0.1, seed=3).labels).tolist() == [3] * 10
    assert np.bincount(datasets.subset(sample(), 0.001, seed=3).labels).tolist() == [1] * 10
    assert datasets.subset(sample(), 0.1, seed=3).digest != datasets.subset(sample(), 0.1, seed=4).digest
    assert datasets.subset(sample(), 1.0, seed=3).digest == sample().digest


def test_specs_readers_and_evaluation_load_no_tensorflow() -> None:
    code = (
        "import sys, ml.datasets, ml.spec, ml.evaluation, ml.augmentation; ml.spec.TrainingSpec(); "
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
