"""The floor: how many images a second two cores decode and classify when there is no HTTP, no queue and no record."""

from __future__ import annotations

import base64
import multiprocessing
import time
from typing import Any, Final

PROCESSES: Final = 2
_BATCH: Final = 64
_together: Any = None  # of the processes of the pool


def images_per_second(images: list[str], seconds: float) -> float:
    """With PROCESSES processes at the same time, each of which decodes and classifies in batches."""
    context = multiprocessing.get_context("spawn")
    # Not before all have loaded, and all for the same time.
    together = context.Barrier(PROCESSES)
    with context.Pool(PROCESSES, _prepare, (together,)) as pool:
        return sum(pool.starmap(_classify, [(images, seconds)] * PROCESSES, chunksize=1))


def _prepare(together: Any) -> None:
    global _together
    _together = together


def _classify(images: list[str], seconds: float) -> float:
    import cv2
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from tests.benchmarks.classifier import served_file

    interpreter = Interpreter(str(served_file()), num_threads=1)
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(source, [_BATCH, 28, 28, 1])
    interpreter.allocate_tensors()
    pixels, done = np.zeros((_BATCH, 28, 28, 1), np.uint8), 0
    _together.wait()
    end = (start := time.perf_counter()) + seconds
    while (now := time.perf_counter()) < end:
        for place in range(_BATCH):
            raw = np.frombuffer(base64.b64decode(images[(done + place) % len(images)]), np.uint8)
            pixels[place, ..., 0] = cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE)
        interpreter.set_tensor(source, (pixels ^ 0x80).view(np.int8))
        interpreter.invoke()
        interpreter.get_tensor(target)
        done += _BATCH
    return done / (now - start)
