"""How unlike the training images a picture is, from what the network says and from what its last layer sees.

NumPy only, because the prediction worker scores with it. The methods were compared on digits, noise, textures and
photos of what is none of the ten classes; `python -m ml novelty` does it again for any version.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]

DEFAULT: Final = "energy_mahalanobis"
WITHOUT_FEATURES: Final = "energy"

# Directions in which features hardly vary count as if they had this share of the largest variance.
_VARIANCE_FLOOR: Final = 1e-3
_PROTOTYPES: Final = 3000


class UnknownMethod(ValueError):
    """No detector has this name, or its arrays are missing."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Scores how unlike the training data an image is; higher is more novel."""

    method: str
    arrays: Arrays

    def score(self, logits: Floats, features: Floats | None, temperature: float) -> Floats:
        """Scores float32 [n] of logits [n, 10] and, where the method needs them, features [n, d]."""
        return np.asarray(_SCORES[self.method](self.arrays, logits, features, temperature), np.float32)


def load(method: str, data: bytes | None) -> Detector:
    """The detector of a card's novelty.score and the content of novelty.npz. Raises UnknownMethod."""
    if method not in _SCORES:
        raise UnknownMethod(f"There is no novelty score {method!r}; this release knows: {', '.join(_SCORES)}.")
    if data is None:
        if method in _FITS:
            raise UnknownMethod(f"Novelty by {method!r} needs novelty.npz, which this version lacks.")
        return Detector(method, MappingProxyType({}))
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Detector(method, dict(arrays))


def save(detector: Detector) -> bytes | None:
    """What `load` takes; nothing for a method without arrays. The same arrays give the same bytes."""
    if not detector.arrays:
        return None
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **detector.arrays)
    return buffer.getvalue()


def fit(method: str, logits: Floats, features: Floats, labels: Labels, temperature: float) -> Detector:
    """A detector of this method from logits [n, 10], features [n, d] and labels [n] of the training images."""
    arrays = _FITS[method](features, labels) if method in _FITS else {}
    if method == DEFAULT:
        # Both scores get spread 1 before they are added: neither has a weight that was tuned.
        energies, distances = energy(logits, temperature), _mahalanobis(arrays, features)
        arrays["weights"] = np.array([1 / max(energies.std(), 1e-6), 1 / max(distances.std(), 1e-6)], np.float32)
    return Detector(method, arrays)


def energy(logits: Floats, temperature: float) -> Floats:
    """High where no class claims the image (Liu et al., 2020, arXiv:2010.03759); [n]."""
    scaled = logits / np.float32(temperature)
    top = scaled.max(axis=1)
    # Shifted by the largest before exponentiating, so that no logit overflows.
    return np.asarray(-temperature * (top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))), np.float32)


def _max_softmax(arrays: Arrays, logits: Floats, features: Floats | None, temperature: float) -> Floats:
    """Hendrycks and Gimpel, 2017 (arXiv:1610.02136)."""
    scaled = logits / np.float32(temperature)
    return np.asarray(-1 / np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1))


def _fit_mahalanobis(features: Floats, labels: Labels) -> dict[str, NDArray[Any]]:
    """Lee et al., 2018 (arXiv:1807.03888): a mean for each class, one covariance for all.

    |W(x - m)|² is |Wx|² - 2 (Wm)ᵀWx + |Wm|², so one product with [W, -2 WᵀWm] gives all that depends on x.
    """
    classes = np.unique(labels)
    means = np.stack([features[labels == each].mean(axis=0, dtype=np.float64) for each in classes])
    centred = features - means[np.searchsorted(classes, labels)]
    whitening = _whitening(centred.T @ centred / len(centred))
    white = means @ whitening
    return {
        "projection": np.hstack([whitening, -2 * whitening @ white.T]).astype(np.float32),
        "offsets": (white**2).sum(axis=1).astype(np.float32),
    }


def _whitening(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    variances, directions = np.linalg.eigh(covariance)
    floor = max(_VARIANCE_FLOOR * float(variances.max()), 1e-12)
    return np.asarray(directions / np.sqrt(np.maximum(variances, floor)))


def _mahalanobis(arrays: Arrays, features: Floats) -> Floats:
    projected = features @ arrays["projection"]
    white, products = projected[:, : features.shape[1]], projected[:, features.shape[1] :]
    return np.asarray(np.einsum("ij,ij->i", white, white) + (products + arrays["offsets"]).min(axis=1))


def _fit_relative(features: Floats, labels: Labels) -> dict[str, NDArray[Any]]:
    """Ren et al., 2021 (arXiv:2106.09022): less the distance from one Gaussian for all classes."""
    background = _fit_mahalanobis(features, np.zeros(len(labels), np.uint8))
    return _fit_mahalanobis(features, labels) | {f"background_{name}": each for name, each in background.items()}


def _relative(arrays: Arrays, features: Floats) -> Floats:
    background = {name: arrays[f"background_{name}"] for name in ("projection", "offsets")}
    return _mahalanobis(arrays, features) - _mahalanobis(background, features)


def _fit_knn(features: Floats, labels: Labels) -> dict[str, NDArray[Any]]:
    """Sun et al., 2022 (arXiv:2204.06507), with k = 1 and a sample of the training images, as many of each class."""
    rng = np.random.default_rng(0)
    classes = np.unique(labels)
    share = max(1, _PROTOTYPES // len(classes))
    places = [rng.permutation(np.flatnonzero(labels == each))[:share] for each in classes]
    return {"prototypes": _normalised(features[np.concatenate(places)])}


def _knn(arrays: Arrays, features: Floats) -> Floats:
    return np.asarray(1 - (_normalised(features) @ arrays["prototypes"].T).max(axis=1))


def _normalised(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-6), np.float32)


def _energy_mahalanobis(arrays: Arrays, logits: Floats, features: Floats, temperature: float) -> Floats:
    """The network's own doubt and the distance of what it saw: the first tells digits, the second patterns."""
    by_energy, by_distance = arrays["weights"]
    return np.asarray(by_energy * energy(logits, temperature) + by_distance * _mahalanobis(arrays, features))


_FITS: Final[Mapping[str, Callable[[Floats, Labels], dict[str, NDArray[Any]]]]] = {
    "mahalanobis": _fit_mahalanobis,
    "relative_mahalanobis": _fit_relative,
    "knn": _fit_knn,
    DEFAULT: _fit_mahalanobis,
}
_SCORES: Final[Mapping[str, Callable[[Arrays, Floats, Any, float], Floats]]] = {
    "max_softmax": _max_softmax,
    "energy": lambda arrays, logits, features, temperature: energy(logits, temperature),
    "mahalanobis": lambda arrays, logits, features, temperature: _mahalanobis(arrays, features),
    "relative_mahalanobis": lambda arrays, logits, features, temperature: _relative(arrays, features),
    "knn": lambda arrays, logits, features, temperature: _knn(arrays, features),
    DEFAULT: _energy_mahalanobis,
}
METHODS: Final = tuple(_SCORES)
