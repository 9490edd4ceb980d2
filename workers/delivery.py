"""The deliver task: post one message, signed, and write down what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery
from standardwebhooks import Webhook

from ml.images import CLASS_NAMES
from workers import ids, outbound
from workers.batches import BatchStore
from workers.groups import Groups
from workers.jobs import Job, JobStore
from workers.metrics import Metrics
from workers.queue import DELIVER, WEBHOOKS
from workers.tuning import TuningStore
from workers.webhooks import Attempt, Deliveries, Delivery

_AT_ONCE: Final = 4  # messages that one host gets at a time: one that is slow must not keep all threads
_log = logging.getLogger(__name__)


class Sender:
    """Delivers messages, from so many threads."""

    def __init__(
        self, deliveries: Deliveries, describe: Callable[[str], dict[str, Any]], metrics: Metrics,
        allowed: Sequence[outbound.Network], resolve: outbound.Resolve = outbound.resolve,
    ) -> None:
        """`describe` says what there is to say of a resource; `allowed` networks may be sent to besides public ones."""
        self._deliveries = deliveries
        self._describe = describe
        self._metrics = metrics
        self._allowed = allowed
        self._resolve = resolve
        self._busy: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def run(self, message: str) -> None:
        """Send a message that is pending once."""
        found = self._deliveries.get(message)
        if found is None or found.status != "pending":
            self._deliveries.drop(message)
            return
        with self._turn(found.url.partition("://")[2].partition("/")[0]) as mine:
            if not mine:
                self._deliveries.postpone(message, 1)
                return
            attempt, wait = self._send(found)
        state = self._deliveries.note(found, attempt, wait)
        self._metrics.webhooks.labels(state).inc()
        _log.info("%s (%s): %s, %s", message, found.type, attempt.status or attempt.error, state)

    def _send(self, message: Delivery) -> tuple[Attempt, float | None]:
        body = self._deliveries.body(message, lambda: self._describe(message.resource))
        secret, now, began = self._deliveries.secret(message.owner), datetime.now(UTC), time.perf_counter()
        signatures = [
            Webhook(each).sign(message.id, now, body.decode())
            for each in (secret.current, secret.previous) if each is not None
        ]  # fmt: skip
        headers = {
            "Content-Type": "application/json", "User-Agent": "Hemline-Webhooks", "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": " ".join(signatures),
        }  # fmt: skip
        status = error = wait = None
        try:
            status, wait = outbound.post(message.url, body, headers, self._allowed, self._resolve)
        except (outbound.BadUrl, outbound.NotAllowed, outbound.Unreachable) as failed:
            error = str(failed)
        took = round((time.perf_counter() - began) * 1e3, 3)
        return Attempt(round(now.timestamp() * 1e6), took, status, error), wait

    @contextmanager
    def _turn(self, host: str) -> Any:
        with self._lock:
            mine = self._busy[host] < _AT_ONCE
            self._busy[host] += mine
        try:
            yield mine
        finally:
            with self._lock:
                self._busy[host] -= mine
                if not self._busy[host]:
                    del self._busy[host]


class Describer:
    """What a message says of its resource: what it came to, and no more of it than fits into a log."""

    def __init__(self, groups: Groups, batches: BatchStore, jobs: JobStore, tunings: TuningStore) -> None:
        self._groups = groups
        self._batches = batches
        self._jobs = jobs
        self._tunings = tunings

    def __call__(self, resource: str) -> dict[str, Any]:
        kind = resource.partition("_")[0]
        said = {"pred": self._prediction, "batch": self._batch, "job": self._job, "tune": self._tune}[kind](resource)
        return {"id": resource, **said}

    def _prediction(self, resource: str) -> dict[str, Any]:
        place = ids.split("pred", resource)
        found = self._groups.prediction(*place) if place else None
        if found is None:  # it expired, or was deleted, before the first attempt
            return {}
        said: dict[str, Any] = {"status": found.state.value, "model_version": found.version}
        if found.doc.get("metadata") is not None:
            said["metadata"] = found.doc["metadata"]
        if found.error is not None:
            said["error"] = found.error
        if found.result is not None:
            best = max(range(len(CLASS_NAMES)), key=found.result.probabilities.__getitem__)
            said["result"] = {
                "label": CLASS_NAMES[best], "class_id": best,
                "confidence": round(found.result.probabilities[best], 6),
                "is_fashion": found.result.is_fashion, "novelty": round(found.result.novelty, 6),
            }  # fmt: skip
        return said

    def _batch(self, resource: str) -> dict[str, Any]:
        place = ids.split("batch", resource)
        found = self._batches.batch(place[0]) if place else None
        if found is None:
            return {}
        counts = {state.value: count for state, count in found.counts.items()}
        said: dict[str, Any] = {"status": found.state.value, "model_version": found.version}
        said["counts"] = {"total": sum(counts.values()), **counts}
        return said | ({"metadata": found.metadata} if found.metadata is not None else {})

    def _job(self, resource: str) -> dict[str, Any]:
        return _of_job(self._jobs.get(resource))

    def _tune(self, resource: str) -> dict[str, Any]:
        return _of_job(self._tunings.jobs.get(resource))


def _of_job(job: Job | None) -> dict[str, Any]:
    if job is None:
        return {}
    said: dict[str, Any] = {"status": job.state.value}
    if job.result is not None and "model_version" in job.result:
        said["result"] = {"model_version": job.result["model_version"]}
    return said | ({"error": job.error} if job.error is not None else {})


def register(app: Celery, run: Callable[[str], None]) -> None:
    """Add the task to a Celery application."""

    @app.task(name=DELIVER)
    def deliver(message: str) -> None:
        run(message)


def ask(celery: Celery, deliveries: Deliveries, most: int) -> None:
    """Ask for what is due. What cannot be asked for now is due again later."""
    for message in deliveries.due(most):
        celery.send_task(DELIVER, (message,), queue=WEBHOOKS)
