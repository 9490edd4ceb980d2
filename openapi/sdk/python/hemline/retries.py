"""Asking again: when the service says that it is busy, and when it could not be reached.

The rules are written once, as coroutines. On blocking transports these never suspend, and `run` takes their result.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

_BUSY = (429, 503)  # the contract: nothing was accepted
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
_KEY = "Idempotency-Key"  # with it, what arrives twice is made once
_LONGEST = 30.0  # seconds between two tries where the service does not say


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a blocking wire was suspended")


def iterate(items: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of a generator that never suspends."""
    try:
        while True:
            yield run(items.__anext__())
    except StopAsyncIteration:
        return
    finally:
        run(items.aclose())


def pause(attempt: int, response: httpx.Response | None = None) -> float:
    """Seconds to wait before the next try.

    Never less than `Retry-After` asks, and up to a quarter more, so that clients that were refused together do not come
    back together; without it, exponential backoff from half a second, with jitter.
    """
    asked = retry_after(response) if response is not None else None
    if asked is not None:
        return asked * random.uniform(1.0, 1.25)
    return min(_LONGEST, 0.5 * 2.0**attempt) * random.uniform(0.5, 1.0)


def retry_after(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds; it may also come as a date (RFC 9110)."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _is_busy(response: httpx.Response) -> bool:
    # 409 with a time to wait: the request before, of which nothing was heard, goes on.
    return response.status_code in _BUSY or response.status_code == 409 and "Retry-After" in response.headers


class _Retries:
    """How often, and how long, a request is tried again."""

    def __init__(self, tries: int, patience: float) -> None:
        self.tries = tries
        self.patience = patience

    async def send(
        self, request: httpx.Request, once: Callable[[], Awaitable[httpx.Response]],
        close: Callable[[httpx.Response], Awaitable[None]], sleep: Callable[[float], Awaitable[None]],
    ) -> httpx.Response:
        """Send until there is an answer that is no refusal, or tries or patience are at their end."""
        waited = 0.0
        for attempt in range(self.tries):
            last = attempt == self.tries - 1
            try:
                response = await once()
            except httpx.TransportError as error:
                never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
                if last or not (never_sent or request.method in _IDEMPOTENT or _KEY in request.headers):
                    raise
                seconds = pause(attempt)
                if waited + seconds > self.patience:
                    raise
            else:
                if last or not _is_busy(response):
                    return response
                seconds = pause(attempt, response)
                if waited + seconds > self.patience:
                    return response
                await close(response)
            waited += seconds
            await sleep(seconds)
        raise AssertionError("a request is tried at least once")


class RetryingTransport(httpx.BaseTransport):
    """A blocking transport that asks again."""

    def __init__(self, tries: int, patience: float, transport: httpx.BaseTransport | None = None) -> None:
        self._retries = _Retries(max(1, tries), patience)
        self._transport = transport or httpx.HTTPTransport()
        self.sleep: Callable[[float], None] = time.sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def once() -> httpx.Response:
            return self._transport.handle_request(request)

        async def close(response: httpx.Response) -> None:
            response.close()

        async def sleep(seconds: float) -> None:
            self.sleep(seconds)

        return run(self._retries.send(request, once, close, sleep))

    def close(self) -> None:
        self._transport.close()


class AsyncRetryingTransport(httpx.AsyncBaseTransport):
    """The same for asyncio."""

    def __init__(self, tries: int, patience: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._retries = _Retries(max(1, tries), patience)
        self._transport = transport or httpx.AsyncHTTPTransport()
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        once = partial(self._transport.handle_async_request, request)
        return await self._retries.send(request, once, httpx.Response.aclose, self.sleep)

    async def aclose(self) -> None:
        await self._transport.aclose()
