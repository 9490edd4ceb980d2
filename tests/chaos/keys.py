"""Which keys the service has in Redis, and how long each may stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from redis import Redis

from workers.app import KEY_PREFIX
from workers.jobs import clock

_UNACKED: Final = f"{KEY_PREFIX}unacked"


class Stays(Enum):
    """How long a key may stay."""

    FOR_GOOD = "for good"
    AS_A_COUNT = "for good, and at rest it is 0"
    WHILE_OPEN = "while there is work: at rest it is not there"
    FOR_A_TIME = "for a time: at rest it expires"


# What no row fits is a key that nobody has thought about.
KEYS: Final = {
    r"hemline:aliases": Stays.FOR_GOOD,
    r"hemline:moves:[^:]+": Stays.FOR_GOOD,  # the history of an alias
    r"hemline:versions": Stays.FOR_GOOD,
    r"hemline:version-number": Stays.FOR_GOOD,
    r"hemline:index:[a-z]+": Stays.FOR_GOOD,  # the sweep drops what has expired
    r"hemline:(job|tune|trial)_[^:]+(:events)?": Stays.FOR_GOOD,  # what made a version is kept as long as it
    r"hemline:key_[^:]+": Stays.FOR_GOOD,
    r"hemline:metrics": Stays.FOR_GOOD,
    r"hemline:workers:[a-z]+": Stays.FOR_GOOD,  # heartbeats, which drop out of it after a minute
    r"hemline:celery:_kombu\.binding(_permanent)?\.[a-z]+": Stays.FOR_GOOD,  # which queues there are
    r"hemline:(queued|bulk)": Stays.AS_A_COUNT,
    r"hemline:waiting:[a-z]+": Stays.AS_A_COUNT,
    r"hemline:open:(pred|bulk|jobs)": Stays.WHILE_OPEN,  # how much of each owner's is open
    r"hemline:pending": Stays.WHILE_OPEN,
    r"hemline:due:[a-z]+": Stays.WHILE_OPEN,
    r"hemline:tuning:.+": Stays.WHILE_OPEN,  # what Optuna writes of a search
    r"hemline:webhook-secret:.*": Stays.FOR_GOOD,
    r"hemline:msg_[^:]+(:attempts)?": Stays.FOR_A_TIME,  # from the moment at which it is delivered, or given up
    r"hemline:celery:(predictions|batches|training|webhooks)": Stays.WHILE_OPEN,
    r"hemline:celery:unacked(_index)?": Stays.WHILE_OPEN,
    r"hemline:celery:unacked_mutex": Stays.FOR_A_TIME,
    r"hemline:(pred|batch):[^:]+": Stays.FOR_A_TIME,  # from the moment at which all of it is answered
    r"hemline:answer:.+": Stays.FOR_A_TIME,
    r"hemline:once:[0-9a-f]+": Stays.FOR_A_TIME,
    r"hemline:metrics:[0-9a-f]+": Stays.FOR_A_TIME,
    r"hemline:limit[:/].+": Stays.FOR_A_TIME,  # rates of keys and addresses
    r"hemline:drained:\d+(:pred)?": Stays.FOR_A_TIME,
    r"hemline:(full|sweep|install)": Stays.FOR_A_TIME,
}


def stays(key: str) -> Stays | None:
    """How long a key may stay; nothing for one that is in no row."""
    return next((stays for pattern, stays in KEYS.items() if re.fullmatch(pattern, key)), None)


def names(redis: Redis) -> list[str]:
    """All keys."""
    return sorted(name.decode() for name in set(redis.scan_iter(count=1000)))


def at_fault(redis: Redis) -> Iterable[str]:
    """Keys of a service that has nothing to do which should not be there, or not like this; each with the reason."""
    for key in names(redis):
        match stays(key):
            case None:
                yield f"{key} is in no row of the table of keys"
            case Stays.AS_A_COUNT if (count := redis.get(key)) not in (b"0", None):
                yield f"{key} counts {count!r}"
            case Stays.WHILE_OPEN if left := _left(redis, key):
                yield f"{key} has {left!r:.200}"
            case Stays.FOR_A_TIME if redis.pttl(key) == -1:
                yield f"{key} never expires"


def _left(redis: Redis, key: str) -> dict[Any, Any]:
    """What a key holds, without messages that a worker took whose clock was ahead and that it did not acknowledge.

    Celery gives those to another when the time has come. What they ask for has a lease and does not wait for that.
    """
    held: dict[Any, Any] = {}
    match redis.type(key):
        case b"zset":
            held = dict(redis.zrange(key, 0, -1, withscores=True))
        case b"hash":
            held = redis.hgetall(key)
        case b"string":
            held = {key: redis.get(key)}
        case b"list":
            held = dict(enumerate(redis.lrange(key, 0, -1)))
    if not key.startswith(_UNACKED):
        return held
    ahead = redis.zrangebyscore(f"{_UNACKED}_index", f"({clock(redis)}", "+inf")
    return {name: value for name, value in held.items() if name not in ahead}


def let_expire(redis: Redis) -> None:
    """Let everything that expires do so now. What should expire and does not is left."""
    with redis.pipeline(transaction=False) as pipe:
        for key in names(redis):
            if stays(key) is Stays.FOR_A_TIME:
                pipe.expire(key, 1, lt=True)  # where there is no expiry, LT would set one
        pipe.execute()
