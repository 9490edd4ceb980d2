"""How much waits, how fast it drains, and so how soon it is worth asking again."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

from redis import Redis, RedisError

from workers.groups import BULK, DRAIN_WINDOW, QUEUED
from workers.records import Patience

_log = logging.getLogger(__name__)
_LONGEST = 60
_WINDOWS = 6  # half a minute of full counters, besides the one that is being filled
# Open predictions that are never too many, whatever was answered of late: a few seconds' work of the slowest worker.
_FEW = 1000
# Share of the longest delay that the next in line has to have waited for: it is told from a burst by that.
_LATE = 0.25


class Backlog:
    """Measured at most once a second a process, by a thread, so that no answer waits for its `Retry-After`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._measured = 0.0
        self._measuring = threading.Lock()
        self._rate = self._capacity = 0.0
        self._queued = self._bulk = 0

    def retry_after(self, bulk: bool = False) -> int:
        """Seconds until what waits now should be done: what is queued over what was answered a second of late.

        `bulk` counts what waits in batches from files too; single predictions do not wait for those.
        """
        self._refresh()
        waiting = self._queued + (self._bulk if bulk else 0)
        if waiting <= max(1, self._rate):
            return 1
        return min(_LONGEST, math.ceil(waiting / self._rate)) if self._rate else 5

    def patience(self, longest: float) -> Patience | None:
        """When single predictions are too many to be answered within so many seconds; 0: never.

        By the busiest of the last windows, as quiet ones say nothing about what could be; without any, never.
        """
        if not longest:
            return None
        self._refresh()
        if not self._capacity:
            return None
        return Patience(max(_FEW, round(longest * self._capacity)), round(longest * _LATE * 1e6))

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._measured > 1 and self._measuring.acquire(blocking=False):
            self._measured = now
            threading.Thread(target=self._measure, name="backlog", daemon=True).start()

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
        singles = [f"{name}:pred" for name in names]
        queued, bulk, *drained = (int(n or 0) for n in _read(self._redis, [QUEUED, BULK, *names, *singles]))
        current, *full = drained[: len(names)]
        busy = [count for count in full if count]
        # Windows in which nothing was asked say nothing about speed.
        self._rate = max(current, sum(busy) / len(busy) if busy else 0) / DRAIN_WINDOW
        self._capacity = max(drained[len(names) :]) / DRAIN_WINDOW
        self._queued, self._bulk = queued, bulk


def _read(redis: Redis, names: list[str]) -> list[Any]:
    values: list[Any] = redis.mget(names)
    return values
