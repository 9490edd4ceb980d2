"""How often somebody may ask: each key so often and, without one, each address. Counted in Redis for all web processes.

The server asks before it hands a request on (`api.asgi`), as only there can that wait without a thread. Where no keys
are asked for, loopback has no limit. Answers say where one stands (draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

import ipaddress
import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import limits
from flask import Flask, Response, request
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis import RedisError
from redis.asyncio import Redis

from settings import Settings, is_loopback
from workers.keys import OPERATOR, Caller

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

VERDICT = "hemline.limit"  # in a request's environment
_UNLIMITED: Final = "/health/"  # probes must not be what makes a service look ill
# Seconds for which what is left is counted down here instead of being asked for.
_FRESH: Final = 0.2
_MOST_KNOWN: Final = 10_000

_is_loopback = lru_cache(1024)(is_loopback)


class RateLimited(Exception):
    """Whoever asks has asked too often."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


class Verdict(NamedTuple):
    """Whether a request is one too many, by which limit, and where its sender stands: requests left, seconds to go."""

    refused: bool
    name: str  # "key" or "address"
    item: limits.RateLimitItem
    left: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields of the draft."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.item.amount};w={self.item.get_expiry()}',
            "RateLimit": f'"{self.name}";r={self.left};t={self.reset}',
        }


class RateLimits:
    """All limits of a web process, on one event loop."""

    def __init__(self, redis: Redis, per_key: str, per_address: str, keyless: bool) -> None:
        """Limits as `limits` writes them, "100/second;3000/minute", or "off". `keyless`: nobody is asked for a key."""
        pool: Any = redis.connection_pool
        storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix="hemline:limit", connection_pool=pool
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._limits = {name: [] if text == "off" else limits.parse_many(text)
                        for name, text in (("key", per_key), ("address", per_address))}  # fmt: skip
        self._keyless = keyless
        self._known: dict[tuple[str, limits.RateLimitItem], tuple[float, int, float]] = {}  # asked, left, reset at

    @classmethod
    def from_settings(cls, redis: Redis, settings: Settings) -> Self | None:
        """The limits that an operator set; nothing where this machine alone reaches the service and needs no key."""
        keyless = not settings.authenticates()
        if keyless and settings.auth != "off":
            return None
        return cls(redis, settings.rate_limit, settings.address_rate_limit, keyless)

    async def judge(self, environ: WSGIEnvironment, who: Caller | Exception | None) -> Verdict | None:
        """Count a request, and tell whether it is one too many; nothing where it has no limit, or Redis is away."""
        if environ["PATH_INFO"].startswith(_UNLIMITED):
            return None
        address = environ["REMOTE_ADDR"]
        if isinstance(who, Caller) and who.key:
            if who.key == OPERATOR:
                return None
            name, whose = "key", who.key
        elif self._keyless and _is_loopback(address):
            return None
        else:
            name, whose = "address", network_of(address)
        try:
            verdicts = [await self._count(name, item, whose) for item in self._limits[name]]
        except RedisError:  # what needs it will say so, and nothing else takes anything away from others
            return None
        return min(verdicts, key=lambda each: (not each.refused, each.left / each.item.amount), default=None)

    async def _count(self, name: str, item: limits.RateLimitItem, whose: str) -> Verdict:
        now = time.time()
        allowed = await self._limiter.hit(item, name, whose)
        asked, left, reset = self._known.get((whose, item), (0.0, 0, 0.0))
        if not allowed or now - asked > _FRESH:
            stats = await self._limiter.get_window_stats(item, name, whose)
            asked, left, reset = now, stats.remaining, stats.reset_time
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
        else:
            left = max(0, left - 1)
        self._known[whose, item] = asked, left, reset
        return Verdict(not allowed, name, item, left if allowed else 0, max(1, math.ceil(reset - now)))


@lru_cache(4096)
def network_of(address: str) -> str:
    """Whose an address is: of IPv6, a customer has at least a /64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def register(app: Flask) -> None:
    """Let requests be refused that are too many, and answers say where their sender stands."""

    @app.before_request
    def check() -> None:
        verdict: Verdict | None = request.environ.get(VERDICT)
        if verdict is not None and verdict.refused:
            raise RateLimited(verdict)

    @app.after_request
    def tell(response: Response) -> Response:
        verdict: Verdict | None = request.environ.get(VERDICT)
        if verdict is not None:
            response.headers.extend(verdict.headers)
        return response
