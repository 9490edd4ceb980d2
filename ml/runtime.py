"""A loaded model version: pixels in; calibrated probabilities, novelty and, when asked, an explanation out.

LiteRT serves what Keras trained: a version is ready in hundredths of a second, and neither the web process nor the
prediction worker ever imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ml import explanations, layout, levels, novelty
from ml.calibration import calibrated
from ml.explanations import Explanation, Neighbor
from ml.neighbors import Neighbors

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Read = Callable[[str], bytes | None]  # the content of a version's file by its name; nothing where there is none

# An image takes about as long in a batch of any size; 16 at a time save calls, and more would cost memory for nothing.
_SIZES: Final = (16, 4, 1)
# Of photos there are few at a time: cutting one out takes far longer than classifying it.
_PHOTO_SIZES: Final = (4, 1)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers for n images: `probabilities` [n, 10] sum to 1, `novelty` [n] lies between 0 and 1."""

    probabilities: Floats
    novelty: Floats
    is_fashion: NDArray[np.bool_]


class Classifier:
    """One model version, ready to answer. Of more threads than it was made for, some wait.

    Pictures that were cut out of photographs are answered by the version's network for photos, where it has one.
    """

    def __init__(
        self, card: Mapping[str, Any], read: Read, batch_sizes: Sequence[int] = _SIZES, threads: int = 1
    ) -> None:
        """Load what the card names, for so many threads. Raises ValueError where the files are not what it says."""
        self._network = _Network(card, read, "novelty.npz", "neighbors.npz", batch_sizes, threads)
        photos = card.get("photos")
        self._photos = photos and _Network(photos, read, "photos.npz", "photos.neighbors.npz", _PHOTO_SIZES, threads)

    def classify(self, pixels: Pixels, photos: Mask | None = None) -> Predictions:
        """Answer for `pixels` [n, 784], n at least 1, as the data set stores them: 0 is background, 255 is bright.

        `photos` [n]: which of them were cut out of a photograph; nothing if none was.
        """
        if self._photos is None or photos is None or not photos.any():
            return self._network.classify(pixels)
        if photos.all():
            return self._photos.classify(pixels)
        parts = self._network.classify(pixels[~photos]), self._photos.classify(pixels[photos])
        places = np.argsort(np.concatenate([np.flatnonzero(~photos), np.flatnonzero(photos)]))
        probabilities, novelties, is_fashion = (
            np.concatenate([getattr(part, name) for part in parts])[places] for name in Predictions.__slots__
        )
        return Predictions(probabilities, novelties, is_fashion)

    def explain(self, pixels: Pixels, photo: bool = False) -> Explanation:
        """Why `pixels` [784] get the class that they get: takes as long as classifying about 150 pictures."""
        network = self._photos if photo and self._photos is not None else self._network
        return network.explain(pixels)


class _Network:
    """A network with its calibration, its novelty detector and its training images."""

    def __init__(
        self, card: Mapping[str, Any], read: Read, arrays: str, neighbors: str, batch_sizes: Sequence[int],
        threads: int,
    ) -> None:
        model = read(name := card["serving"]["artifact"])
        if model is None:
            raise ValueError(f"The version lacks {name}, which its card says is served.")
        fastest = layout.fastest(model)
        self._free: LifoQueue[_Lane] = LifoQueue()
        for _ in range(threads):
            self._free.put(_Lane(fastest, batch_sizes))
        self._levels = card.get("levels")
        self._calibration = card["calibration"]
        self._detector = novelty.load(card["novelty"]["score"], read(arrays))
        self._quantiles = np.asarray(card["novelty"]["quantiles"], np.float32)
        self._shares = np.linspace(0, 1, len(self._quantiles))
        self._threshold = np.float32(card["novelty"]["threshold"])
        index = read(neighbors)
        self._neighbors = Neighbors.load(index) if index is not None else None

    def classify(self, pixels: Pixels) -> Predictions:
        # A detector without arrays looks at logits alone.
        logits, features = self._run(levels.restored(pixels, self._levels), bool(self._detector.arrays))
        scores = self._detector.score(logits, features, self._calibration["temperature"])
        # Reported as the share of validation images that are less novel.
        share = np.interp(scores, self._quantiles, self._shares).astype(np.float32)
        scaled = calibrated(logits, self._calibration)
        # Shifted by the largest before exponentiating, so that no logit overflows.
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return Predictions(exponentials / exponentials.sum(axis=1, keepdims=True), share, share <= self._threshold)

    def explain(self, pixels: Pixels) -> Explanation:
        pixels = levels.restored(pixels[None], self._levels)[0]
        covered = explanations.coverings(pixels)
        occluded = np.where(covered, np.uint8(0), pixels)
        logits, features = self._run(np.concatenate([pixels[None], occluded]), self._neighbors is not None)
        odds = _log_odds(calibrated(logits, self._calibration), int(logits[0].argmax()))
        return Explanation(explanations.heat(covered, odds[0] - odds[1:]), self._nearest(features))

    def _nearest(self, features: Floats | None) -> tuple[Neighbor, ...]:
        if self._neighbors is None or features is None:
            return ()
        indexes, labels = self._neighbors.nearest(features[:1])
        return tuple(Neighbor(int(index), int(label)) for index, label in zip(indexes[0], labels[0], strict=True))

    def _run(self, pixels: Pixels, want_features: bool) -> tuple[Floats, Floats | None]:
        """Logits [n, 10] and, if wanted, features [n, d]."""
        lane = self._free.get()
        try:
            return lane(pixels, want_features)
        finally:
            self._free.put(lane)


class _Lane:
    """What one thread at a time runs a network with.

    Changing an interpreter's batch size costs more than a small batch, so there is one for each of a few sizes, largest
    first, and a batch is cut into these.
    """

    def __init__(self, tflite: bytes, batch_sizes: Sequence[int]) -> None:
        self._runners = {size: _Runner(tflite, size) for size in sorted(batch_sizes, reverse=True)}

    def __call__(self, pixels: Pixels, want_features: bool) -> tuple[Floats, Floats | None]:
        parts = []
        while len(pixels):
            size = next((size for size in self._runners if size <= len(pixels)), min(self._runners))
            parts.append(self._runners[size](pixels[:size], want_features))
            pixels = pixels[size:]
        return _joined(parts)


def _joined(parts: list[tuple[Floats, Floats | None]]) -> tuple[Floats, Floats | None]:
    if len(parts) == 1:
        return parts[0]
    features = [features for _, features in parts if features is not None]
    return np.concatenate([logits for logits, _ in parts]), np.concatenate(features) if features else None


class _Runner:
    """An interpreter whose batch size is fixed."""

    def __init__(self, tflite: bytes, size: int) -> None:
        self._interpreter = Interpreter(model_content=tflite, num_threads=1)
        (source,) = self._interpreter.get_input_details()
        logits, *features = self._interpreter.get_output_details()
        self._input, self._logits, self._dtype = source["index"], logits["index"], source["dtype"]
        self._features = features[0]["index"] if features else None
        self._logit_scale = logits["quantization"] if logits["dtype"] != np.float32 else None
        self._interpreter.resize_tensor_input(self._input, [size, 28, 28, 1], strict=True)
        self._interpreter.allocate_tensors()
        self._padded = np.zeros((size, 28, 28, 1), self._dtype)
        self(np.zeros((1, 784), np.uint8))  # the first call of an interpreter prepares its kernels

    def __call__(self, pixels: Pixels, want_features: bool = False) -> tuple[Floats, Floats | None]:
        """Logits [n, 10] and, if wanted, features [n, d]. Raises ValueError where the file has none."""
        count = len(pixels)
        self._padded[:count] = self._encoded(pixels).reshape(count, 28, 28, 1)
        self._interpreter.set_tensor(self._input, self._padded)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._logits)[:count]
        if self._logit_scale is not None:
            scale, zero = self._logit_scale
            logits = (logits.astype(np.float32) - zero) * scale
        return np.asarray(logits, np.float32), self._read_features(count) if want_features else None

    def _read_features(self, count: int) -> Floats:
        if self._features is None:
            raise ValueError("The novelty score or the neighbors need features, and the LiteRT file gives only logits.")
        return np.asarray(self._interpreter.get_tensor(self._features)[:count], np.float32)

    def _encoded(self, pixels: Pixels) -> NDArray[Any]:
        if self._dtype == np.float32:
            return pixels.astype(np.float32) / 255
        # The export gives an int8 network the quantization 1/255 with zero at the lowest value: the raw pixel.
        return pixels if self._dtype == np.uint8 else (pixels ^ 0x80).view(np.int8)


def _log_odds(scaled: Floats, class_id: int) -> Floats:
    """[n]: the logarithm of p / (1 - p) of one class. It tells a sure answer from a surer one, which p hardly does."""
    others = np.delete(scaled, class_id, axis=1)
    top = others.max(axis=1)
    odds: Floats = scaled[:, class_id] - top - np.log(np.exp(others - top[:, None]).sum(axis=1))
    return odds
