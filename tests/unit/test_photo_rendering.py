"""Renderings show a photo's garment as the service would, each a little differently, decided by a seed."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ml import datasets
from ml.images import read_image
from ml.photo_rendering import as_if_cut_out, as_served, renderings
from ml.photos import FOLDERS, Photos
from photo_folders import draw

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
PHOTOS = Photos(tuple(f"{name}/0.jpg" for name in FOLDERS), tuple(draw(name, 0) for name in FOLDERS))


def test_photos_are_judged_as_the_service_shows_them() -> None:
    for picture, served in zip(PHOTOS.pictures, as_served(PHOTOS), strict=True):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        assert read_image(stream.getvalue()).pixels == served.tobytes()


def test_each_rendering_is_another_view_of_a_garment_on_black() -> None:
    images = renderings(PHOTOS, views=3, seed=1)
    assert images.shape == (10, 3, 28, 28)
    for views in images:
        assert len({view.tobytes() for view in views}) == 3
        assert all(view.max() > 200 and (view == 0).mean() > 0.1 for view in views)


def test_a_seed_decides_the_renderings() -> None:
    one, same, other = (renderings(PHOTOS, 2, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_gray_photos_are_rendered_too() -> None:
    gray = replace(PHOTOS, pictures=tuple(picture[..., 0] for picture in PHOTOS.pictures))
    assert renderings(gray, 1, 0).max() > 200


def test_pictures_of_the_data_set_are_changed_and_stay_garments_on_black() -> None:
    images, _ = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    changed = as_if_cut_out(images, seed=3)
    assert changed.shape == images.shape and changed.dtype == np.uint8
    assert np.array_equal(changed, as_if_cut_out(images, seed=3))
    assert (changed != images).any(axis=(1, 2)).all()
    assert abs(float((changed > 0).mean()) - float((images > 0).mean())) < 0.15


def test_a_black_picture_stays_black() -> None:
    assert as_if_cut_out(np.zeros((1, 28, 28), np.uint8), 0).max() == 0
