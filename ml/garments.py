"""Finds the garment in a picture and shows it as the data set would: 28x28, bright on black, centred, edge to edge.

The steps are those of the data set's makers (https://arxiv.org/abs/1708.07747, section 2): trim the background, fit the
longest edge to 28, centre, negate. They had product photos on one known background; here it is found: transparency
says what it is, a plain one is read off the corners, and for anything else GrabCut tells cloth from room.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 28

# OpenCV's threads cost more than they save on pictures this small, and each web thread would bring its own.
cv2.setNumThreads(1)

# The data set's makers trimmed what is within 5 % of the corner's colour.
_TOLERANCE = 13
# Photos are cut out on a copy with this longest edge: twice as much takes four times as long and finds no more.
_CUT_EDGE = 96
# As a squared distance from a picture's centre: all but the middle two fifths of each edge.
_CORNER = 1.15
# The contrast of a photo's cloth is spread over this range, so that its darkest fold still stands out from black.
_FLOOR = 0.4
_EVERYTHING = (slice(None), slice(None))


@dataclass(frozen=True, slots=True)
class ImageWarning:
    """Something about a picture that makes its prediction less trustworthy. `code` is stable, `detail` for people.

    Codes: blank, inverted, low_contrast, no_foreground, very_small, extreme_aspect.
    """

    code: str
    detail: str


class Found(NamedTuple):
    """A garment as the data set would show it. `is_photo`: it was cut out of a photograph, not off a plain background.

    pixels: uint8 [28, 28], 0 is background.
    """

    pixels: Pixels
    warnings: tuple[ImageWarning, ...] = ()
    is_photo: bool = False


def find_garment(pixels: Pixels, alpha: Pixels | None = None) -> Found:
    """pixels: uint8 [h, w], or [h, w, 3] in RGB; premultiplied where there is alpha, uint8 [h, w]."""
    rgb = pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    shape = _doubts_about_shape(rgb.shape[1], rgb.shape[0])
    found = _cut(rgb, alpha)
    return found._replace(warnings=shape + found.warnings)


def _doubts_about_shape(width: int, height: int) -> tuple[ImageWarning, ...]:
    longest, shortest = max(width, height), min(width, height)
    if longest < SIDE:
        detail = f"The picture has {width} x {height} pixels and was enlarged; send at least {SIDE} on the long edge."
        return (ImageWarning("very_small", detail),)
    if longest > 5 * shortest:
        detail = f"The picture is a strip, {longest / shortest:.0f} times as long as wide; send one of a whole garment."
        return (ImageWarning("extreme_aspect", detail),)
    return ()


def _cut(rgb: Pixels, alpha: Pixels | None) -> Found:
    if alpha is not None:
        if int(alpha.max()) <= _TOLERANCE:
            return _blank("The picture is transparent all over; there is nothing to classify.")
        # Less than this is the rounded corners of a picture, not the outline of a garment.
        if float((alpha < 128).mean()) >= 0.03:
            return _from_transparency(rgb, alpha)
        rgb = rgb + (255 - alpha)[..., None]
    if int(_distance(rgb, rgb[0, 0]).max()) <= 2:
        return _blank("The picture is of one colour all over; there is nothing to classify.")
    background = _plain_background(rgb)
    if background is not None:
        return _from_plain_background(rgb, background)
    return _from_photo(rgb)


def _blank(detail: str) -> Found:
    return Found(np.zeros((SIDE, SIDE), np.uint8), (ImageWarning("blank", detail),))


def _from_transparency(rgb: Pixels, alpha: Pixels) -> Found:
    gray, box = _gray(rgb), _box(alpha)
    colourful = int(np.ptp(rgb, axis=2).max()) > 3 * _TOLERANCE
    if colourful or float(gray.max()) < 128:
        return Found(fit(_cloth(gray, alpha >= 128) * (alpha.astype(np.float32) / np.float32(255)), box))
    return Found(fit(_normalized(gray, alpha > _TOLERANCE), box))


def _plain_background(rgb: Pixels) -> NDArray[np.int16] | None:
    """The colour that all four corners and most of the edge share within the data set's tolerance, else None."""
    height, width = rgb.shape[:2]
    y, x = max(1, height // 40), max(1, width // 40)
    corners = np.stack([patch.reshape(-1, 3).astype(np.int16) for patch in (
        rgb[:y, :x], rgb[:y, -x:], rgb[-y:, :x], rgb[-y:, -x:],
    )])
    colour = np.median(corners.reshape(-1, 3), axis=0).astype(np.int16)
    # Real walls are never as even as a studio's or a drawing's background, even where they are within the tolerance.
    distance = np.abs(corners - colour)
    if int(distance.max()) > _TOLERANCE or float(distance.mean()) > 2:
        return None
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(np.int16)
    like = np.abs(edge - colour).max(axis=1) <= _TOLERANCE
    # Garments of the data set cover up to 40 % of the edge.
    return colour if float(like.mean()) > 0.55 else None


def _from_plain_background(rgb: Pixels, background: NDArray[np.int16]) -> Found:
    difference = _distance(rgb, background)
    inside = _without_specks(difference > _TOLERANCE, 0.01)
    if not inside.any():
        return _blank("Nothing in the picture stands out from its background; there is nothing to classify.")
    box = _box(np.where(inside | (difference <= _TOLERANCE), difference, np.uint8(0)))
    if _is_frame(inside):
        framed = _cut(rgb[bounds(inside)], None)
        if not any(warning.code in ("blank", "no_foreground") for warning in framed.warnings):
            return framed
    level = float(_gray(background.astype(np.uint8).reshape(1, 1, 3))[0, 0])
    gray = _gray(rgb)
    stands_out = gray - level if level < 128 else level - gray
    doubts = _doubt_contrast(float(np.percentile(stands_out[inside], 98)))
    values = _normalized(np.clip(stands_out, 0, 255), inside)
    if float(np.median(values[inside])) < 24:
        # Neither darker nor brighter than the background, but of another colour, or pale with a dark print.
        values = np.where(inside, _cloth(gray, inside), np.float32(0))
    height, width = inside.shape
    if height == width and _longest(box) * SIDE > (SIDE - 3.5) * height:
        box = _EVERYTHING  # Framed as the data set's own pictures are: trimming would only enlarge it.
    return Found(fit(values, box), doubts)


def _is_frame(inside: Mask) -> bool:
    """Whether what stands out is a rectangle, so perhaps a picture within a picture."""
    if inside.all():
        return False
    inner = inside[bounds(inside)]
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    corners = bool(inner[0, 0] and inner[0, -1] and inner[-1, 0] and inner[-1, -1])
    return min(inner.shape) >= 8 and corners and float(edge.mean()) > 0.85


def _from_photo(rgb: Pixels) -> Found:
    small, inside = cut_out(rgb)
    garment = fit(cloth_on_black(small, inside), bounds(inside))
    if inside.all():
        return Found(garment, (_NO_FOREGROUND,), is_photo=True)
    difference = np.median(small[inside], axis=0) - np.median(small[~inside], axis=0)
    return Found(garment, _doubt_contrast(float(np.abs(difference).max())), is_photo=True)


def cut_out(rgb: Pixels) -> tuple[Pixels, Mask]:
    """A small copy, RGB uint8 [h, w, 3], and which of its pixels are the garment: all, where none can be told apart."""
    scale = min(1.0, _CUT_EDGE / max(rgb.shape[:2]))
    size = (max(8, round(rgb.shape[1] * scale)), max(8, round(rgb.shape[0] * scale)))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Usually the whole edge is room, also between the legs of trousers. Where that leaves no garment, the garment is so
    # large that it touches the middle of the edges.
    for room in (0.0, _CORNER):
        inside = _without_specks(_grabcut(small, room), 0.35)  # Shoes come in pairs.
        if 0.03 <= float(inside.mean()) <= 0.95:
            return small, inside
    return small, np.ones_like(inside)


def cloth_on_black(rgb: Pixels, inside: Mask, floor: float = _FLOOR) -> Floats:
    """float32 [h, w] from 0 to 255: what is inside, negated as the data set is, no darker than `floor` of white."""
    return np.where(inside, _cloth(_gray(rgb), inside, floor), np.float32(0))


def _grabcut(rgb: Pixels, room: float) -> Mask:
    """Rother, Kolmogorov, Blake 2004: whatever is not like the picture's edge.

    Only the edge from the squared distance `room` on counts, which is 1 in the middle of an edge and 2 in a corner.
    """
    rows, columns = (np.linspace(-1, 1, edge, dtype=np.float32) ** 2 for edge in rgb.shape[:2])
    edge = rows[:, None] + columns >= room
    edge[1:-1, 1:-1] = False
    labels: Pixels = np.where(edge, cv2.GC_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    # GrabCut draws its first clusters at random, from a generator that each thread has for itself.
    cv2.setRNGSeed(0)
    unused, clusters = (0, 0, 1, 1), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.grabCut(rgb, labels, unused, *clusters, 4, cv2.GC_INIT_WITH_MASK)
    return np.asarray(labels == cv2.GC_PR_FGD, np.bool_)


def _without_specks(inside: Mask, share: float) -> Mask:
    """The connected parts that have at least this share of the largest one's area."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= share * max(areas[1:], default=0)
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)


def _cloth(gray: Floats, inside: Mask, floor: float = _FLOOR) -> Floats:
    """Negated as the data set is, the middle 96 % of the contrast spread over `floor` to 1; plain cloth is 1."""
    low, high = np.percentile(gray[inside], (2, 98)) if inside.any() else (0.0, 0.0)
    share = (high - gray) / (high - low) if high - low >= 1 else np.ones_like(gray)
    return np.asarray(255 * (floor + (1 - floor) * np.clip(share, 0, 1)), np.float32)


def _normalized(values: Floats, inside: Mask) -> Floats:
    """The brightest pixel of each of the data set's pictures is 254 or 255."""
    top = float(values[inside].max())
    return values if top >= 254 else np.asarray(values * (255 / max(top, 1)), np.float32)


def fit(values: Floats, box: tuple[slice, slice]) -> Pixels:
    """uint8 [28, 28]: what is in the box of values [h, w], its longest edge scaled to 28, centred on black."""
    crop = values[box]
    longest = max(crop.shape)
    height, width = (max(1, round(edge * SIDE / longest)) for edge in crop.shape)
    method = cv2.INTER_AREA if longest >= SIDE else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=method)
    garment = np.zeros((SIDE, SIDE), np.uint8)
    # An odd pixel of space goes to the top and to the left, as in the data set.
    top, left = (SIDE - height + 1) // 2, (SIDE - width + 1) // 2
    garment[top:top + height, left:left + width] = np.clip(np.rint(scaled), 0, 255)
    return garment


def _box(strength: Pixels) -> tuple[slice, slice]:
    """Around what is stronger than the tolerance, and around all that is there if that is hardly more.

    Hardly more is the faint outermost row of a picture from the data set; much more is a soft shadow.
    """
    box, all_of_it = bounds(strength > _TOLERANCE), bounds(strength > 2)
    return all_of_it if _longest(all_of_it) <= _longest(box) * 1.08 else box


def bounds(inside: Mask) -> tuple[slice, slice]:
    """The rows and columns of the smallest box around what is True [h, w], which may not be nothing."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _longest(box: tuple[slice, slice]) -> int:
    return max(int(part.stop - part.start) for part in box)


def _distance(rgb: Pixels, colour: NDArray[np.integer[Any]]) -> Pixels:
    """[h, w]: how far each pixel is from a colour, in the channel where it is farthest."""
    red, green, blue = cv2.split(cv2.absdiff(rgb, np.full_like(rgb, colour)))
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _gray(rgb: Pixels) -> Floats:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def _doubt_contrast(difference: float) -> tuple[ImageWarning, ...]:
    return (_LOW_CONTRAST,) if difference < 40 else ()


_LOW_CONTRAST = ImageWarning(
    "low_contrast", "The garment hardly stands out from the background; take it on one of another colour.",
)
_NO_FOREGROUND = ImageWarning(
    "no_foreground", "No garment could be told from the background, so all of it was used; take it on a plain one.",
)
