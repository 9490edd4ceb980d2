"""API keys in Redis: who may do what, and whose work is whose.

A token is `hl_<ULID>_<secret>`. The ULID names the key's record; the secret is 256 random bits. The record keeps the
SHA-256 of the token and nothing from which a token could be made. A slow hash is for passwords, which can be guessed:
nobody guesses 256 random bits, so here it would only slow down those who have a key.

Work belongs to the `owner` of the key that it came with. That is the key itself or, where it was made to replace
another, that one's owner: so keys can be rotated, and the new one finds what the old one began.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import string
import time
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis

from workers import ids

# Seconds for which what was found about a token holds: as long, and no longer, a key works on after it was revoked.
FRESH = 2.0
OPERATOR = "operator"  # stands for the key that is a setting, not a record
_USED_EVERY = 60_000_000  # microseconds between two writes of a key's last use
_MOST_KNOWN = 10_000  # tokens that are remembered, so that guesses do not fill the memory
_LETTERS = string.ascii_letters + string.digits
_SECRET = 43  # letters of 62, which is 256 bits
_INDEX = "hemline:index:key"
_log = logging.getLogger(__name__)
_TOUCH = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'used', ARGV[1]) end"


class Scope(StrEnum):
    """What a key may be good for. `admin` includes the others."""

    PREDICT = "predict"
    TRAIN = "train"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it stands, with all scopes that its own include. Times are microseconds of Redis' clock."""

    id: str
    name: str
    scopes: frozenset[Scope]
    owner: str
    created: int = 0
    expires: int | None = None
    used: int | None = None

    def is_valid(self, now: int) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


class Caller(NamedTuple):
    """Who asks: a key by its id, or nobody in particular (""), who may do everything, where no keys are asked for."""

    key: str
    owner: str
    scopes: frozenset[Scope]
    address: str

    def sees(self, owner: str) -> bool:
        """Whether the work of this owner is his to see. What has no owner ("") is an admin's."""
        return owner == self.owner or Scope.ADMIN in self.scopes

    @property
    def sees_only(self) -> str | None:
        """The owner whose work is all that he may see; nothing where he sees everybody's."""
        return None if Scope.ADMIN in self.scopes else self.owner


ALL = frozenset(Scope)


class KeyStore:
    """Make, list and revoke keys. Any method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def create(self, name: str, scopes: Iterable[Scope], expires_in: int | None = None) -> tuple[Key, str]:
        """A new key, and its token, which nobody can find out later. `expires_in` is in seconds."""
        return self._make(name, frozenset(scopes), expires_in)

    def rotate(self, key: str) -> tuple[Key, str] | None:
        """A key that is to replace another, which stays valid; nothing where there is none of this id.

        It has that one's name, scopes, owner, and time from its making to its end.
        """
        before = self.get(key)
        if before is None:
            return None
        lifetime = before.expires and (before.expires - before.created) // 1_000_000
        return self._make(before.name, before.scopes, lifetime, before.owner)

    def _make(
        self, name: str, scopes: frozenset[Scope], expires_in: int | None, owner: str | None = None
    ) -> tuple[Key, str]:
        made = ids.join(ids.new_group("key"))
        token = f"hl_{made.partition('_')[2]}_{''.join(secrets.choice(_LETTERS) for _ in range(_SECRET))}"
        now = self._now()
        expires = {b"expires": b"%d" % (now + expires_in * 1_000_000)} if expires_in else {}
        record: dict[Any, Any] = {
            b"name": name.encode(), b"scopes": ",".join(sorted(scopes)).encode(), b"owner": (owner or made).encode(),
            b"created": b"%d" % now, b"digest": _digest(token), **expires,
        }  # fmt: skip
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_record(made), mapping=record)
            pipe.zadd(_INDEX, {made: 0})
            pipe.execute()
        _log.info("%s (%s) is made, of %s", made, name, (owner or made))
        return _key(made, record), token

    def get(self, key: str) -> Key | None:
        """A key as it stands, or nothing."""
        fields = {} if ids.split("key", key) is None else self._fields([key])[0]
        return _key(key, fields) if fields else None

    def holds(self, key: str) -> bool:
        """Whether a key is there and has not expired."""
        found = self.get(key)
        return found is not None and found.is_valid(self._now())

    def page(self, cursor: str | None, limit: int) -> tuple[list[Key], str | None]:
        """Keys, newest first, that come after a cursor (the ULID of the last one seen); and the next cursor."""
        high = f"(key_{cursor}" if cursor else "+"
        found: list[Any] = self._redis.zrevrangebylex(_INDEX, high, "-", start=0, num=limit + 1)
        names = [name.decode() for name in found[:limit]]
        keys = [_key(name, fields) for name, fields in zip(names, self._fields(names), strict=True) if fields]
        return keys, names[-1].partition("_")[2] if len(found) > limit else None

    def revoke(self, key: str) -> bool:
        """Forget a key; False where there is none. Within FRESH seconds, no process takes it any more."""
        if ids.split("key", key) is None:
            return False
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(_record(key))
            pipe.zrem(_INDEX, key)
            deleted, _ = pipe.execute()
        _log.info("%s is revoked", key)
        return bool(deleted)

    def _fields(self, keys: list[str]) -> list[dict[bytes, bytes]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(_record(key))
            return pipe.execute()

    def _now(self) -> int:
        return _microseconds(self._redis.time())


class Verifier:
    """Tells whose a token is, on one event loop: at once where it was asked for lately, else by one read of Redis."""

    def __init__(self, redis: AsyncRedis, admin_key: str = "") -> None:
        self._redis = redis
        self._operator = _digest(admin_key) if admin_key else b""
        self._touch = redis.register_script(_TOUCH)
        self._known: dict[bytes, tuple[float, Key | None]] = {}  # until when, by the digests of tokens
        self._asked: dict[bytes, asyncio.Task[Key | None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def recall(self, token: str) -> Key | None:
        """The key of a token that was verified in the last seconds. Takes a microsecond."""
        found = self._known.get(_digest(token))
        return found[1] if found is not None and time.monotonic() < found[0] else None

    async def verify(self, token: str) -> Key | None:
        """The key of a token, or nothing where it is unknown, expired or revoked. Raises redis.RedisError."""
        digest = _digest(token)
        found = self._known.get(digest)
        if found is not None and time.monotonic() < found[0]:
            return found[1]
        asked = self._asked.get(digest)
        if asked is None:  # else somebody asks already
            asked = self._asked[digest] = self._spawn(self._look_up(token, digest))
            asked.add_done_callback(lambda _: self._asked.pop(digest, None))
        return await asyncio.shield(asked)  # who is gone must not take the answer from others

    async def _look_up(self, token: str, digest: bytes) -> Key | None:
        key, lasts = await self._find(token, digest)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[digest] = time.monotonic() + lasts, key
        return key

    async def _find(self, token: str, digest: bytes) -> tuple[Key | None, float]:
        """The key of a token, and for how many seconds that holds."""
        if hmac.compare_digest(digest, self._operator):
            return Key(OPERATOR, "HEMLINE_ADMIN_KEY", ALL, OPERATOR), FRESH
        head, _, rest = token.partition("_")
        name = f"key_{rest.partition('_')[0]}"
        if head != "hl" or ids.split("key", name) is None:
            return None, FRESH
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(_record(name))
            pipe.time()
            fields, clock = await pipe.execute()
        now = _microseconds(clock)
        if not fields or not hmac.compare_digest(digest, fields[b"digest"]):
            return None, FRESH
        key = _key(name, fields)
        if not key.is_valid(now):
            return None, FRESH
        if now - (key.used or 0) > _USED_EVERY:
            self._spawn(self._note_use(key, now))
        return key, FRESH if key.expires is None else min(FRESH, (key.expires - now) / 1e6)

    async def _note_use(self, key: Key, now: int) -> None:
        with suppress(RedisError):  # the next minute's will do
            await self._touch([_record(key.id)], [now])

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop by itself would let it be collected
        task.add_done_callback(self._tasks.discard)
        return task


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _record(key: str) -> str:
    return f"hemline:{key}"


def _microseconds(clock: Any) -> int:
    return int(clock[0]) * 1_000_000 + int(clock[1])


def _key(name: str, fields: Mapping[bytes, bytes]) -> Key:
    def number(field: bytes) -> int | None:
        return int(fields[field]) if field in fields else None

    scopes = frozenset(map(Scope, fields[b"scopes"].decode().split(",")))
    return Key(
        id=name,
        name=fields[b"name"].decode(),
        scopes=ALL if Scope.ADMIN in scopes else scopes,
        owner=fields[b"owner"].decode(),
        created=number(b"created") or 0,
        expires=number(b"expires"),
        used=number(b"used"),
    )
