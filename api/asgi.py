"""The web process under its server (`api.server`): the ASGI application.

Flask answers every request. What takes microseconds it does on the event loop itself; everything else has a thread.
Where the answer is still to come (`responses.Later`) the event loop waits for it, so a request that is held costs no
thread.
"""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import orjson
from flask import Flask, Response
from flask.ctx import RequestContext
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import remove_entity_headers

from api import auth
from api.app import create_app
from api.errors import PROBLEM_JSON
from api.limits import VERDICT
from api.observation import BEGAN, about
from api.parts import BODY, LATER, Parts
from api.responses import Later
from settings import Settings, is_loopback
from workers import logs
from workers.tracing import Tracing
from workers.upkeep import Upkeep

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Bytes of a body that are not worth a thread that waits for them, and in which nothing takes long to understand.
_SMALL = 64 * 1024
# Seconds after which a thread lets go of the interpreter for another that wants it, a fifth of Python's: this is how
# long the event loop may have to wait for a thread that reads a thousand pictures.
_SWITCH_INTERVAL = 0.001
_SLOWEST_BODY = 30.0  # seconds in which a small body has to come, and the next piece of a large one

_BUSY = orjson.dumps({
    "type": "urn:hemline:problem:busy", "title": "Service Unavailable", "status": 503,
    "detail": "Too many requests are at work, and this one was not read. Try again after the time in Retry-After.",
})  # fmt: skip

_log = logging.getLogger(__name__)


def prepare() -> Flask:
    """What the web processes have in common, by the settings of the environment. Raises InvalidSetting.

    No connection is open yet, and no thread runs but that of traces, which OpenTelemetry starts anew after a fork.
    """
    settings = Settings.from_env()
    logs.configure("web", settings.log_level, settings.log_format, about)
    if settings.auth == "off" and not is_loopback(settings.host):
        _log.warning("HEMLINE_AUTH is off: everybody who reaches %s may do everything", settings.host)
    return create_app(settings, tracing=Tracing.start("web", settings.otlp_endpoint))


def app(flask: Flask, on_leave: Callable[[], None] = lambda: None) -> Application:
    """The application of one process. `on_leave` is called when it is about to be replaced."""
    parts: Parts = flask.extensions["hemline"]
    Upkeep(parts.metrics.fold).start()
    # What was noticed last is told when the event loop ends: the process itself ends without hearing of `atexit`.
    ends = [parts.metrics.end, *([parts.tracing.end] if parts.tracing else [])]
    made = Application(flask, parts.settings.web_threads, on_leave, ends)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    # What is there now stays: a collection that looks at all of it takes some 70 ms, in which nobody is answered.
    gc.freeze()
    return made


class Application:
    """A Flask application under ASGI."""

    def __init__(
        self, flask: Flask, threads: int, on_leave: Callable[[], None] = lambda: None,
        ends: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._flask = flask
        self._parts: Parts = flask.extensions["hemline"]
        self._pool = ThreadPoolExecutor(threads, "request")
        self._at_work, self._most = 0, self._parts.settings.max_requests
        self._proxies = self._parts.settings.trusted_proxies
        self._leaving = False
        self._on_leave = on_leave
        self._ends = ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._leave)
        self._parts.queue.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._parts.queue.end()
        for end in self._ends:
            await asyncio.to_thread(end)
        await send({"type": "lifespan.shutdown.complete"})

    def _leave(self) -> None:
        """From now on, each answer is the last of its connection.

        Asked for by SIGUSR1, some seconds before SIGTERM, when another process serves the port already: a client whose
        next request met the end of an idle connection could not tell whether it was heard.
        """
        self._leaving = True
        self._on_leave()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless there are too many already: saying so at once costs next to nothing."""
        if self._at_work >= self._most:
            await _send_whole(self._busy(), scope["method"], send)
            return
        self._at_work += 1
        try:
            await self._work(scope, receive, send)
        finally:
            self._at_work -= 1

    def _busy(self) -> Response:
        with self._flask.app_context():
            seconds = self._parts.backlog.retry_after()
        return Response(_BUSY, 503, {"Retry-After": str(seconds), "Connection": "close"}, content_type=PROBLEM_JSON)

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        environ = _environ(scope)
        if self._proxies:
            environ["REMOTE_ADDR"] = _address(environ, self._proxies)
        who = environ[auth.CALLER] = auth.recall(self._parts, environ) or await auth.identify(self._parts, environ)
        if self._parts.limits is not None:
            environ[VERDICT] = await self._parts.limits.judge(environ, who)
        length = environ.get("CONTENT_LENGTH", "0" if "HTTP_TRANSFER_ENCODING" not in environ else "")
        context = self._flask.request_context(environ)
        with context:
            body = None
            if length.isdecimal() and int(length) <= _SMALL:
                body = environ[BODY] = await _read(receive) if length != "0" else b""
                rest = None
                environ["wsgi.input"] = io.BytesIO(body)
            else:
                rest = _Body(receive, loop)
                environ["wsgi.input"] = io.BufferedReader(rest, _SMALL)
            if _is_light(scope["method"], scope["path"], body):
                response = self._flask.full_dispatch_request()
            else:
                response = await loop.run_in_executor(self._pool, self._dispatch, context)
            if isinstance(response, Later):
                try:
                    response = self._flask.finalize_request(await response.answer)
                except Exception as reason:
                    response = await loop.run_in_executor(self._pool, self._refuse, context, reason)
        if self._leaving or (rest is not None and rest.more):  # where there is more, nobody reads it
            response.headers["Connection"] = "close"
        if response.is_sequence:
            await _send_whole(response, environ["REQUEST_METHOD"], send)
        else:
            gone = loop.create_task(_gone(receive))
            try:
                await loop.run_in_executor(self._pool, _send_parts, response, environ, send, gone)
            finally:
                gone.cancel()

    def _dispatch(self, context: RequestContext) -> Response:
        with context:
            return self._flask.full_dispatch_request()

    def _refuse(self, context: RequestContext, reason: Exception) -> Response:
        with context:
            return self._flask.finalize_request(self._flask.handle_user_exception(reason))


def _is_light(method: str, path: str, body: bytes | None) -> bool:
    """Whether it takes microseconds to know what a request wants: a small picture classified, or a prediction read."""
    if method == "POST" and path == "/v1/predictions":
        return body is not None
    return method == "GET" and path.startswith("/v1/predictions/")


def _environ(scope: Scope) -> dict[str, Any]:
    """The request as PEP 3333 has it, but for its body."""
    server, client = scope["server"], scope["client"]
    environ = {
        "REQUEST_METHOD": scope["method"], "SCRIPT_NAME": "", "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"), "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]), "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0] if client else "", "wsgi.version": (1, 0), "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
        "wsgi.input_terminated": True, LATER: True, BEGAN: time.perf_counter(),
    }  # fmt: skip
    for name, value in scope["headers"]:
        key = _VARIABLES.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def _address(environ: dict[str, Any], proxies: int) -> str:
    """Where a request comes from: what the outermost of so many proxies of ours saw. What is before that is hearsay."""
    seen = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    return str(seen[-proxies] if len(seen) >= proxies else environ["REMOTE_ADDR"])


_VARIABLES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


async def _read(receive: Receive) -> bytes:
    """A body. What does not come in time is missing, and a body that is cut off is no JSON."""
    message = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = [message["body"]]
    with suppress(TimeoutError):
        async with asyncio.timeout(_SLOWEST_BODY):
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
    return b"".join(parts)


class _Body(io.RawIOBase):
    """A body that a thread reads while it arrives."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._left = b""
        self.more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self.more and not self._left:
            coming = asyncio.run_coroutine_threadsafe(_awaited(self._receive), self._loop)
            try:
                message = coming.result(_SLOWEST_BODY)
            except TimeoutError:
                coming.cancel()
                raise ClientDisconnected from None
            self._left = message.get("body", b"")
            self.more = bool(message.get("more_body"))
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


async def _awaited(receive: Receive) -> MutableMapping[str, Any]:
    return await receive()


async def _send_whole(response: Response, method: str, send: Send) -> None:
    body = b"" if method == "HEAD" else response.get_data()
    if response.status_code in (204, 304):
        body = b""
        remove_entity_headers(response.headers)
    try:
        await send(_start(response))
        await send({"type": "http.response.body", "body": body})
    finally:
        response.close()


async def _gone(receive: Receive) -> None:
    """Come back when the client has gone; a message to one who has gets lost without a word."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _send_parts(response: Response, environ: dict[str, Any], send: Send, gone: asyncio.Task[None]) -> None:
    """Send a response while it is made, as long as the client is there."""
    loop = gone.get_loop()

    def tell(message: MutableMapping[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(_told(send, message), loop).result()

    try:
        tell(_start(response))
        for part in response.get_app_iter(environ):
            if gone.done():
                return
            tell({"type": "http.response.body", "body": part, "more_body": True})
        tell({"type": "http.response.body", "body": b""})
    finally:
        response.close()


async def _told(send: Send, message: MutableMapping[str, Any]) -> None:
    await send(message)


def _start(response: Response) -> MutableMapping[str, Any]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}
