"""Who waits for a record is woken when it changes, without asking Redis again and again.

Redis' publish/subscribe may lose an announcement, so it is only ever a hint: who is woken reads the record, and who
waits looks once in a while without having been woken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisError

from workers.groups import DONE_CHANNEL

_log = logging.getLogger(__name__)


class Announcements:
    """One subscription a process, begun when somebody first waits, and handed on to any number of threads."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._watchers: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self._listening = False

    def add(self, name: str, wake: Callable[[], None]) -> None:
        """Call `wake` each time that a change of the record `name` is announced, until it is removed."""
        with self._lock:
            self._watchers[name].append(wake)
            if not self._listening:
                self._listening = True
                threading.Thread(target=self._listen, name="announcements", daemon=True).start()

    def remove(self, name: str, wake: Callable[[], None]) -> None:
        """Undo `add`; what was not added is no error."""
        with self._lock:
            watchers = self._watchers.get(name, [])
            if wake in watchers:
                watchers.remove(wake)
            if not watchers:
                self._watchers.pop(name, None)

    @contextmanager
    def watch(self, name: str) -> Iterator[threading.Event]:
        """An event that is set at each change of `name` while the block lasts."""
        event = threading.Event()
        self.add(name, event.set)
        try:
            yield event
        finally:
            self.remove(name, event.set)

    def _listen(self) -> None:
        away = False
        while True:
            try:
                pubsub: Any = self._redis.pubsub  # redis-py leaves it untyped
                with pubsub(ignore_subscribe_messages=True) as subscription:
                    subscription.subscribe(DONE_CHANNEL)
                    away = False
                    self._wake_all()  # what happened while nobody listened
                    while True:
                        message = subscription.get_message(timeout=5)
                        if message:
                            self._wake(message["data"].decode())
            except RedisError as lost:
                if not away:
                    _log.warning("announcements: Redis is away (%s)", lost)
                away = True
                time.sleep(0.5)

    def _wake(self, name: str) -> None:
        with self._lock:
            watchers = list(self._watchers.get(name, ()))
        for wake in watchers:
            wake()

    def _wake_all(self) -> None:
        with self._lock:
            names = list(self._watchers)
        for name in names:
            self._wake(name)
