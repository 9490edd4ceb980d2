"""Teachers: exported models whose answers a smaller network learns to give (Hinton et al., 2015).

They answer through LiteRT, in int8 where they have it, so that a batch costs a fraction of the student's step.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


def ensemble(files: Sequence[Path]) -> Callable[[Images], Floats]:
    """The mean logits [n, 10] of LiteRT files for images uint8 [n, 28, 28], all calls with the same n."""
    teachers = [Interpreter(model_content=path.read_bytes(), num_threads=1) for path in files]

    def answer(images: Images) -> Floats:
        return np.asarray(np.mean([_logits(teacher, images) for teacher in teachers], axis=0), np.float32)

    return answer


def _logits(teacher: Any, images: Images) -> Floats:
    source, target = teacher.get_input_details()[0], teacher.get_output_details()[0]
    shape = [len(images), 28, 28, 1]
    if list(source["shape"]) != shape:
        teacher.resize_tensor_input(source["index"], shape, strict=True)
        teacher.allocate_tensors()
    whole = source["dtype"] == np.int8
    raw = (images ^ 0x80).view(np.int8) if whole else images.astype(np.float32) / np.float32(255)
    teacher.set_tensor(source["index"], raw.reshape(shape))
    teacher.invoke()
    logits: Floats = teacher.get_tensor(target["index"])
    return logits
