"""A folder of drawn photos, laid out as the real one: each folder's garment has an outline of its own."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ml.photos import FOLDERS

Outline = list[tuple[float, float]]

OUTLINES: dict[str, Outline] = {
    "t-shirt": [(.3, .2), (.7, .2), (.9, .35), (.7, .45), (.7, .8), (.3, .8), (.3, .45), (.1, .35)],
    "pants": [(.3, .1), (.7, .1), (.75, .9), (.55, .9), (.5, .4), (.45, .9), (.25, .9)],
    "longsleeve": [
        (.3, .2), (.7, .2), (.95, .75), (.8, .8), (.7, .5), (.7, .8), (.3, .8), (.3, .5), (.2, .8), (.05, .75),
    ],
    "dress": [(.4, .1), (.6, .1), (.6, .4), (.8, .9), (.2, .9), (.4, .4)],
    "outwear": [(.25, .15), (.75, .15), (.9, .8), (.1, .8)],
    "shirt": [(.35, .15), (.65, .15), (.8, .5), (.7, .85), (.3, .85), (.2, .5)],
    "shoes": [(.1, .5), (.4, .45), (.9, .65), (.9, .75), (.1, .75)],
    "hat": [(.3, .4), (.7, .4), (.8, .6), (.2, .6)],
    "shorts": [(.3, .3), (.7, .3), (.8, .6), (.55, .6), (.5, .45), (.45, .6), (.2, .6)],
    "skirt": [(.4, .3), (.6, .3), (.8, .7), (.2, .7)],
}  # fmt: skip


def draw(folder: str, seed: int) -> np.ndarray:
    """uint8 RGB [96, 72, 3]: dark cloth on a bright, noisy bed that is another one in each photo."""
    rng = np.random.default_rng([list(FOLDERS).index(folder), seed])
    bed = cv2.resize(rng.uniform(150, 250, (4, 3, 3)), (72, 96))
    outline = (np.array(OUTLINES[folder]) + rng.uniform(-0.03, 0.03, 2)) * (72, 96)
    cv2.fillPoly(bed, [outline.astype(np.int32)], rng.uniform(10, 90, 3).tolist())
    return np.clip(bed + rng.normal(0, 8, bed.shape), 0, 255).astype(np.uint8)


def fill(directory: Path, each: int) -> Path:
    """`each` photos in each of the ten folders."""
    for folder in FOLDERS:
        directory.joinpath(folder).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(draw(folder, number)).save(directory / folder / f"{number:04}.jpg", quality=92)
    return directory
