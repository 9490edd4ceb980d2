"""What the clients send: request bodies with 512 different pictures, so that no cache of answers helps anybody."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.datasets import read_idx_images

ROOT: Final = Path(__file__).parents[2]
COUNT: Final = 512
BULK: Final = 1024
_FILE: Final = "t10k-images-idx3-ubyte.gz"


def pictures(data_dir: str) -> list[str]:
    """COUNT different 28×28 PNG files in base64, of Fashion-MNIST's test set or of the sample of it that ships."""
    folder = Path(data_dir) if data_dir else ROOT / "tests" / "data" / "fashion-mnist-sample"
    with (folder / _FILE).open("rb") as file:
        images = read_idx_images(file)
    return [base64.b64encode(_png(image)).decode() for image in _different(images)]


def write_bodies(folder: Path, images: list[str]) -> tuple[Path, Path]:
    """Two files with a JSON body a line: single pictures, and BULK pictures at once."""
    single, bulk = folder / "single.jsonl", folder / "bulk.jsonl"
    single.write_text("".join(json.dumps({"image": image}) + "\n" for image in images))
    many = images * (BULK // len(images))
    bulk.write_text("".join(json.dumps({"images": many[turn:] + many[:turn]}) + "\n" for turn in (0, 1)))
    return single, bulk


def _different(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The sample has fewer than COUNT: shifted by a few pixels they are different pictures of the same kind."""
    shifted = [np.roll(images, shift, axis=2) for shift in range(-(-COUNT // len(images)))]
    return np.concatenate(shifted)[:COUNT]


def _png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
