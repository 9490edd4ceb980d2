"""The predictions task: take a slice of a group, classify it as one batch, store all its answers at once.

Delivery is at least once. Storing is guarded record by record, so that a slice that runs twice is answered once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import orjson
from celery import Celery
from numpy.typing import NDArray
from redis import RedisError

from ml.registry import DamagedVersion, Registry
from ml.runtime import Classifier, Predictions
from workers.groups import Groups
from workers.logs import fields
from workers.metrics import Metrics
from workers.records import RESULT, Answer, Slice, Taken, error
from workers.queue import PREDICT, queue_of

_log = logging.getLogger(__name__)


class Inference:
    """Answers slices with the model versions that they are pinned to, of which it keeps the last few loaded.

    For use by so many threads.
    """

    def __init__(
        self, groups: Groups, registry: Registry, metrics: Metrics, *, loaded_versions: int, max_attempts: int,
        threads: int = 1,
    ) -> None:
        self._groups = groups
        self._metrics = metrics
        self._threads = threads
        self._registry = registry
        self._capacity = loaded_versions
        self._max_attempts = max_attempts
        self._loaded: OrderedDict[str, Classifier] = OrderedDict()
        self._loading = threading.Lock()

    def run(self, piece: Slice) -> None:
        """Answer what is open of a slice; a picture that cannot be classified fails by itself."""
        taken = self._groups.begin(piece)
        if taken is None:
            return
        if taken.attempt == 1:
            try:
                self._answer(piece, taken)
                return
            except (RedisError, OSError):
                raise  # a store is away and no picture is to blame: the sweep sends the slice again
            except Exception as failed:
                _log.exception("%s failed as a batch and is tried picture by picture: %s", piece, failed)
        self._answer_singly(piece, taken)

    def load(self, version: str) -> Classifier:
        """A version, ready to answer; the one that was not asked for the longest makes room."""
        with self._loading:
            classifier = self._loaded.get(version)
            if classifier is None:
                started = time.perf_counter()
                files = partial(self._registry.find, version)
                classifier = Classifier(self._registry.card(version), files, threads=self._threads)
                _log.info("loaded %s in %.0f ms", version, (time.perf_counter() - started) * 1e3)
                self._loaded[version] = classifier
                if len(self._loaded) > self._capacity:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(version)
            return classifier

    def _load_if_possible(self, version: str) -> None:
        """Raise OSError before an attempt is counted, when it is the store that is away."""
        with suppress(LookupError, DamagedVersion, ValueError, RuntimeError):
            self.load(version)

    def _answer(self, piece: Slice, taken: Taken) -> None:
        classifier = self.load(taken.version)
        pixels, photos = taken.pixels, taken.photos
        began = time.perf_counter()
        predictions = classifier.classify(pixels, photos if photos.any() else None)
        explanations = [
            classifier.explain(pixels[i], bool(photos[i])).pack() if explained else b""
            for i, explained in enumerate(taken.explained.tolist())
        ]
        seconds = time.perf_counter() - began
        results = _results(predictions, taken.now, seconds)
        if taken.in_block and not any(explanations):
            self._groups.finish_block(piece, taken.places, results)
        else:
            answers = zip(taken.places, _packed(results), explanations, strict=True)
            self._groups.finish(piece, [Answer(place, "s", result + more) for place, result, more in answers])
        waited = (taken.now - taken.created) / 1e6
        self._metrics.answered(queue_of(piece.group), taken.version, len(taken.places), waited, seconds)

    def _answer_singly(self, piece: Slice, taken: Taken) -> None:
        """Each picture by itself, counting: one that takes its worker down again and again must not go on for ever."""
        for i, place in enumerate(taken.places):
            self._load_if_possible(taken.version)
            attempt = self._groups.count_attempt(piece, place)
            try:
                if attempt > self._max_attempts:
                    raise RuntimeError(f"its worker died {attempt - 1} times")
                self._answer(piece, taken.alone(i))
            except (RedisError, OSError):
                raise
            except Exception as failed:
                _log.exception("place %d of %s fails", place, piece, extra=fields(**self._request_of(piece, place)))
                detail = f"The picture could not be classified ({failed}). Send it again; if it fails again, report it."
                failure = {**error("inference_failed", detail), "completed": taken.now}
                self._groups.finish(piece, [Answer(place, "f", orjson.dumps(failure))])
                self._metrics.predictions.labels(taken.version, "failed").inc()

    def _request_of(self, piece: Slice, place: int) -> dict[str, str]:
        """The id of the request that a picture came with, as a batch has pictures of many."""
        prediction = self._groups.prediction(piece.group, place)
        return {"request_id": prediction.doc["request_id"]} if prediction and "request_id" in prediction.doc else {}


def _results(predictions: Predictions, started: int, seconds: float) -> NDArray[Any]:
    count = len(predictions.novelty)
    results = np.empty(count, RESULT)
    results["probabilities"] = predictions.probabilities
    results["novelty"] = predictions.novelty
    results["is_fashion"] = predictions.is_fashion
    results["batch_size"] = count
    results["inference_ms"] = seconds * 1e3
    results["started"] = started
    results["completed"] = started + round(seconds * 1e6)
    return results


def _packed(results: NDArray[Any]) -> list[bytes]:
    size = RESULT.itemsize
    joined = results.tobytes()
    return [joined[start : start + size] for start in range(0, len(joined), size)]


def register(app: Celery, run: Callable[[Slice], None]) -> None:
    """Add the task to a Celery application."""

    @app.task(name=PREDICT)
    def predict(piece: str) -> None:
        run(Slice.parse(piece))
