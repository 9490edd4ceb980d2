"""The Celery half of the template: one task a request, answers in the result backend."""

import os

from celery import Celery
from celery.signals import worker_process_init, worker_ready

from classifier import Classifier

celery = Celery("naive", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
celery.conf.update(result_expires=3600, worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)
_loaded: list[Classifier] = []


@worker_ready.connect
@worker_process_init.connect
def load(**_: object) -> None:
    """Not at the first request, which would wait for it."""
    _loaded[:] = [Classifier()]


@celery.task
def predict(image: str) -> dict:
    return _loaded[0].classify(image)
