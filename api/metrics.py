"""`GET /metrics`: all processes at once, for Prometheus.

What processes counted comes from the sums in Redis (`workers.metrics`), what is so at this moment from the records. So
the answer is the same from every web process, and one of them is asked, not each.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from redis import RedisError

from api.auth import needs
from api.parts import Parts, parts
from settings import VERSION
from workers import ids
from workers.groups import ALIASES, BULK, FULL, QUEUED
from workers.jobs import Job
from workers.keys import Scope
from workers.queue import BATCHES, PREDICTIONS, TRAINING, WEBHOOKS, queue_key
from workers.upkeep import alive

blueprint = Blueprint("metrics", __name__)
_QUEUES = (PREDICTIONS, BATCHES, TRAINING)
_KINDS = {"prediction": PREDICTIONS, "training": TRAINING, "webhook": WEBHOOKS}
_WAITING = {
    "predictions": QUEUED, "batches": BULK, "training": "hemline:waiting:job", "tuning": "hemline:waiting:trial",
}  # fmt: skip


@blueprint.get("/metrics")
@needs(Scope.ADMIN, or_loopback=True)
def metrics() -> Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(_Service(parts())), content_type=content_type, headers={"Cache-Control": "no-store"})


class _Service:
    """What prometheus_client asks for metrics."""

    def __init__(self, found: Parts) -> None:
        self._parts = found

    def collect(self) -> Iterator[Metric]:
        """Everything, or what can be told without Redis."""
        try:
            self._parts.metrics.fold()
            reached = [*self._parts.metrics.collect(), *_state(self._parts)]
        except RedisError:
            reached = []
        labels = {"version": VERSION, "python": platform.python_version()}
        yield _gauge("hemline_build_info", "The release that answers.", [(labels, 1)])
        yield _gauge("hemline_redis_up", "Whether Redis answers; without it, hardly anything can be told.",
                     [({}, bool(reached))])  # fmt: skip
        yield from reached


def _state(found: Parts) -> Iterator[Metric]:
    redis = found.redis
    memory: Any = redis.info("memory")
    now = time.time()
    with redis.pipeline(transaction=False) as pipe:
        pipe.mget(_WAITING.values())
        pipe.hgetall(ALIASES)
        pipe.exists(FULL)
        for queue in _QUEUES:
            pipe.llen(queue_key(queue))
            pipe.lindex(queue_key(queue), -1)
        waiting, aliases, full, *queues = pipe.execute()
    yield _gauge("hemline_queue_depth", "Pictures without an answer; jobs and trials that wait; messages to deliver.", [
        ({"queue": queue}, int(count or 0))
        for queue, count in zip([*_WAITING, WEBHOOKS], [*waiting, found.deliveries.waiting()], strict=True)
    ])  # fmt: skip
    lengths, oldest = (dict(zip(_QUEUES, queues[i::2], strict=True)) for i in (0, 1))
    yield _gauge("hemline_queue_messages", "Celery messages that no worker has taken.", [
        ({"queue": queue}, length) for queue, length in lengths.items()
    ])  # fmt: skip
    yield _gauge("hemline_queue_oldest_age_seconds", "Age of the work that is next in a queue; 0 where none waits.", [
        ({"queue": queue}, _age(message, now))
        for queue, message in oldest.items()
    ])  # fmt: skip
    yield _gauge("hemline_workers_alive", "Workers with a fresh heartbeat.", [
        ({"kind": kind}, alive(redis, queue)) for kind, queue in _KINDS.items()
    ])  # fmt: skip
    yield _gauge("hemline_model_alias_info", "The version that an alias points at.", [
        ({"alias": alias.decode(), "model_version": version.decode()}, 1) for alias, version in aliases.items()
    ])  # fmt: skip
    yield from _redis_memory(memory, full)
    yield from _progress(found)


def _age(message: bytes | None, now: float) -> float:
    """Seconds since the work that a message asks for was made, by the id in its headers."""
    found = re.search(rb"[a-z]+[:_][0-9A-HJKMNP-TV-Z]{24}", message or b"")
    return max(0.0, now - ids.created(found[0].decode())) if found else 0.0


def _redis_memory(memory: Any, full: int) -> Iterator[Metric]:
    most = memory["maxmemory"]
    yield _gauge("hemline_redis_memory_used_bytes", "Memory that Redis uses.", [({}, memory["used_memory"])])
    yield _gauge("hemline_redis_memory_max_bytes", "Memory that Redis may use; 0 without a limit.", [({}, most)])
    yield _gauge("hemline_redis_memory_ratio", "Share of its limit that Redis uses.",
                 [({}, memory["used_memory"] / most)] if most else [])  # fmt: skip
    yield _gauge("hemline_submissions_refused", "1 while submissions are refused as Redis is too full.", [({}, full)])


def _progress(found: Parts) -> Iterator[Metric]:
    stores = {"job": found.jobs, "tune": found.tunings.jobs, "trial": found.tunings.trials}
    running = {kind: store.running() for kind, store in stores.items()}
    yield _gauge("hemline_jobs_running", "Jobs and trials that somebody works on.", [
        ({"kind": kind}, len(jobs)) for kind, jobs in running.items()
    ])  # fmt: skip
    yield _gauge("hemline_job_progress_ratio", "How far a running job is, from 0 to 1.", [
        ({"kind": kind, "job_id": job.id}, (job.progress or {}).get("fraction", 0.0))
        for kind in ("job", "tune") for job in running[kind]
    ])  # fmt: skip
    trained: list[Job] = running["job"]
    yield _gauge("hemline_training_epoch", "Epochs that a running training job has done.", [
        ({"job_id": job.id}, len(job.history)) for job in trained
    ])  # fmt: skip
    for name in ("val_accuracy", "val_loss"):
        yield _gauge(f"hemline_training_{name}", f"{name} of a running training job after its last epoch.", [
            ({"job_id": job.id}, job.history[-1][name]) for job in trained if job.history
        ])  # fmt: skip


def _gauge(name: str, documentation: str, values: list[tuple[dict[str, str], float]]) -> Metric:
    metric = GaugeMetricFamily(name, documentation)
    for labels, value in values:
        metric.add_sample(name, labels, float(value))
    return metric
