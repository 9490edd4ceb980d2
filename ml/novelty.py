"""How unlike the training data an image is. NumPy only: the prediction worker asks this of every image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detector:
    """Scores how unlike the training data an image is; higher is more novel.

    `arrays`: what the method has learned of the training data's features; a method without any looks at logits alone.
    """

    method: str
    arrays: Mapping[str, NDArray[Any]]

    def score(self, logits: Floats, features: Floats | None, temperature: float) -> Floats:
        """Scores [n] of logits [n, 10] and, where the method looks at them, features [n, d]."""
        # Energy, Liu et al. 2020 (arXiv:2010.03759): high where no class claims the image.
        scaled = logits / np.float32(temperature)
        top = scaled.max(axis=1)  # taken out before exponentiating, so that no logit overflows
        energy = -temperature * (top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)))
        return np.asarray(energy, np.float32)


def load(method: str, data: bytes | None = None) -> Detector:
    """The detector that a card names, with the content of the version's novelty file. Raises ValueError."""
    if method != "energy":
        raise ValueError(f"There is no novelty score {method!r}; this release knows: energy.")
    return Detector(method, _arrays(data) if data else {})


def save(detector: Detector) -> bytes | None:
    """The content of the novelty file; nothing for a method without arrays."""
    if not detector.arrays:
        return None
    file = io.BytesIO()
    arrays: dict[str, Any] = dict(detector.arrays)
    np.savez(file, **arrays)
    return file.getvalue()


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
