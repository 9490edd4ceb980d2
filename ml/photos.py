"""Photographs of garments, in ten folders: which class each shows, and the split that figures rest on.

Without TensorFlow. The folders are those of datasets/photos (CC0); a shoe may count as any of three classes, and hats,
shorts and skirts are none of the ten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.datasets import CLASSES, DatasetError
from ml.image_files import InvalidImage, decode

Pixels = NDArray[np.uint8]

# The classes that are right for the photos of each folder; none where the garment is of no class.
FOLDERS: Final[Mapping[str, tuple[int, ...]]] = {
    "t-shirt": (0,), "pants": (1,), "longsleeve": (2,), "dress": (3,), "outwear": (4,), "shirt": (6,),
    "shoes": (5, 7, 9), "hat": (), "shorts": (), "skirt": (),
}

# Fixed for good: figures of different runs compare only on the same split.
SPLIT_SEED: Final = 20200901
HELD_OUT_SHARE: Final = 1 / 3
VALIDATION_SHARE: Final = 1 / 5  # of what is not held out
# The correlation of 12x12 thumbnails from which two photos show one garment. Two shirts on one bed come to 0.986.
_SAME = 0.99
_MAX_PIXELS = 24_000_000


@dataclass(frozen=True, slots=True)
class Photos:
    """names: "folder/file"; pictures: uint8 RGB [h, w, 3] or gray [h, w] of any size."""

    names: tuple[str, ...]
    pictures: tuple[Pixels, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def folders(self) -> tuple[str, ...]:
        """The folder of each photo."""
        return tuple(name.partition("/")[0] for name in self.names)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """bool [n, 10]: which classes are right for each photo. None is for a garment of no class."""
        table = np.zeros((len(self), CLASSES), bool)
        for row, folder in zip(table, self.folders, strict=True):
            row[list(FOLDERS[folder])] = True
        return table

    @property
    def have_class(self) -> NDArray[np.bool_]:
        """bool [n]: whether the garment belongs to one of the ten classes."""
        return np.array([bool(FOLDERS[folder]) for folder in self.folders], np.bool_)

    def of_a_class(self) -> "Photos":
        """The photos of garments that belong to one of the ten classes."""
        return self.take(np.flatnonzero(self.have_class))

    def of_no_class(self) -> "Photos":
        """The photos of garments that belong to none."""
        return self.take(np.flatnonzero(~self.have_class))

    def take(self, indices: NDArray[np.intp]) -> "Photos":
        """The photos at these places, in this order."""
        return Photos(tuple(self.names[i] for i in indices), tuple(self.pictures[i] for i in indices))


@dataclass(frozen=True, slots=True)
class PhotoSplit:
    """A network learns from one part, everything is chosen on one, and it is judged on one."""

    training: Photos
    validation: Photos
    held_out: Photos


def load_photos(directory: Path | None) -> Photos:
    """All photos of a directory that has the ten folders, sorted by name. Raises DatasetError."""
    if directory is None:
        raise DatasetError("Photos are needed; name the directory that holds their folders in HEMLINE_PHOTOS_DIR.")
    missing = [name for name in FOLDERS if not directory.joinpath(name).is_dir()]
    if missing:
        raise DatasetError(f"{directory} lacks the folders {', '.join(missing)}; it needs: {', '.join(FOLDERS)}.")
    paths = sorted(path for name in FOLDERS for path in directory.joinpath(name).glob("*.jpg"))
    if not paths:
        raise DatasetError(f"{directory} has no .jpg file in its folders.")
    return Photos(tuple(f"{path.parent.name}/{path.name}" for path in paths), tuple(map(_picture, paths)))


def _picture(path: Path) -> Pixels:
    try:
        return decode(path.read_bytes(), _MAX_PIXELS).pixels
    except InvalidImage as error:
        raise DatasetError(f"{path}: {error}") from error


def split(photos: Photos) -> PhotoSplit:
    """A third of each folder is held out, a fifth of the rest validates; photos of one garment stay together.

    The same files give the same split on every machine. Order is kept.
    """
    groups = _same_garment(photos)
    rng = np.random.default_rng(SPLIT_SEED)
    part = np.zeros(len(photos), int)
    folders = np.array(photos.folders)
    for folder in FOLDERS:
        # A garment is where its first photo is, even if another folder has it too.
        own = np.unique(groups[(folders == folder) & (groups == np.arange(len(photos)))])
        order = rng.permutation(own)
        held_out = round(HELD_OUT_SHARE * len(order))
        validation = round(VALIDATION_SHARE * (len(order) - held_out))
        part[order[:held_out]] = 2
        part[order[held_out : held_out + validation]] = 1
    part = part[groups]
    training, validated, held = (photos.take(np.flatnonzero(part == index)) for index in range(3))
    return PhotoSplit(training, validated, held)


def _same_garment(photos: Photos) -> NDArray[np.intp]:
    """For each photo the place of the first that is nearly the same picture, which may be its own."""
    thumbnails = np.array([_thumbnail(picture) for picture in photos.pictures], np.float32)
    alike = thumbnails @ thumbnails.T > _SAME
    first = np.arange(len(photos))
    for index in range(len(photos)):
        first[index] = first[np.argmax(alike[index, : index + 1])] if alike[index, :index].any() else index
    return first


def _thumbnail(picture: Pixels) -> NDArray[np.float32]:
    rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    small = cv2.resize(rgb, (12, 12), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean(axis=(0, 1))
    return np.asarray(small.ravel() / max(float(np.linalg.norm(small)), 1e-6), np.float32)
