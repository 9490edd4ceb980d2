"""What happens to the service: each trouble by its name, and what brings it about and ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

import psutil
from redis import Redis, RedisError

from chaos.site import Site, resume

_HOUR: Final = 3600
T = TypeVar("T")
Inflict = Callable[[Site, Random, float], None]


@dataclass(frozen=True)
class Trouble:
    """Something bad that lasts for some seconds: at least and at most so many."""

    name: str
    inflict: Inflict
    least: float = 0.0
    most: float = 0.0

    def lasts(self, random: Random, longest: float) -> float:
        """How long it lasts this time, where none may last longer than that."""
        return random.uniform(min(self.least, longest), min(self.most, longest))


def _killed(part: str, number: signal.Signals = signal.SIGKILL) -> Inflict:
    def inflict(site: Site, random: Random, _: float) -> None:
        with suppress(psutil.NoSuchProcess):
            site.process(part, random).send_signal(number)

    return inflict


def _stopped(part: str) -> Inflict:
    def inflict(site: Site, random: Random, seconds: float) -> None:
        process = site.process(part, random)
        with suppress(psutil.NoSuchProcess):
            process.suspend()
        try:
            time.sleep(seconds)
        finally:
            resume(process)

    return inflict


def _redis_hushed(site: Site, _: Random, seconds: float) -> None:
    """Redis takes connections, reads and says nothing."""
    _insist(lambda redis: redis.client_pause(round(seconds * 1000)), site.redis)
    time.sleep(seconds)


def _redis_full(site: Site, _: Random, seconds: float) -> None:
    """Redis refuses every command that could need memory."""
    before = _insist(lambda redis: redis.config_get("maxmemory")["maxmemory"], site.redis)
    _insist(lambda redis: redis.config_set("maxmemory", 1024 * 1024), site.redis)
    try:
        time.sleep(seconds)
    finally:
        _insist(lambda redis: redis.config_set("maxmemory", before), site.redis)


def _disk_full(site: Site, _: Random, seconds: float) -> None:
    with site.full_disk():
        time.sleep(seconds)


def _clock_off(offset: int) -> Inflict:
    def inflict(site: Site, _: Random, seconds: float) -> None:
        site.set_clock(offset)
        time.sleep(seconds)
        site.set_clock(0)

    return inflict


_LONG: Final = (3.0, 20.0)
TROUBLES: Final = (
    Trouble("kill -9 of a prediction worker", _killed("worker")),
    Trouble("kill -9 of the training worker", _killed("training")),
    Trouble("kill -9 of a web process", _killed("web")),
    Trouble("kill -9 of the web processes' parent", _killed("parent")),
    Trouble("kill -9 of Redis", _killed("redis")),
    Trouble("restart of Redis", _killed("redis", signal.SIGTERM)),
    Trouble("a prediction worker stops", _stopped("worker"), *_LONG),
    Trouble("the training worker stops", _stopped("training"), *_LONG),
    Trouble("a web process stops", _stopped("web"), *_LONG),
    Trouble("Redis stops", _stopped("redis"), *_LONG),
    Trouble("Redis pauses its clients", _redis_hushed, *_LONG),
    Trouble("Redis out of memory", _redis_full, *_LONG),
    Trouble("disk of the artifact store full", _disk_full, *_LONG),
    Trouble("clock of the training worker an hour ahead", _clock_off(_HOUR), *_LONG),
    Trouble("clock of the training worker an hour behind", _clock_off(-_HOUR), *_LONG),
)


def _insist(command: Callable[[Redis], T], redis: Redis) -> T:
    """Say something to a Redis that may not have recovered yet from the last trouble."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return command(redis)
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
