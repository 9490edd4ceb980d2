"""What every worker does besides its tasks, on a thread of its own: say that it lives, and sweep.

The sweep finds what a crash left behind. A slice is pending until its last answer is stored: while it waits for a
worker, and then while a worker holds its lease. When that time is over and its message is nowhere, it is sent again.
One worker at a time sweeps, by a lock in Redis, so there is no further process to run.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from celery import Celery
from redis import Redis, RedisError

from workers.groups import Groups
from workers.jobs import clock
from workers.metrics import Metrics
from workers.records import Slice
from workers.queue import queue_key, queue_length, queue_of, send_slices, slice_in

_BEAT = 1.0  # seconds between two rounds
ALIVE_FOR = 5.0  # seconds that a heartbeat counts
_STALLED_AFTER = 5.0
_PAGE = 500  # slices or index entries that are looked at together
Message = TypeVar("Message")
_log = logging.getLogger(__name__)


def alive(redis: Redis, queue: str) -> int:
    """How many workers of a queue have a fresh heartbeat."""
    return int(redis.zcount(_heartbeats(queue), clock(redis) - ALIVE_FOR, "+inf"))


def names_alive(redis: Redis, queue: str) -> list[str]:
    """The workers of a queue that have a fresh heartbeat, each as "host:pid"."""
    names: list[Any] = redis.zrangebyscore(_heartbeats(queue), clock(redis) - ALIVE_FOR, "+inf")
    return [name.decode() for name in names]


class Activity:
    """When a worker last had a message, of any task: what tells an idle worker from one that hears nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = 0
        self._last = time.monotonic()

    def watching(self, run: Callable[[Message], None]) -> Callable[[Message], None]:
        """The same function, which is seen to be at work."""

        def watched(message: Message) -> None:
            with self._lock:
                self._busy += 1
            try:
                run(message)
            finally:
                with self._lock:
                    self._busy -= 1
                self._last = time.monotonic()

        return watched

    def idle_for(self) -> float:
        """Seconds since the last message; none while one is at work."""
        return 0.0 if self._busy else time.monotonic() - self._last


class Heartbeat:
    """Shows that a worker consumes its queue, not merely that its process exists.

    A consumer that lost its connection in a bad moment can sit there for ever. When messages wait, round after round,
    and this worker takes none of them, it ends, to be started anew.
    """

    def __init__(self, redis: Redis, queue: str, activity: Activity) -> None:
        self._redis = redis
        self._queue = queue
        self._activity = activity
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._waiting_since: float | None = None

    def beat(self) -> None:
        now = time.monotonic()
        if not queue_length(self._redis, self._queue):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        elif min(now - self._waiting_since, self._activity.idle_for()) > _STALLED_AFTER:
            _log.critical("messages wait in %s and none arrives here: ending, to be started anew", self._queue)
            os._exit(70)
        moment = clock(self._redis)
        with self._redis.pipeline() as pipe:
            pipe.zadd(_heartbeats(self._queue), {self._name: moment})
            pipe.zremrangebyscore(_heartbeats(self._queue), "-inf", moment - 60)
            pipe.execute()

    def end(self) -> None:
        self._redis.zrem(_heartbeats(self._queue), self._name)


def end_when_idle(activity: Activity, seconds: float) -> Callable[[], None]:
    """A chore that ends this worker, in order and once, when it has had no message for so long; 0: never."""
    ending = False

    def look() -> None:
        nonlocal ending
        if seconds and not ending and activity.idle_for() >= seconds:
            ending = True
            _log.info("no work for %g s: ending", seconds)
            os.kill(os.getpid(), signal.SIGTERM)

    return look


class Jobs(Protocol):
    """A store of jobs that finds those whose worker is silent or whose message may be lost."""

    def lapsed(self) -> list[str]:
        """Jobs that are ready to be sent again."""


class Sweep:
    """Sends again what was lost, drops index entries of records that are gone, and watches Redis' memory."""

    def __init__(
        self, redis: Redis, groups: Groups, jobs: Sequence[tuple[Jobs, Callable[[Celery, str], None]]],
        celery: Celery, metrics: Metrics, *, max_memory_share: float,
    ) -> None:
        self._redis = redis
        self._groups = groups
        self._jobs = jobs
        self._celery = celery
        self._metrics = metrics
        self._share = max_memory_share
        self._trimmed = {"pred": "-", "batch": "-", "msg": "-"}

    def run(self) -> None:
        """One round, if no other worker has just had it."""
        if self._redis.set("hemline:sweep", os.getpid(), nx=True, px=round(_BEAT * 900)):
            self._watch_memory()
            self._send_lost()
            for store, send in self._jobs:
                for job in store.lapsed():
                    send(self._celery, job)
            for kind in self._trimmed:
                self._trim(kind)

    def _send_lost(self) -> None:
        overdue = self._groups.overdue(_PAGE)
        lost = [piece for piece in overdue if self._is_lost(piece)]
        if overdue:
            # Also what is not lost, or it would stand in the way of what is behind it.
            self._groups.postpone(overdue)
        if lost:
            _log.info("sending %d slices again whose worker or message was lost", len(lost))
            send_slices(self._redis, lost)
            self._metrics.resent.inc(len(lost))

    def _is_lost(self, piece: Slice) -> bool:
        """What has begun lost its worker. What has not lost its message, if newer ones are next in line."""
        if self._groups.has_begun(piece):
            return True
        head: Any = self._redis.lindex(queue_key(queue_of(piece.group)), -1)
        return head is None or slice_in(head).group > piece.group

    def _trim(self, kind: str) -> None:
        """Drop what is gone from the old end of an index, page by page while there is much of it.

        Ids sort by time, so behind a page that is all there hardly anything is gone, and it begins anew.
        """
        index, gone, names = f"hemline:index:{kind}", [b""], [b""]
        while names and len(gone) * 2 >= len(names):
            names = self._page(index, self._trimmed[kind])
            gone = [name for name, there in zip(names, self._there(names), strict=True) if not there]
            if gone:
                self._redis.zrem(index, *gone)
            self._trimmed[kind] = f"({names[-1].decode()}" if gone else "-"

    def _page(self, index: str, start: str) -> list[bytes]:
        names: Any = self._redis.zrangebylex(index, start, "+", start=0, num=_PAGE)
        return list(names)

    def _there(self, names: list[bytes]) -> list[int]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.exists(f"hemline:{name.decode()}")
            return pipe.execute()

    def _watch_memory(self) -> None:
        memory: Any = self._redis.info("memory")
        if memory["maxmemory"] and memory["used_memory"] > self._share * memory["maxmemory"]:
            self._redis.set("hemline:full", 1, px=round(_BEAT * 3000))


def seldom(chore: Callable[[], None], seconds: float = 60.0) -> Callable[[], None]:
    """A chore that is done at most once in so many seconds."""
    last = time.monotonic()

    def sometimes() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            chore()

    return sometimes


class Upkeep(threading.Thread):
    """Runs chores once a second until it is stopped; Redis being away is no reason to end.

    `alive_file` is touched each time, whatever becomes of the chores: a probe that looked at Redis would have all
    workers started anew while it is away.
    """

    def __init__(self, *chores: Callable[[], None], alive_file: str = "") -> None:
        super().__init__(name="upkeep", daemon=True)
        self._chores = (*([Path(alive_file).touch] if alive_file else []), *chores)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(_BEAT):
            for chore in self._chores:
                try:
                    chore()
                except RedisError as away:
                    _log.warning("upkeep: Redis is away (%s)", away)
                except Exception:
                    _log.exception("upkeep failed and goes on")

    def stop(self) -> None:
        self._stopped.set()


def _heartbeats(queue: str) -> str:
    return f"hemline:workers:{queue}"
