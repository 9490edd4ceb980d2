"""Entry point of a training worker: `celery --app workers.training_worker worker --queues training`."""

from __future__ import annotations

from settings import Settings
from workers.app import make_celery

app = make_celery(Settings.from_env().redis())
