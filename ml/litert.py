"""Runs a LiteRT file over any number of images, to judge it: without TensorFlow, and without the runtime's speed."""

from collections.abc import Callable
from typing import Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BATCH: Final = 100


def outputs(content: bytes, images: Images, batch_size: int = _BATCH) -> tuple[Floats, Floats | None]:
    """Logits float32 [n, 10] and features float32 [n, d] of uint8 images [n, 28, 28], from a float32 or int8 file.

    The features are what the last dense layer sees; a file of one output has none.
    """
    interpreter = Interpreter(model_content=content, num_threads=1)
    targets = interpreter.get_output_details()
    parts: list[list[Floats]] = [[] for _ in targets]
    for start in range(0, len(images), batch_size):
        load(interpreter, images[start : start + batch_size])
        interpreter.invoke()
        for part, target in zip(parts, targets, strict=True):
            part.append(interpreter.get_tensor(target["index"]))
    logits, *features = map(np.concatenate, parts)
    return logits, features[0] if features else None


def logits(content: bytes, images: Images, batch_size: int = _BATCH) -> Floats:
    """Only the logits float32 [n, 10] of `outputs`."""
    return outputs(content, images, batch_size)[0]


def load(interpreter: Interpreter, images: Images) -> None:
    """Give an interpreter its input: uint8 images [n, 28, 28], as its file takes them."""
    (source,) = interpreter.get_input_details()
    batch = images[..., None]
    if tuple(source["shape"]) != batch.shape:
        interpreter.resize_tensor_input(source["index"], batch.shape, strict=True)
    interpreter.allocate_tensors()  # does nothing where nothing was resized
    raw = (batch ^ 0x80).view(np.int8) if source["dtype"] == np.int8 else batch.astype(np.float32) / np.float32(255)
    interpreter.set_tensor(source["index"], raw)


def runner(content: bytes, images: Images) -> Callable[[], None]:
    """What runs the network once over these images, and nothing else: to be timed."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    load(interpreter, images)
    return lambda: interpreter.invoke()


def has_features(content: bytes) -> bool:
    """Whether the file's second output is there."""
    return len(Interpreter(model_content=content).get_output_details()) > 1
