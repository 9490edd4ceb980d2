"""Webhooks: what has ended is told to the URL that came with it, signed, at least once.

How a message comes about, and what a crash leaves at each step:

1. The script that ends a prediction, batch or job writes the message in the same step (`lua/hooks.lua`), due now.
2. Whoever minds the queue (`Deliveries.due`) takes messages that are due, gives each a lease, and a task of Celery asks
   for each. A message whose task is lost, or whose worker dies, is due again when the lease is over.
3. The task writes the body down before it is sent for the first time, so that it is the same each time, and posts it.
   Answers of 2xx end it. Anything else makes it due again, later and later; after the last attempt it has failed, and
   stays to be looked at and sent again by hand.

Signatures are those of Standard Webhooks: each owner of work has a secret, and for a day after a new one was made, what
is sent is signed with both.
"""

from __future__ import annotations

import base64
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import orjson
from redis import Redis

from settings import Settings
from workers import ids
from workers.jobs import clock

DUE, INDEX = "hemline:due:msg", "hemline:index:msg"
STATES: Final = ("pending", "delivered", "failed")

_LEASE: Final = 60_000  # ms; longer than an attempt may take
_OVERLAP: Final = 86_400  # seconds for which an old secret signs too
_LONGEST: Final = 86_400.0  # seconds between two attempts
_SHOWN: Final = 30  # attempts that are kept
_PAGE: Final = 200
_SCAN_LIMIT: Final = 5000
_TYPES: Final = {"pred": "prediction", "batch": "batch", "job": "training_job", "tune": "tuning_job"}

_log = logging.getLogger(__name__)

_TAKE: Final = """
-- KEYS: due      ARGV: lease (ms), most
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(found) do
  redis.call('ZADD', KEYS[1], now + ARGV[1], id)
end
return found
"""
_NOTE: Final = """
-- KEYS: message, due, attempts
-- ARGV: id, attempt in JSON, status after it, due (ms from now), ttl (s), attempts that are kept
if redis.call('HGET', KEYS[1], 'status') ~= 'pending' then
  return 0
end
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('LTRIM', KEYS[3], -ARGV[6], -1)
redis.call('HINCRBY', KEYS[1], 'tries', 1)
if ARGV[3] == 'pending' then
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[1], 'next', (now + ARGV[4]) * 1000)
else
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[1], 'status', ARGV[3], 'completed', now * 1000)
  redis.call('HDEL', KEYS[1], 'next')
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  redis.call('EXPIRE', KEYS[3], ARGV[5])
end
return 1
"""
_RESEND: Final = """
-- KEYS: message, due, attempts      ARGV: id
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'status', 'pending', 'tries', 0)
redis.call('HDEL', KEYS[1], 'completed', 'next')
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[3])
redis.call('ZADD', KEYS[2], math.floor(time[1] * 1000 + time[2] / 1000), ARGV[1])
return 1
"""


class Attempt(NamedTuple):
    """One time that a message was sent: when (microseconds since 1970), for how long (ms), and what came of it.

    `status` is that of the answer; without one, `error` says why.
    """

    at: int
    duration_ms: float
    status: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it stands. Times are microseconds since 1970."""

    id: str
    type: str
    resource: str
    url: str
    owner: str
    status: str
    created: int
    tries: int
    completed: int | None
    next: int | None
    attempts: tuple[Attempt, ...]


class Secret(NamedTuple):
    """What messages of an owner are signed with, and what they were signed with before, as long as that counts."""

    current: str
    previous: str | None
    previous_until: int | None


class Deliveries:
    """All messages. Any method may raise redis.RedisError."""

    def __init__(self, redis: Redis, *, ttl: int, attempts: int, backoff: float) -> None:
        """`ttl`: seconds that a message is kept after its end. `attempts` at most; `backoff` (s) before the second."""
        self._redis = redis
        self._ttl = ttl
        self._most = attempts
        self._backoff = backoff
        self._take, self._note, self._again = map(redis.register_script, (_TAKE, _NOTE, _RESEND))

    @classmethod
    def from_settings(cls, redis: Redis, settings: Settings) -> Self:
        """The messages, as an operator set them."""
        return cls(redis, ttl=settings.webhook_ttl, attempts=settings.webhook_attempts,
                   backoff=settings.webhook_backoff)  # fmt: skip

    def due(self, most: int) -> list[str]:
        """Messages whose time has come, each of which is not due again for a minute."""
        return [name.decode() for name in self._take([DUE], [_LEASE, most])]

    def get(self, message: str) -> Delivery | None:
        """A message as it stands, or nothing."""
        return None if ids.split("msg", message) is None else self._read([message])[0]

    def page(
        self, cursor: str | None, limit: int, owner: str | None = None, status: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        """Messages after a cursor, newest first, of one owner and in one state if so asked; and the next cursor."""
        high, seen = (f"(msg_{cursor}" if cursor else "+"), 0
        page: list[Delivery] = []
        while True:
            names: Any = self._redis.zrevrangebylex(INDEX, high, "-", start=0, num=_PAGE)
            for found in self._read([name.decode() for name in names]):
                if found and owner in (None, found.owner) and status in (None, found.status):
                    page.append(found)
            if len(page) > limit:
                return page[:limit], page[limit - 1].id.partition("_")[2]
            if not names:
                return page, None
            seen, high = seen + len(names), f"({names[-1].decode()}"
            if seen >= _SCAN_LIMIT:
                return page, names[-1].decode().partition("_")[2]

    def body(self, message: Delivery, data: Callable[[], dict[str, Any]]) -> bytes:
        """What is sent: `data` as it was when it was asked for first."""
        key = _key(message.id)
        known: Any = self._redis.hget(key, "body")
        if known is not None:
            return bytes(known)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(message.created / 1e6))
        self._redis.hsetnx(key, "body", orjson.dumps({"type": message.type, "timestamp": moment, "data": data()}))
        written: Any = self._redis.hget(key, "body")
        return bytes(written)

    def note(self, message: Delivery, attempt: Attempt, wait: float | None = None) -> str:
        """Write down how an attempt went; returns the message's state now. `wait`: what the receiver asks for (s)."""
        tries = message.tries + 1
        if attempt.succeeded:
            state = "delivered"
        elif attempt.status == 410 or tries >= self._most:  # Gone: the receiver wants no more
            state = "failed"
        else:
            state = "pending"
        said = orjson.dumps({name: value for name, value in attempt._asdict().items() if value is not None})
        pause = max(self._pause(tries), min(wait or 0.0, _LONGEST))
        self._note([_key(message.id), DUE, _attempts(message.id)],
                   [message.id, said, state, round(pause * 1000), self._ttl, _SHOWN])  # fmt: skip
        return state

    def drop(self, message: str) -> None:
        """Forget that a message is due that is no more."""
        self._redis.zrem(DUE, message)

    def postpone(self, message: str, seconds: float) -> None:
        """Let a message be due later, without an attempt."""
        self._redis.zadd(DUE, {message: clock(self._redis) * 1000 + seconds * 1000}, xx=True)

    def resend(self, message: str) -> bool:
        """Let a message be due now, with all its attempts before it; False where there is none."""
        return bool(self._again([_key(message), DUE, _attempts(message)], [message]))

    def secret(self, owner: str) -> Secret:
        """What an owner's messages are signed with; made when it is first asked for."""
        key = _secret(owner)
        self._redis.hsetnx(key, "current", _new_secret())
        found: list[Any] = self._redis.hmget(key, ["current", "previous", "until"])
        current, previous, until = found
        assert current is not None
        if previous is None or int(until or 0) < clock(self._redis) * 1_000_000:
            return Secret(current.decode(), None, None)
        return Secret(current.decode(), previous.decode(), int(until))

    def rotate(self, owner: str) -> Secret:
        """A new secret; the one before signs too for a day."""
        before = self.secret(owner).current
        until = round((clock(self._redis) + _OVERLAP) * 1_000_000)
        self._redis.hset(_secret(owner), mapping={"current": _new_secret(), "previous": before, "until": until})
        return self.secret(owner)

    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        return int(self._redis.zcard(DUE))

    def _pause(self, tries: int) -> float:
        """Seconds to the next attempt: four times as long each time, and anything from half of that on."""
        return min(_LONGEST, self._backoff * 4.0 ** (tries - 1)) * random.uniform(0.5, 1.0)

    def _read(self, messages: Sequence[str]) -> list[Delivery | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for message in messages:
                pipe.hgetall(_key(message))
                pipe.lrange(_attempts(message), 0, -1)
            found = pipe.execute()
        return [_delivery(*each) for each in zip(messages, found[0::2], found[1::2], strict=True)]


def _delivery(message: str, fields: dict[bytes, bytes], attempts: list[bytes]) -> Delivery | None:
    if b"url" not in fields:
        return None
    text = {name.decode(): value.decode() for name, value in fields.items() if name != b"body"}
    kind = _TYPES.get(text["resource"].partition("_")[0], "work")
    completed, following = (int(text[name]) if name in text else None for name in ("completed", "next"))
    return Delivery(
        message, f"{kind}.{text['state']}", text["resource"], text["url"], text["owner"], text["status"],
        int(text["created"]), int(text.get("tries", 0)), completed, following,
        tuple(Attempt(**orjson.loads(each)) for each in attempts),
    )  # fmt: skip


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _key(message: str) -> str:
    return f"hemline:{message}"


def _attempts(message: str) -> str:
    return f"hemline:{message}:attempts"


def _secret(owner: str) -> str:
    return f"hemline:webhook-secret:{owner}"
