"""How requests travel: blocking, or with asyncio. All else is the same for both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

import hemline_api
from hemline.errors import Unreachable, problem
from hemline.retries import AsyncRetryingTransport, RetryingTransport

# Longer than any request is held: `Prefer: wait` by 30 s, an event stream says something every 15 s.
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class Wire(Protocol):
    """What the protocol needs. All of it raises HemlineError."""

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer that is no error."""

    def events(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[ServerSentEvent, None]:
        """Server-sent events until the connection ends."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        said = f"There was no answer to {path} ({str(error) or type(error).__name__})."
        raise Unreachable(f"{said} Is the service running, and the URL right?") from error


def _told(response: httpx.Response) -> bool:
    return response.status_code == 204 or not response.headers.get("Content-Type", "").startswith("text/event-stream")


def _api(base_url: str, api_key: str | None, transport: Any, check: Any) -> hemline_api.AuthenticatedClient:
    """The generated client. Its functions want one with a key; one without will do where the service asks for none."""
    options: dict[str, Any] = {
        "timeout": _TIMEOUT, "httpx_args": {"transport": transport, "event_hooks": {"response": [check]}},
    }  # fmt: skip
    if api_key:
        return hemline_api.AuthenticatedClient(base_url, api_key, **options)
    return cast(hemline_api.AuthenticatedClient, hemline_api.Client(base_url, **options))


class BlockingWire:
    """Coroutines that never suspend."""

    def __init__(self, base_url: str, api_key: str | None, tries: int, patience: float) -> None:
        def check(response: httpx.Response) -> None:
            if response.status_code >= 400:
                response.read()
                raise problem(response)

        self.transport = RetryingTransport(tries, patience)
        self.api = _api(base_url, api_key, self.transport, check)
        self._http = self.api.get_httpx_client()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with _reaching(path):
            return self._http.request(method, path, **options)

    async def events(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[ServerSentEvent, None]:
        with _reaching(path), self._http.stream("GET", path, headers=headers) as response:
            if not _told(response):
                for event in EventSource(response).iter_sse():
                    yield event

    async def sleep(self, seconds: float) -> None:
        self.transport.sleep(seconds)


class AsyncWire:
    """The same for asyncio."""

    def __init__(self, base_url: str, api_key: str | None, tries: int, patience: float) -> None:
        async def check(response: httpx.Response) -> None:
            if response.status_code >= 400:
                await response.aread()
                raise problem(response)

        self.transport = AsyncRetryingTransport(tries, patience)
        self.api = _api(base_url, api_key, self.transport, check)
        self._http = self.api.get_async_httpx_client()

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with _reaching(path):
            return await self._http.request(method, path, **options)

    async def events(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[ServerSentEvent, None]:
        with _reaching(path):
            async with self._http.stream("GET", path, headers=headers) as response:
                if not _told(response):
                    async for event in EventSource(response).aiter_sse():
                        yield event

    async def sleep(self, seconds: float) -> None:
        await self.transport.sleep(seconds)
