"""What the views work with, put together by `api.app.create_app` and found through the Flask application."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from celery import Celery
from flask import current_app
from redis import Redis

from api.limits import RateLimits
from ml.images import ContractImage, read_image
from ml.registry import Registry
from settings import Settings
from workers.announcements import Announcements
from workers.backlog import Backlog
from workers.batches import BatchStore
from workers.datasets import DatasetStore
from workers.groups import Groups
from workers.idempotency import Idempotency
from workers.jobs import JobStore
from workers.keys import KeyStore, Verifier
from workers.metrics import Metrics
from workers.outbound import Network
from workers.predictions import PredictionQueue
from workers.tracing import Tracing
from workers.tuning import TuningStore
from workers.webhooks import Deliveries


class Held:
    """How many requests an event loop holds, of at most so many. Not for several threads."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def hold(self, seconds: float) -> Iterator[float]:
        """Seconds that a request may be held: none when too many are held already."""
        if seconds <= 0 or self._left <= 0:
            yield 0.0
            return
        self._left -= 1
        try:
            yield seconds
        finally:
            self._left += 1


# In a request's environment: its body, where that is read already, and that answers may be still to come.
BODY, LATER = "hemline.body", "hemline.later"


@dataclass(frozen=True)
class Parts:
    """The parts of one web process."""

    settings: Settings
    redis: Redis
    groups: Groups
    batches: BatchStore
    queue: PredictionQueue
    announcements: Announcements
    backlog: Backlog
    registry: Registry
    jobs: JobStore
    tunings: TuningStore
    datasets: DatasetStore
    keys: KeyStore
    idempotency: Idempotency
    deliveries: Deliveries
    reachable: tuple[Network, ...]  # where webhooks may lead besides what is public
    limits: RateLimits | None  # none where none apply
    verifier: Verifier | None  # none where no keys are asked for
    celery: Celery
    metrics: Metrics
    tracing: Tracing | None  # none where nobody receives traces
    held: Held  # requests that wait on the event loop
    threads: threading.Semaphore  # how many threads may still be held by requests that wait
    readers: ThreadPoolExecutor  # no more than there are cores: photos must not take them from small pictures

    def read_picture(self, data: bytes) -> Future[ContractImage]:
        """Read a picture that takes longer than `read_plain_image`: up to a tenth of a second. Raises InvalidImage."""
        return self.readers.submit(read_image, data, self.settings.max_pixels)


def parts() -> Parts:
    """The parts of the application that answers the current request."""
    found: Parts = current_app.extensions["hemline"]
    return found
