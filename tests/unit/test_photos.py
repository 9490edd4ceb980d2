"""Photos are read from ten folders, and split the same way everywhere."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.datasets import DatasetError
from ml.images import CLASS_NAMES
from ml.photos import FOLDERS, Photos, load_photos, split
from photo_folders import draw, fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("photos"), 9)


def test_photos_come_sorted_by_name_with_the_classes_that_are_right_for_them(folder: Path) -> None:
    photos = load_photos(folder)
    assert len(photos) == 90
    assert list(photos.names) == sorted(photos.names)
    right = {name: [CLASS_NAMES[i] for i in np.flatnonzero(row)] for name, row in zip(photos.names, photos.accepted)}
    assert right["t-shirt/0000.jpg"] == ["T-shirt/top"]
    assert right["outwear/0003.jpg"] == ["Coat"]
    assert right["shoes/0001.jpg"] == ["Sandal", "Sneaker", "Ankle boot"]
    assert right["hat/0001.jpg"] == right["shorts/0001.jpg"] == right["skirt/0001.jpg"] == []


def test_photos_of_no_class_can_be_told_from_the_others(folder: Path) -> None:
    photos = load_photos(folder)
    assert set(photos.of_no_class().folders) == {"hat", "shorts", "skirt"}
    assert len(photos.of_a_class()) + len(photos.of_no_class()) == 90


def test_a_third_of_each_folder_is_held_out_and_a_fifth_of_the_rest_validates(folder: Path) -> None:
    parts = split(load_photos(folder))
    for name in FOLDERS:
        assert [part.folders.count(name) for part in (parts.training, parts.validation, parts.held_out)] == [5, 1, 3]
    names = [*parts.training.names, *parts.validation.names, *parts.held_out.names]
    assert len(set(names)) == 90


def test_the_split_is_the_same_for_the_same_files(folder: Path) -> None:
    first, again = split(load_photos(folder)), split(load_photos(folder))
    assert first.held_out.names == again.held_out.names
    assert first.validation.names == again.validation.names


def test_two_photos_of_one_garment_stay_together_even_in_two_folders() -> None:
    names = [f"{folder}/{number:04}.jpg" for folder in sorted(FOLDERS) for number in range(6)]
    pictures = [draw(name.split("/")[0], int(name[-8:-4])) for name in names]
    for twin in range(6):
        pictures[names.index(f"skirt/{twin:04}.jpg")] = pictures[names.index(f"shorts/{twin:04}.jpg")] // 2 + 60
    parts = split(Photos(tuple(names), tuple(pictures)))
    for part in (parts.training, parts.validation, parts.held_out):
        assert {n[-8:] for n in part.names if n[:5] == "skirt"} == {n[-8:] for n in part.names if n[:6] == "shorts"}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: None, "HEMLINE_PHOTOS_DIR"),
        (lambda folder: folder / "absent", "lacks the folders t-shirt, pants"),
        (lambda folder: fill(folder / "empty", 0), "has no .jpg file"),
    ],
)
def test_a_folder_that_is_not_there_is_explained(
    spoil: Callable[[Path], Path | None], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=complaint):
        load_photos(spoil(tmp_path))


def test_a_file_that_is_no_photo_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (tmp_path / "hat" / "0000.jpg").write_text("no photo")
    with pytest.raises(DatasetError, match=r"0000\.jpg: "):
        load_photos(tmp_path)


def test_gray_photos_are_photos(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    Image.fromarray(draw("hat", 0)[..., 0]).save(tmp_path / "hat" / "0001.jpg")
    assert len(split(load_photos(tmp_path)).training) > 0
