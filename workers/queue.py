"""What may be asked of the workers: the names of tasks and queues, the shapes of messages, how predictions travel.

Sending a Celery message costs more than classifying an image, so predictions that arrive together travel together.
The rule is Nagle's (RFC 896): a prediction that finds nothing in flight leaves at once; those that arrive meanwhile
wait until that comes back, a batch is full, or `linger` has passed. An idle service answers at once, a busy one in
batches, and there is no fixed delay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from celery import Celery
from redis import Redis, RedisError

from workers import ids
from workers.announcements import Announcements
from workers.app import KEY_PREFIX
from workers.groups import Accepted, Group, Groups, Item, QueueFull, Slice, UnknownModel

PREDICT, TRAIN, TUNE = "predict", "train", "tune"
PREDICTIONS, BATCHES, TRAINING = "predictions", "batches", "training"
_QUEUE_OF = {"pred": PREDICTIONS, "batch": BATCHES}

# A batch that has not come back for this long (seconds) no longer holds the next one up: its announcement may be lost.
_OVERDUE = 1.0

_log = logging.getLogger(__name__)


def queue_of(group: str) -> str:
    """The queue that a group's messages go to: bulk work has its own."""
    return _QUEUE_OF[group.partition(":")[0]]


def send_slices(celery: Celery, slices: Iterable[Slice]) -> None:
    """Ask for inference. What cannot be sent now is sent by the sweep: its records are durable already."""
    for piece in slices:
        try:
            celery.send_task(PREDICT, (str(piece),), queue=queue_of(piece.group))
        except Exception as failed:  # kombu lets errors of several libraries through
            _log.warning("%s could not be sent and waits for the sweep: %s", piece, failed)


def send_job(celery: Celery, job: str) -> None:
    """Ask for a training job to be done. As with slices, the sweep sends what cannot be sent now."""
    _send_training(celery, TRAIN, job)


def send_tuning(celery: Celery, job: str) -> None:
    """Ask for a trial of a tuning job to be done, whichever is next."""
    _send_training(celery, TUNE, job)


def _send_training(celery: Celery, task: str, job: str) -> None:
    try:
        celery.send_task(task, (job,), queue=TRAINING)
    except Exception as failed:
        _log.warning("%s could not be sent and waits for the sweep: %s", job, failed)


class Submission:
    """A prediction on its way. `wait` returns when it is durable, or, if asked for, when it may be answered."""

    __slots__ = ("item", "accepted", "place", "error", "until_done", "_event")

    def __init__(self, item: Item, until_done: bool) -> None:
        self.item = item
        self.until_done = until_done
        self.accepted: Accepted | None = None
        self.place = 0
        self.error: Exception | None = None
        self._event = threading.Event()

    def wake(self) -> None:
        self._event.set()

    def wait(self, timeout: float | None) -> None:
        self._event.wait(timeout)


class PredictionQueue:
    """The way of single predictions from the threads of one web process into Redis."""

    def __init__(
        self, groups: Groups, celery: Celery, announcements: Announcements, *, batch_size: int, linger: float
    ) -> None:
        self._groups = groups
        self._celery = celery
        self._announcements = announcements
        self._batch_size = min(batch_size, ids.GROUP_LIMIT)
        self._linger = linger
        self._changed = threading.Condition()
        self._waiting: defaultdict[str, list[Submission]] = defaultdict(list)  # by model, oldest first
        self._oldest = 0.0
        self._flight: dict[str, tuple[float, Callable[[], None]]] = {}  # when it left and what its return calls
        threading.Thread(target=self._publish, name="publisher", daemon=True).start()

    def submit(self, model: str, item: Item, wait: float = 0.0) -> tuple[Accepted, int]:
        """Make a prediction durable; returns its group and its place in it.

        With `wait` (seconds) it comes back when the answer is announced, or that time is over. Raises UnknownModel,
        QueueFull, redis.RedisError; then nothing was accepted.
        """
        submission = Submission(item, until_done=wait > 0)
        with self._changed:
            if not self._waiting:
                self._oldest = time.monotonic()
            self._waiting[model].append(submission)
            self._changed.notify()
        submission.wait(wait or None)
        if submission.until_done and submission.accepted is None and submission.error is None:
            # Time is over and it is not even durable: an answer needs that at least.
            submission.until_done = False
            while submission.accepted is None and submission.error is None:
                submission.wait(0.05)
        if submission.error is not None:
            raise submission.error
        assert submission.accepted is not None
        if wait:
            self._announcements.remove(submission.accepted.group, submission.wake)
        return submission.accepted, submission.place

    def submit_batch(self, model: str, items: Sequence[Item], metadata: dict[str, str] | None) -> Group:
        """Make a batch durable, a group of its own. Raises as `submit` does."""
        name = ids.new_group("batch")
        accepted = self._groups.submit(name, model, items, metadata)
        send_slices(self._celery, self._groups.slices(name, len(items)))
        return self._groups.as_accepted(accepted, items, metadata)

    def _publish(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting and self._may_leave()):
                    self._changed.wait(self._patience())
                model = next(iter(self._waiting))
                queue = self._waiting.pop(model)
                batch, rest = queue[: self._batch_size], queue[self._batch_size :]
                if rest:
                    self._waiting[model] = rest
                self._oldest = time.monotonic()
            try:
                self._send(model, batch)
            except Exception:
                _log.exception("a batch of %d could not be accepted", len(batch))

    def _may_leave(self) -> bool:
        return (
            not self._flight
            or any(len(queue) >= self._batch_size for queue in self._waiting.values())
            or time.monotonic() - self._oldest >= self._linger
        )

    def _patience(self) -> float | None:
        return max(0.0, self._oldest + self._linger - time.monotonic()) if self._waiting else None

    def _send(self, model: str, batch: list[Submission]) -> None:
        group = ids.new_group("pred")
        for submission in batch:
            if submission.until_done:
                self._announcements.add(group, submission.wake)
        try:
            accepted = self._groups.submit(group, model, [submission.item for submission in batch])
        except (UnknownModel, QueueFull, RedisError) as refused:
            self._refuse(group, batch, refused)
            return
        except Exception as unforeseen:
            self._refuse(group, batch, unforeseen)
            raise
        for place, submission in enumerate(batch):
            submission.place = place
            submission.accepted = accepted
            if not submission.until_done:
                submission.wake()
        self._take_off(group)
        send_slices(self._celery, self._groups.slices(group, len(batch)))

    def _refuse(self, group: str, batch: list[Submission], reason: Exception) -> None:
        for submission in batch:
            self._announcements.remove(group, submission.wake)
            submission.error = reason
            submission.wake()

    def _take_off(self, group: str) -> None:
        def land() -> None:
            with self._changed:
                self._flight.pop(group, None)
                self._changed.notify()
            self._announcements.remove(group, land)

        now = time.monotonic()
        with self._changed:
            overdue = [(name, wake) for name, (left, wake) in self._flight.items() if now - left > _OVERDUE]
            for name, _ in overdue:
                del self._flight[name]
            self._flight[group] = now, land
        for name, wake in overdue:
            self._announcements.remove(name, wake)
        self._announcements.add(group, land)


def is_sent(redis: Redis, queue: str, job: str) -> bool:
    """Whether a message about this job waits in a queue. Celery writes a message's arguments into its headers."""
    messages: list[Any] = redis.lrange(KEY_PREFIX + queue, 0, -1)
    return any(job.encode() in message for message in messages)


def queue_length(redis: Redis, queue: str) -> int:
    """Messages of a queue that no worker has taken yet."""
    return int(redis.llen(KEY_PREFIX + queue))
