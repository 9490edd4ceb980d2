"""Entry point of a training worker: `celery --app workers.training_worker worker --queues training`."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from ml.artifacts import open_artifacts
from ml.registry import Registry
from settings import Settings
from workers import logs, training, trials
from workers.aliases import RedisIndex
from workers.app import connect, make_celery, wait_for_redis
from workers.datasets import DatasetStore
from workers.groups import Groups
from workers.jobs import JobStore
from workers.metrics import Metrics
from workers.queue import TRAIN, TRAINING, TUNE, send_job, send_tuning
from workers.tracing import Tracing, following
from workers.tuning import TuningStore
from workers.upkeep import Activity, Heartbeat, Sweep, Upkeep, end_when_idle, seldom


def build(settings: Settings, tracing: Tracing | None = None) -> Celery:
    """The Celery application of a training worker, with everything that the task needs."""
    celery = make_celery(settings.redis())
    redis = connect(settings.redis())
    artifacts = open_artifacts(settings.artifacts())
    jobs = JobStore.training(redis, settings)
    work = training.Training(
        jobs, Registry(artifacts, RedisIndex(redis)), artifacts, DatasetStore(artifacts), celery,
        checkpoint_seconds=settings.checkpoint_seconds,
        load_official=training.official_data(settings.data_dir, settings.home / "datasets" / "fashion-mnist"),
    )  # fmt: skip
    tunings = TuningStore.from_settings(redis, settings)
    tuning = trials.Tuning(tunings, redis, celery, work.data)
    metrics = Metrics(redis)
    activity = Activity()
    heartbeat = Heartbeat(redis, TRAINING, activity)
    groups = Groups.from_settings(redis, settings)
    stores = (jobs, send_job), (tunings, send_tuning)
    sweep = Sweep(redis, groups, stores, celery, metrics, max_memory_share=settings.max_memory_share)
    upkeep = Upkeep(
        heartbeat.beat, metrics.fold, sweep.run, seldom(work.forget_checkpoints),
        end_when_idle(activity, settings.training_idle), alive_file=settings.alive_file,
    )  # fmt: skip

    def prepare(**_: Any) -> None:
        wait_for_redis(redis)
        upkeep.start()

    def end(**_: Any) -> None:
        work.end_soon()
        tuning.end_soon()

    def finish(**_: Any) -> None:
        upkeep.stop()
        metrics.end()
        heartbeat.end()

    # Celery holds receivers weakly unless told otherwise.
    signals.worker_init.connect(prepare, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
    signals.worker_shutdown.connect(finish, weak=False)
    train = tracing.working(jobs, TRAIN, work.run) if tracing else work.run
    tune = tracing.working(tunings.jobs, TUNE, tuning.run) if tracing else tuning.run
    training.register(celery, activity.watching(following(jobs, train)))
    trials.register(celery, activity.watching(following(tunings.jobs, tune)))
    return celery


_settings = Settings.from_env()
logs.configure("training", _settings.log_level, _settings.log_format)
app = build(_settings, Tracing.start("training", _settings.otlp_endpoint))
