"""Entry point of a prediction worker: `celery --app workers.prediction_worker worker --queues predictions,batches`."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, signals

from ml.artifacts import open_artifacts
from ml.registry import PRODUCTION, Registry
from settings import Settings
from workers import inference, logs
from workers.aliases import RedisIndex
from workers.app import connect, make_celery, wait_for_redis
from workers.groups import VERSIONS, Groups
from workers.consumer import Consumer
from workers.jobs import JobStore
from workers.metrics import Metrics
from workers.queue import BATCHES, PREDICTIONS, send_job, send_tuning
from workers.records import Slice
from workers.tracing import Tracing
from workers.tuning import TuningStore
from workers.upkeep import Activity, Heartbeat, Sweep, Upkeep


def build(settings: Settings, tracing: Tracing | None = None) -> Celery:
    """The Celery application of a prediction worker, with everything that the task needs."""
    celery = make_celery(settings.redis())
    redis = connect(settings.redis())
    registry = Registry(open_artifacts(settings.artifacts()), RedisIndex(redis))
    groups = Groups.from_settings(redis, settings)
    metrics = Metrics(redis)
    work = inference.Inference(
        groups, registry, metrics, loaded_versions=settings.loaded_versions, max_attempts=settings.max_attempts,
        threads=settings.threads(),
    )  # fmt: skip
    activity = Activity()
    heartbeat = Heartbeat(redis, PREDICTIONS, activity)
    stores = (JobStore.training(redis, settings), send_job), (TuningStore.from_settings(redis, settings), send_tuning)
    sweep = Sweep(redis, groups, stores, celery, metrics, max_memory_share=settings.max_memory_share)

    def install() -> None:
        # One worker at a time, so that a release is published once however many start together.
        with redis.lock("hemline:install", timeout=120):
            registry.restore()
            registry.install_shipped()

    def reinstall() -> None:
        if not redis.exists(VERSIONS):  # Redis came back without its data
            install()

    upkeep = Upkeep(heartbeat.beat, metrics.fold, sweep.run, reinstall, alive_file=settings.alive_file)

    def prepare(**_: Any) -> None:
        try:
            wait_for_redis(redis)
            install()
            work.load(registry.resolve(PRODUCTION))  # warm before the first message
        except Exception as failed:
            # Celery would log the error of a receiver and go on without it.
            logging.getLogger(__name__).exception("cannot start: %s", failed)
            raise SystemExit(1) from failed
        upkeep.start()

    def finish(**_: Any) -> None:
        upkeep.stop()
        metrics.end()
        heartbeat.end()

    # Celery holds receivers weakly unless told otherwise.
    signals.worker_init.connect(prepare, weak=False)
    signals.worker_shutdown.connect(finish, weak=False)
    run = tracing.predicting(groups, work.run) if tracing else work.run

    def named(piece: Slice) -> None:
        with logs.about(slice=str(piece)):
            run(piece)

    consumer = Consumer(redis, (PREDICTIONS, BATCHES), activity.watching(named), settings.threads())
    inference.register(celery, consumer)
    return celery


_settings = Settings.from_env()
logs.configure("worker", _settings.log_level, _settings.log_format)
app = build(_settings, Tracing.start("worker", _settings.otlp_endpoint))
