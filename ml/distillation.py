"""Teachers: exported models whose answers a smaller network learns to give (Hinton et al., 2015).

They answer through LiteRT, in int8 where they have it, so that a batch costs a fraction of the student's step.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ml import layout, litert

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


def ensemble(files: Sequence[Path]) -> Callable[[Images], Floats]:
    """The mean logits [n, 10] of LiteRT files for images uint8 [n, 28, 28]."""
    teachers = [Interpreter(model_content=layout.fastest(path.read_bytes()), num_threads=1) for path in files]

    def answer(images: Images) -> Floats:
        return np.asarray(np.mean([_logits(teacher, images) for teacher in teachers], axis=0), np.float32)

    return answer


def _logits(teacher: Interpreter, images: Images) -> Floats:
    litert.load(teacher, images)
    teacher.invoke()
    return np.asarray(teacher.get_tensor(teacher.get_output_details()[0]["index"]), np.float32)
