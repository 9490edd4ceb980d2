"""What the views work with, put together by `api.app.create_app` and found through the Flask application."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from celery import Celery
from flask import current_app
from redis import Redis

from ml.registry import Registry
from settings import Settings
from workers.announcements import Announcements
from workers.backlog import Backlog
from workers.batches import BatchStore
from workers.datasets import DatasetStore
from workers.groups import Groups
from workers.jobs import JobStore
from workers.queue import PredictionQueue
from workers.tuning import TuningStore


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
    celery: Celery
    held: threading.Semaphore  # how many requests may still be held waiting


def parts() -> Parts:
    """The parts of the application that answers the current request."""
    found: Parts = current_app.extensions["hemline"]
    return found
