"""How a prediction worker gets from one message to the next.

Celery brings the first. It takes 2 ms to receive one and to acknowledge it, for a batch that takes 1 ms. So a worker
that has one helps itself to those behind it, straight from the queues, and goes back to Celery when there are none.
Nothing is lost with a message that is taken like this: a slice is leased, and one whose worker dies is sent again by
the sweep.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.worker import state
from redis import Redis, RedisError

from workers.queue import queue_key, slice_in
from workers.records import Slice

_PATIENCE = 1  # seconds to wait for the next message before Celery is to bring it
_LONGEST = 10.0  # seconds after which Celery has its turn: far fewer than its messages may go unacknowledged

_log = logging.getLogger(__name__)


class Consumer:
    """Runs slices: the one that it is called with, and those behind it in these queues, each queue in its turn.

    As long as it does, further threads do the same: classifying holds no lock, so on several cores they are faster, and
    on one core the next slice is on its way while this one is classified.
    """

    def __init__(self, redis: Redis, queues: Sequence[str], run: Callable[[Slice], None], threads: int = 1) -> None:
        self._redis = redis
        self._keys = [queue_key(queue) for queue in queues]
        self._run = run
        self._others = threads - 1
        self._pool = ThreadPoolExecutor(threads, "slices")

    def __call__(self, piece: Slice) -> None:
        ends = time.monotonic() + _LONGEST
        others = [self._pool.submit(self._go_on, None, ends) for _ in range(self._others)]
        try:
            self._go_on(piece, ends)
        finally:
            for other in others:
                other.result()

    def _go_on(self, piece: Slice | None, ends: float) -> None:
        keys = list(self._keys)
        while True:
            if piece is not None:
                self._run(piece)
            if _is_ending() or time.monotonic() > ends or (piece := self._next(keys)) is None:
                return

    def _next(self, keys: list[str]) -> Slice | None:
        try:
            found: Any = self._redis.brpop(keys, timeout=_PATIENCE)
        except RedisError as away:
            _log.warning("no further messages: Redis is away (%s)", away)
            return None
        if found is None:
            return None
        queue, message = found
        # The queues have their turns: the one that had it is looked at last.
        keys.sort(key=queue.decode().__eq__)
        return slice_in(message)


def _is_ending() -> bool:
    return state.should_stop is not None or state.should_terminate is not None
