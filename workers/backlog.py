"""How much waits, how fast it drains, and so how soon it is worth asking again."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

from redis import Redis, RedisError

from workers.groups import BULK, DRAIN_WINDOW, QUEUED

_log = logging.getLogger(__name__)
_LONGEST = 60
_WINDOWS = 6  # half a minute of full counters, besides the one that is being filled


class Backlog:
    """Measured at most once a second a process, by a thread, so that no answer waits for its `Retry-After`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._measured = 0.0
        self._measuring = threading.Lock()
        self._rate = 0.0
        self._queued = self._bulk = 0

    def retry_after(self, bulk: bool = False) -> int:
        """Seconds until what waits now should be done: what is queued over what was answered a second of late.

        `bulk` counts what waits in batches from files too; single predictions do not wait for those.
        """
        now = time.monotonic()
        if now - self._measured > 1 and self._measuring.acquire(blocking=False):
            self._measured = now
            threading.Thread(target=self._measure, name="backlog", daemon=True).start()
        waiting = self._queued + (self._bulk if bulk else 0)
        if waiting <= max(1, self._rate):
            return 1
        return min(_LONGEST, math.ceil(waiting / self._rate)) if self._rate else 5

    def _measure(self) -> None:
        try:
            self._count()
        except RedisError as away:
            _log.warning("what waits cannot be counted: %s", away)
        finally:
            self._measuring.release()

    def _count(self) -> None:
        window = int(time.time()) // DRAIN_WINDOW
        names = [f"hemline:drained:{window - i}" for i in range(_WINDOWS + 1)]
        queued, bulk, current, *full = (int(n or 0) for n in _read(self._redis, [QUEUED, BULK, *names]))
        busy = [count for count in full if count]
        # Windows in which nothing was asked say nothing about speed.
        self._rate = max(current, sum(busy) / len(busy) if busy else 0) / DRAIN_WINDOW
        self._queued, self._bulk = queued, bulk


def _read(redis: Redis, names: list[str]) -> list[Any]:
    values: list[Any] = redis.mget(names)
    return values
