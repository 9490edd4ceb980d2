"""What every compared server does: base64, PNG, the network of Hemline's production version, ten probabilities.

Here Hemline's own runtime is not used, but what its users would write. The decoder is OpenCV; opening the file with
Pillow takes four times as long. Only NumPy, OpenCV and LiteRT, for it runs in the environment of each server.

The network is in the layout that is the fastest here, as Hemline itself runs it, so that servers are compared and not
layouts: who compares names the file in CLASSIFIER_FILE.
"""

import base64
import json
import os
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

_VERSION = Path(__file__).parents[2] / "ml" / "shipped" / "small"


def served_file() -> Path:
    """The LiteRT file that every server runs."""
    return Path(os.environ.get("CLASSIFIER_FILE", shipped_file()))


def shipped_file() -> Path:
    """The LiteRT file of Hemline's production version."""
    return _VERSION / json.loads((_VERSION / "card.json").read_text())["serving"]["artifact"]


class Classifier:
    """The network, for one thread."""

    def __init__(self) -> None:
        card = json.loads((_VERSION / "card.json").read_text())
        self._names = card["classes"]
        self._temperature = card["calibration"]["temperature"]
        self._interpreter = Interpreter(str(served_file()), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        output = self._interpreter.get_output_details()[0]
        self._output, (self._scale, self._zero) = output["index"], output["quantization"]

    def logits(self, image: str) -> np.ndarray:
        """[10] of a 28×28 PNG file in base64."""
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_GRAYSCALE)
        # The file's input has scale 1/255 and its zero at the lowest value: an int8 input is the pixel less 128.
        self._interpreter.set_tensor(self._input, (pixels ^ 0x80).view(np.int8).reshape(1, 28, 28, 1))
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output)[0]
        return (raw.astype(np.float32) - self._zero) * self._scale if raw.dtype == np.int8 else raw

    def classify(self, image: str) -> dict:
        """The best label and the probability of each."""
        scaled = self.logits(image) / self._temperature
        exponentials = np.exp(scaled - scaled.max())
        probabilities = (exponentials / exponentials.sum()).tolist()
        return {
            "label": self._names[int(scaled.argmax())],
            "probabilities": dict(zip(self._names, probabilities, strict=True)),
        }
