"""HTTP/1.1 with bounds: a client that sends endless headers, or none, holds neither memory nor a connection."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Far more than browsers and proxies send, in bytes and in seconds.
_LONGEST_HEAD = 64 * 1024
_SLOWEST_HEAD = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which by itself waits for the end of a head of any length for ever."""

    most = 8192  # connections of a process; who comes when there are as many is sent away
    _deadline: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is not None:
            self._head += len(data)
            # Where it ends in this data, what follows is a body, which has bounds of its own.
            if self._head > _LONGEST_HEAD and b"\r\n\r\n" not in data:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(_SLOWEST_HEAD, self.transport.close)

    def _head_is_there(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded(connections: int) -> type[BoundedProtocol]:
    """The protocol of a process that has so many connections at most."""
    return type("Bounded", (BoundedProtocol,), {"most": connections})


_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
