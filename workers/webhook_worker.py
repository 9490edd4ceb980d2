"""Entry point of a webhook worker: `celery --app workers.webhook_worker worker --queues webhooks --pool threads`."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from celery import Celery, signals
from redis import RedisError

from settings import Settings
from workers import delivery, logs
from workers.app import connect, make_celery, wait_for_redis
from workers.batches import BatchStore
from workers.groups import Groups
from workers.jobs import JobStore
from workers.metrics import Metrics
from workers.outbound import networks
from workers.queue import WEBHOOKS
from workers.tuning import TuningStore
from workers.upkeep import Activity, Heartbeat, Upkeep
from workers.webhooks import Deliveries

_LOOK: Final = 0.25  # seconds between two looks at what is due
_AT_ONCE: Final = 100
_log = logging.getLogger(__name__)


def build(settings: Settings) -> Celery:
    """The Celery application of a webhook worker, with everything that the task needs."""
    celery = make_celery(settings.redis())
    redis = connect(settings.redis())
    deliveries = Deliveries.from_settings(redis, settings)
    groups = Groups.from_settings(redis, settings)
    describe = delivery.Describer(
        groups, BatchStore.from_settings(redis, groups, settings), JobStore.training(redis, settings),
        TuningStore.from_settings(redis, settings),
    )  # fmt: skip
    metrics = Metrics(redis)
    sender = delivery.Sender(deliveries, describe, metrics, networks(settings.webhook_allow))
    activity = Activity()
    heartbeat = Heartbeat(redis, WEBHOOKS, activity)
    upkeep = Upkeep(heartbeat.beat, metrics.fold, alive_file=settings.alive_file)
    ending = threading.Event()

    def look() -> None:
        while not ending.wait(_LOOK):
            try:
                delivery.ask(celery, deliveries, _AT_ONCE)
            except RedisError as away:
                _log.warning("what is due is not known: Redis is away (%s)", away)
            except Exception:  # kombu lets errors of several libraries through
                _log.exception("what is due could not be asked for and is again, later")

    def prepare(**_: Any) -> None:
        wait_for_redis(redis)
        upkeep.start()
        threading.Thread(target=look, name="due", daemon=True).start()

    def finish(**_: Any) -> None:
        ending.set()
        upkeep.stop()
        metrics.end()
        heartbeat.end()

    # Celery holds receivers weakly unless told otherwise.
    signals.worker_init.connect(prepare, weak=False)
    signals.worker_shutdown.connect(finish, weak=False)
    delivery.register(celery, activity.watching(sender.run))
    return celery


_settings = Settings.from_env()
logs.configure("webhooks", _settings.log_level, _settings.log_format)
app = build(_settings)
