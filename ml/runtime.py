"""A loaded model version: pixels in, calibrated probabilities and novelty out.

LiteRT serves what Keras trained: a version is ready in hundredths of a second, and neither the web process nor the
prediction worker ever imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers for n images: `probabilities` [n, 10] sum to 1, `novelty` [n] lies between 0 and 1."""

    probabilities: Floats
    novelty: Floats
    is_fashion: NDArray[np.bool_]


class Classifier:
    """One model version, ready to answer. Not for use by two threads at once."""

    def __init__(self, tflite: bytes, card: Mapping[str, Any], batch_sizes: Sequence[int] = (1, 8, 32, 64)) -> None:
        # Changing an interpreter's batch size costs more than a small batch, so there is one for each of a few sizes
        # and a batch is padded to the next.
        self._runners = {size: _Runner(tflite, size) for size in sorted(batch_sizes)}
        self._temperature = np.float32(card["calibration"]["temperature"])
        self._quantiles = np.asarray(card["novelty"]["quantiles"], np.float32)
        self._threshold = np.float32(card["novelty"]["threshold"])

    def classify(self, pixels: Pixels) -> Predictions:
        """Answer for `pixels` [n, 784], n at least 1, as the data set stores them: 0 is background, 255 is bright."""
        scaled = self._logits(pixels) / self._temperature
        # Shifted by the largest before exponentiating, so that no logit overflows.
        top = scaled.max(axis=1, keepdims=True)
        exponentials = np.exp(scaled - top)
        total = exponentials.sum(axis=1, keepdims=True)
        # Energy score, Liu et al. 2020 (arXiv:2010.03759): high where no class claims the picture. Reported as the
        # share of validation images that are less novel.
        energy = -self._temperature * (top + np.log(total))[:, 0]
        novelty = np.interp(energy, self._quantiles, np.linspace(0, 1, len(self._quantiles))).astype(np.float32)
        return Predictions(exponentials / total, novelty, novelty <= self._threshold)

    def _logits(self, pixels: Pixels) -> Floats:
        largest = max(self._runners)
        parts = [self._run(pixels[start : start + largest]) for start in range(0, len(pixels), largest)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, pixels: Pixels) -> Floats:
        size = next(size for size in self._runners if size >= len(pixels))
        return self._runners[size](pixels)


class _Runner:
    """An interpreter whose batch size is fixed."""

    def __init__(self, tflite: bytes, size: int) -> None:
        self._interpreter = Interpreter(model_content=tflite, num_threads=1)
        (source,) = self._interpreter.get_input_details()
        target = self._interpreter.get_output_details()[0]
        self._input, self._output, self._dtype = source["index"], target["index"], source["dtype"]
        self._output_scale = target["quantization"] if target["dtype"] != np.float32 else None
        self._interpreter.resize_tensor_input(self._input, [size, 28, 28, 1], strict=True)
        self._interpreter.allocate_tensors()
        self._padded = np.zeros((size, 28, 28, 1), self._dtype)
        self(np.zeros((1, 784), np.uint8))  # the first call of an interpreter prepares its kernels

    def __call__(self, pixels: Pixels) -> Floats:
        count = len(pixels)
        self._padded[:count] = self._encoded(pixels).reshape(count, 28, 28, 1)
        self._interpreter.set_tensor(self._input, self._padded)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)[:count]
        if self._output_scale is not None:
            scale, zero = self._output_scale
            logits = (logits.astype(np.float32) - zero) * scale
        return np.asarray(logits, np.float32)

    def _encoded(self, pixels: Pixels) -> NDArray[Any]:
        if self._dtype == np.float32:
            return pixels.astype(np.float32) / 255
        # The export gives an int8 network the quantization 1/255 with zero at the lowest value: the raw pixel.
        return pixels if self._dtype == np.uint8 else (pixels ^ 0x80).view(np.int8)
