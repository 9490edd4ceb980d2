"""What may be asked of the workers: the names of tasks and queues, and the shapes of messages.

A slice's message is written by the script that makes the slice, in the same step, so that there is never one without
the other. It is what Celery itself would send (its message protocol 2, in the envelope of kombu's Redis transport),
made once and filled in: sending one through Celery takes longer than classifying ten pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import orjson
from celery import Celery
from redis import Redis

from workers.app import KEY_PREFIX
from workers.records import Slice

PREDICT, TRAIN, TUNE, DELIVER = "predict", "train", "tune", "deliver"
PREDICTIONS, BATCHES, TRAINING, WEBHOOKS = "predictions", "batches", "training", "webhooks"
_QUEUE_OF = {"pred": PREDICTIONS, "batch": BATCHES}
_SLOT: Final = "@"  # where a template takes the slice

_log = logging.getLogger(__name__)


def queue_of(group: str) -> str:
    """The queue that a group's messages go to: bulk work has its own."""
    return _QUEUE_OF[group.partition(":")[0]]


def queue_key(queue: str) -> str:
    """The list in Redis that is a queue: new messages on the left, the next one on the right."""
    return KEY_PREFIX + queue


@cache
def slice_template(queue: str) -> bytes:
    """The message that asks for a slice, with `@` in place of it. A slice is its message's id."""
    return orjson.dumps({
        # Not in base64, as kombu would have it, so that the slice stands in it as it is.
        "body": f'[["{_SLOT}"], {{}}, {{"callbacks": null, "errbacks": null, "chain": null, "chord": null}}]',
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": PREDICT, "id": _SLOT, "root_id": _SLOT, "parent_id": None, "group": None,
            "argsrepr": _SLOT, "kwargsrepr": "{}", "retries": 0, "timelimit": [None, None], "eta": None,
            "expires": None, "ignore_result": True,
        },
        "properties": {
            "correlation_id": _SLOT, "reply_to": "", "delivery_mode": 2, "delivery_tag": _SLOT, "priority": 0,
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    })  # fmt: skip


def slice_in(message: bytes) -> Slice:
    """The slice that a message asks for."""
    return Slice.parse(orjson.loads(message)["headers"]["id"])


def send_slices(redis: Redis, slices: Iterable[Slice]) -> None:
    """Ask for inference once more. Raises redis.RedisError."""
    with redis.pipeline(transaction=False) as pipe:
        for piece in slices:
            queue = queue_of(piece.group)
            pipe.lpush(queue_key(queue), slice_template(queue).replace(_SLOT.encode(), str(piece).encode()))
        pipe.execute()


def send_job(celery: Celery, job: str) -> None:
    """Ask for a training job to be done. What cannot be sent now is sent by the sweep: its record is durable."""
    _send_training(celery, TRAIN, job)


def send_tuning(celery: Celery, job: str) -> None:
    """Ask for a trial of a tuning job to be done, whichever is next."""
    _send_training(celery, TUNE, job)


def _send_training(celery: Celery, task: str, job: str) -> None:
    try:
        celery.send_task(task, (job,), queue=TRAINING)
    except Exception as failed:  # kombu lets errors of several libraries through
        _log.warning("%s could not be sent and waits for the sweep: %s", job, failed)


def is_sent(redis: Redis, queue: str, job: str) -> bool:
    """Whether a message about this job waits in a queue. Celery writes a message's arguments into its headers."""
    messages: list[Any] = redis.lrange(queue_key(queue), 0, -1)
    return any(job.encode() in message for message in messages)


def queue_length(redis: Redis, queue: str) -> int:
    """Messages of a queue that no worker has taken yet."""
    return int(redis.llen(queue_key(queue)))
