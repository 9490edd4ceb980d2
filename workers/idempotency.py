"""What requests with an idempotency key made, so that sending one again makes nothing anew.

A key is remembered under a digest of who sent it, where to and what it says, with a digest of the body. For single
predictions the script that accepts them looks and writes in the same step. Everything else is claimed first, by a name
that is chosen before it is made: who dies in between leaves a lease, and after that the next one goes on with the same
name, under which nothing is made twice. So a crash between making and answering loses nothing and doubles nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, NamedTuple

from redis import Redis

from workers.groups import script

# A request that has not ended after this long (ms) has died; reading an upload may take a while.
_LEASE: Final = 120_000
_PREFIX: Final = "hemline:once:"


class KeyReused(Exception):
    """The key came with another body before."""


class InFlight(Exception):
    """The request that this one repeats has not ended yet."""


class Gone(Exception):
    """What the key made was deleted, or has expired."""


class Repeated(Exception):
    """A prediction with this key was accepted before, under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Once(NamedTuple):
    """A key and the body that it came with, as they are remembered: a key of Redis, and a fingerprint."""

    key: str
    fingerprint: str


class Claim(NamedTuple):
    """The right to make something by this name. `again`: who had it before has died, perhaps after making it.

    `done`: there is nothing to make, it is there by this name, or was.
    """

    once: Once
    name: str
    again: bool
    done: bool


def once(owner: str, operation: str, key: str, body: bytes) -> Once:
    """What is remembered of a key; `body` is the digest of what came with it. Lengths of the parts cannot be forged."""
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in map(str.encode, (owner, operation, key)))
    return Once(_PREFIX + sha256(parts).hexdigest()[:32], body.hex()[:32])


class Idempotency:
    """The keys that are remembered. Any method may raise redis.RedisError."""

    def __init__(self, redis: Redis, ttl: int) -> None:
        self._claim, self._settle = (script(redis, f"idem_{name}") for name in ("claim", "settle"))
        self._ttl = ttl

    def claim(self, once: Once, name: str) -> Claim:
        """Ask to make something by a new name. Raises KeyReused, InFlight."""
        answer: Any = self._claim([once.key], [once.fingerprint, name, _LEASE, self._ttl])
        match answer:
            case [b"other"]:
                raise KeyReused
            case [b"busy"]:
                raise InFlight
            case [state, found]:
                return Claim(once, found.decode(), state == b"again", state == b"done")
            case _:
                raise AssertionError(answer)

    def settle(self, claim: Claim) -> None:
        """It is made: from now on, the key leads to it."""
        self._settle([claim.once.key], [claim.once.fingerprint, claim.name, "done"])

    def drop(self, claim: Claim) -> None:
        """Nothing was made, for sure: the key is as good as new."""
        self._settle([claim.once.key], [claim.once.fingerprint, claim.name, "dropped"])

    def fail(self, claim: Claim) -> None:
        """Perhaps nothing was made: the next request with the key is to look, and to make it by the same name."""
        self._settle([claim.once.key], [claim.once.fingerprint, claim.name, "failed"])
