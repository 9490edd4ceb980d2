"""What a model still gets right when its pictures get worse: seven corruptions at five severities each.

After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (2019,
arXiv:1903.12261), adapted to 28x28 gray pictures that are bright on black.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Random = np.random.Generator

SEVERITIES: Final = 5
SEED: Final = 1901


@dataclass(frozen=True, slots=True)
class Corruption:
    """`apply(image, strength, rng)` gives the corrupted picture as floats from 0 to 255, not clipped yet.

    strengths: one a severity, mildest first; `meaning` says of what.
    """

    meaning: str
    strengths: tuple[float, ...]
    apply: Callable[[Floats, float, Random], Any]


def corrupt(images: Images, name: str, severity: int, seed: int = SEED) -> Images:
    """Corrupted copies of uint8 [n, 28, 28], severity from 1 to SEVERITIES; KeyError for an unknown name.

    The same images, name, severity and seed give the same copies.
    """
    corruption = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name), severity])
    strength = corruption.strengths[severity - 1]
    changed = [corruption.apply(image.astype(np.float32), strength, rng) for image in images]
    return np.asarray(np.clip(np.rint(np.stack(changed)), 0, 255), np.uint8)


def _noise(image: Floats, strength: float, rng: Random) -> Any:
    return image + 255 * strength * rng.standard_normal(image.shape, np.float32)


def _blur(image: Floats, strength: float, rng: Random) -> Any:
    return cv2.GaussianBlur(image, (0, 0), strength)


def _shift(image: Floats, strength: float, rng: Random) -> Any:
    down, right = _DIRECTIONS[int(rng.integers(len(_DIRECTIONS)))]
    return _warp(image, np.array([[1.0, 0.0, right * strength], [0.0, 1.0, down * strength]]))


def _rotation(image: Floats, strength: float, rng: Random) -> Any:
    centre = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    return _warp(image, cv2.getRotationMatrix2D(centre, strength * int(rng.choice([-1, 1])), 1))


def _warp(image: Floats, matrix: Any) -> Any:
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=0)


def _brightness(image: Floats, strength: float, rng: Random) -> Any:
    return image + 255 * strength


def _contrast(image: Floats, strength: float, rng: Random) -> Any:
    return (image - image.mean()) * strength + image.mean()


def _inversion(image: Floats, strength: float, rng: Random) -> Any:
    return image + strength * (255 - 2 * image)


_DIRECTIONS: Final = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)

CORRUPTIONS: Final[Mapping[str, Corruption]] = {
    "noise": Corruption("standard deviation, of the full range", (0.04, 0.08, 0.12, 0.18, 0.26), _noise),
    "blur": Corruption("sigma of the Gaussian, pixels", (0.4, 0.6, 0.8, 1.0, 1.5), _blur),
    "shift": Corruption("pixels, in one of eight directions", (1, 2, 3, 4, 5), _shift),
    "rotation": Corruption("degrees, either way", (5, 10, 15, 20, 30), _rotation),
    "brightness": Corruption("added to every pixel, of the full range", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    "contrast": Corruption("share of the contrast that is left", (0.75, 0.5, 0.4, 0.3, 0.15), _contrast),
    "inversion": Corruption("share of the negative in the mixture", (0.2, 0.4, 0.6, 0.8, 1.0), _inversion),
}
