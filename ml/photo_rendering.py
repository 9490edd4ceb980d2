"""Many ways in which one garment may reach the network: what makes 1,400 photos enough to train on.

A photo is turned, cropped and lit differently before its garment is cut out, because that is where photos differ;
and the data set's own pictures are drawn as if they had been cut out of photos. A pure function of a seed.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.garments import SIDE, Mask, bounds, cloth_on_black, cut_out, find_garment, fit
from ml.photos import Photos

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Random = np.random.Generator

# The edge at which photos are changed; they are cut out at 96.
_EDGE: Final = 128
_THREADS: Final = 2


def as_served(photos: Photos) -> Pixels:
    """uint8 [n, 28, 28]: the photos as the service shows them to a network."""
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda picture: find_garment(picture).pixels, photos.pictures))
    return np.array(found, np.uint8).reshape(-1, SIDE, SIDE)


def renderings(photos: Photos, views: int, seed: int) -> Pixels:
    """uint8 [n, views, 28, 28]: each photo changed and cut out once, and seen in several ways.

    Cutting out takes a hundred times as long as another view of it.
    """

    def render(index: int) -> Pixels:
        rng = np.random.default_rng([seed, index])
        small, inside = cut_out(_retaken(_colour(photos.pictures[index]), rng))
        return np.array([_view(small, inside, rng) for _ in range(views)])

    with ThreadPoolExecutor(_THREADS) as pool:
        return np.array(list(pool.map(render, range(len(photos)))), np.uint8).reshape(-1, views, SIDE, SIDE)


def _view(rgb: Pixels, inside: Mask, rng: Random) -> Pixels:
    cloth = cloth_on_black(rgb, inside, floor=rng.uniform(0.3, 0.55))
    return _framed(_softened(_turned(cloth, rng), rng))


def _colour(picture: Pixels) -> Pixels:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def _retaken(rgb: Pixels, rng: Random) -> Pixels:
    """The photo as it might have been taken a moment later: turned, mirrored, nearer or not, in another light."""
    height, width = rgb.shape[:2]
    scale = _EDGE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    zoom = scale * math.exp(rng.uniform(-0.12, 0.18))
    linear = zoom * _linear(rng, angle=0.12, stretch=0.05, shear=0.03)
    centre = np.array(size) * (0.5 + rng.uniform(-0.06, 0.06, 2))
    shift = centre - linear @ (width / 2, height / 2)
    moved = cv2.warpAffine(
        rgb, np.column_stack([linear, shift]), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return _relit(moved.astype(np.float32), rng)


def _relit(rgb: Floats, rng: Random) -> Pixels:
    lit = 255 * (rgb / 255) ** math.exp(rng.normal(0, 0.2))
    lit *= math.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3))
    if rng.random() < 0.3:
        lit *= _slope(lit.shape[:2], rng, 0.15)[..., None]
    if rng.random() < 0.3:
        lit += rng.normal(0, rng.uniform(2, 8), lit.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def _slope(shape: tuple[int, ...], rng: Random, strength: float) -> NDArray[np.float64]:
    """[h, w]: light that falls off to one side, around 1."""
    angle, steepness = rng.uniform(0, 2 * math.pi), rng.normal(0, strength)
    rows, columns = (np.linspace(-1, 1, edge) for edge in shape)
    return np.asarray(1 + steepness * (math.cos(angle) * columns + math.sin(angle) * rows[:, None]))


def _linear(rng: Random, angle: float, stretch: float, shear: float) -> NDArray[np.float64]:
    """A matrix that turns, stretches and slants by about as much, and mirrors at even odds."""
    turn, aspect, slant = rng.normal(0, angle), math.exp(rng.normal(0, stretch)), rng.normal(0, shear)
    cosine, sine = math.cos(turn), math.sin(turn)
    matrix = np.array([[cosine * aspect, slant - sine], [sine, cosine / aspect]])
    return matrix * [[-1], [1]] if rng.random() < 0.5 else matrix


def _turned(cloth: Floats, rng: Random) -> Floats:
    height, width = cloth.shape
    space = max(height, width) // 10
    size = (width + 2 * space, height + 2 * space)
    linear = _linear(rng, angle=0.07, stretch=0.07, shear=0.04)
    shift = np.array(size) / 2 - linear @ (width / 2, height / 2)
    moved = cv2.warpAffine(cloth, np.column_stack([linear, shift]), size, flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)


def _softened(cloth: Floats, rng: Random) -> Floats:
    if rng.random() < 0.75:
        return cloth
    return np.asarray(cv2.GaussianBlur(cloth, (3, 3), rng.uniform(0.4, 1)), np.float32)


def _framed(cloth: Floats) -> Pixels:
    inside = cloth > 40
    return fit(cloth, bounds(inside)) if inside.any() else np.zeros((SIDE, SIDE), np.uint8)


def as_if_cut_out(images: Pixels, seed: int) -> Pixels:
    """uint8 [n, 28, 28]: pictures of the data set as cutting them out of photos would have shown them.

    Turned and stretched, their contrast spread as a photo's is, unevenly lit, blurred or noisy; some lack a part, and
    some have kept a piece of the room.
    """
    return np.array([_as_if_cut_out(image, np.random.default_rng([seed, i])) for i, image in enumerate(images)])


def _as_if_cut_out(image: Pixels, rng: Random) -> Pixels:
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[rng.integers(3)]
    large = np.asarray(cv2.resize(image, (84, 84), interpolation=how), np.float32)
    large = _turned(large, rng)
    inside = large > 16
    if not inside.any():
        return image
    if rng.random() < 0.2:
        # The cut is wrong along a line: what lies beyond is lost, or is room.
        beyond = _slope(large.shape, rng, 1.0) > rng.uniform(1.3, 1.8)
        if rng.random() < 0.5:
            large = np.where(beyond & ~inside, rng.uniform(60, 255) + rng.normal(0, 12, large.shape), large)
            inside |= beyond
        else:
            inside &= ~beyond
    if rng.random() < 0.6:
        gray = np.clip(255 - large * _slope(large.shape, rng, 0.15), 0, 255).astype(np.uint8)
        large = cloth_on_black(_colour(gray), inside, floor=rng.uniform(0.25, 0.55))
    if rng.random() < 0.3:
        large += np.where(inside, rng.normal(0, rng.uniform(3, 15), large.shape), 0)
    return _framed(_softened(np.where(inside, large, 0).astype(np.float32), rng))
