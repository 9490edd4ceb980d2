"""Pictures that are none of the ten classes, to measure whether a model says so: digits, noise and textures.

Drawn from a seed and from what the Python packages bring, so anyone can draw the same ones. Digits stand in for MNIST,
the usual opposite of Fashion-MNIST: Pillow's own font and OpenCV's Hershey fonts, slanted, turned and blurred.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Random = np.random.Generator

SIDE: Final = 28

# Method and threshold are chosen on pictures of one seed, figures are reported on those of the other.
CHOOSING_SEED: Final = 1701
REPORTING_SEED: Final = 1702

_HERSHEY: Final = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX_SMALL, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_CANVAS: Final = 112  # digits are drawn this large, then shrunk


def draw(name: str, count: int, seed: int) -> Images:
    """`count` pictures uint8 [n, 28, 28] of the set of this name; KeyError if there is no such set."""
    one = SETS[name]
    rng = np.random.default_rng([seed, list(SETS).index(name)])
    return np.stack([one(rng) for _ in range(count)])


def digit(rng: Random) -> Images:
    """One digit as MNIST shows them (LeCun et al., 1998): bright on black, in a box of 20, centred by mass."""
    kind = int(rng.integers(len(_HERSHEY) + 2))
    glyph = _glyph(int(rng.integers(10)), kind, int(rng.integers(4, 15)))
    rows, columns = np.flatnonzero(glyph.any(axis=1)), np.flatnonzero(glyph.any(axis=0))
    height, width = float(np.ptp(rows)) + 1, float(np.ptp(columns)) + 1
    # Turned and slanted by about as much as handwriting is.
    angle, slant = rng.normal(0, 0.12), rng.normal(0, 0.2)
    scale = rng.uniform(17, 21) / max(height, width)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1.0, slant], [0.0, 1.0]])
    yy, xx = np.nonzero(glyph)
    centre = np.array([xx.mean(), yy.mean()])
    shift = np.array([13.5, 13.5]) + rng.normal(0, 0.5, 2) - linear @ centre
    # Shrinking to a fourth skips pixels, so they are blurred first; then as little or much as a pen does.
    smooth = cv2.GaussianBlur(glyph, (0, 0), rng.uniform(1.0, 2.6))
    small = cv2.warpAffine(smooth, np.column_stack([linear, shift]), (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return _stretched(small, 0, 255)


@cache
def _glyph(value: int, kind: int, thickness: int) -> Images:
    if kind >= len(_HERSHEY):
        picture = Image.new("L", (_CANVAS, _CANVAS))
        # Its own font has one weight; a stroke around it makes others.
        font, stroke = ImageFont.load_default(80), thickness // 4 if kind > len(_HERSHEY) else 0
        ImageDraw.Draw(picture).text((34, 6), str(value), 255, font, stroke_width=stroke)
        return np.asarray(picture)
    canvas = np.zeros((_CANVAS, _CANVAS), np.uint8)
    face = _HERSHEY[kind]
    (width, height), _ = cv2.getTextSize(str(value), face, 1, 1)
    scale = 72 / max(width, height)
    cv2.putText(canvas, str(value), (28, 92), face, scale, 255, thickness, cv2.LINE_AA)
    return canvas


def noise(rng: Random) -> Images:
    """One picture of noise: uniform, Gaussian, salt and pepper on gray or black, or smoothed."""
    kind = int(rng.integers(4))
    if kind == 0:
        return rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    if kind == 1:
        values = rng.normal(rng.uniform(30, 220), rng.uniform(20, 90), (SIDE, SIDE))
        return np.clip(values, 0, 255).astype(np.uint8)
    if kind == 2:
        gray, share = rng.integers(0, 160), rng.uniform(0.05, 0.5)
        chance = rng.random((SIDE, SIDE))
        return np.where(chance < share, 255 * (chance < share / 2), gray).astype(np.uint8)
    smooth = cv2.GaussianBlur(rng.random((SIDE, SIDE), np.float32), (0, 0), rng.uniform(0.6, 3))
    return _stretched(smooth, *_range(rng))


def texture(rng: Random) -> Images:
    """One pattern from edge to edge: stripes, checkers, a gradient, or clouds (value noise in octaves)."""
    return _stretched(_TEXTURES[int(rng.integers(len(_TEXTURES)))](rng), *_range(rng))


def _stripes(rng: Random) -> Floats:
    wave = np.sin(_along(rng) * rng.uniform(0.3, 2.5) + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.sign(wave) if rng.random() < 0.5 else wave)


def _checkers(rng: Random) -> Floats:
    frequency, turn = rng.uniform(0.3, 2.0), rng.uniform(0, np.pi)
    phases = rng.uniform(0, 2 * np.pi, 2)
    waves = [np.sin(_along(rng, turn + quarter) * frequency + phase) for quarter, phase in zip((0, np.pi / 2), phases)]
    return np.asarray(np.sign(waves[0] * waves[1]))


def _gradient(rng: Random) -> Floats:
    if rng.random() < 0.5:
        return _along(rng)
    y, x = rng.uniform(0, SIDE, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return np.asarray(np.hypot(rows - y, columns - x) * rng.choice([-1, 1]), np.float32)


def _clouds(rng: Random) -> Floats:
    total = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(1, 5):
        coarse = rng.random((2**octave + 1, 2**octave + 1), np.float32)
        total += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


_TEXTURES: Final[tuple[Callable[[Random], Floats], ...]] = (_stripes, _checkers, _gradient, _clouds)


def _along(rng: Random, direction: float | None = None) -> Floats:
    """The coordinate of each pixel along a direction, a random one if none is given."""
    turn = rng.uniform(0, 2 * np.pi) if direction is None else direction
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(rows * np.sin(turn) + columns * np.cos(turn), np.float32)


def _range(rng: Random) -> tuple[float, float]:
    return float(rng.uniform(0, 100)), float(rng.uniform(155, 255))


def _stretched(picture: Any, low: float, high: float) -> Images:
    values = picture.astype(np.float32)
    spread = max(float(np.ptp(values)), 1e-6)
    return np.asarray((values - values.min()) / spread * (high - low) + low).astype(np.uint8)


SETS: Final[Mapping[str, Callable[[Random], Images]]] = {"digits": digit, "noise": noise, "textures": texture}
