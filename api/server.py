"""Entry point of the web processes: `python -m api.server`. The settings say where, and how many.

Each is an event loop with uvicorn on it, all on one thread: a server with a thread of its own would fight with the
application for the interpreter. What they have in common is loaded, and put together, before they part, so that they
share its memory: the second one takes a third of the first. What there may be only one of, as a name, a thread or a
connection, is made after that, by who needs it first.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import uvicorn
import uvloop  # noqa: F401 - otherwise each process loads it for itself
from flask import Flask

from api import asgi
from api.http import bounded
from api.listeners import BACKLOG, READY, HandOver, listeners
from settings import InvalidSetting, Settings

_KEEP_ALIVE = 75  # seconds that a connection may be idle: longer than most clients and proxies keep one
_FAREWELL = 15  # seconds that requests have to end when the service does; when it is upgraded, as long as it holds one
_SET_PARENT_DEATH_SIGNAL, _SET_NAME = 1, 15  # of prctl(2)
_LOOK = 0.2  # seconds between two looks at who asks for the sockets
_PAUSE = 1.0  # seconds before a process is started in place of one that could not even begin

_log = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal; the exit status says whether there was anything to serve by."""
    try:
        settings = Settings.from_env()
        settings.redis()
        settings.authenticates()
        sockets = listeners(settings)
        flask = asgi.prepare()
    except (InvalidSetting, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return os.EX_USAGE
    return Parent(settings, sockets, flask).run()


class Parent:
    """Keeps a process running on each socket, and ends with them."""

    def __init__(self, settings: Settings, sockets: list[socket.socket], flask: Flask) -> None:
        self._settings = settings
        self._sockets = sockets
        self._flask = flask
        self._hand_over = HandOver(settings, sockets)
        self._children: dict[int, tuple[socket.socket, float]] = {}  # by pid: its socket, and when it began
        self._ending = False

    def run(self) -> int:
        """Until a signal tells it to end and the last process has."""
        gc.freeze()  # a collection would write into the memory that is shared
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for listener in self._sockets:
            self._start(listener)
        while self._children:
            self._hand_over.open()
            self._hand_over.answer()
            self._reap()
            signal.sigtimedwait([signal.SIGCHLD], _LOOK)
        return os.EX_OK

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            listener, began = self._children.pop(pid)
            if self._ending:
                continue
            code = os.waitstatus_to_exitcode(status)
            _log.warning("web process %d ended (%d) and is started anew", pid, code)
            if time.monotonic() - began < _PAUSE:
                time.sleep(_PAUSE)
            self._start(listener)

    def _start(self, listener: socket.socket) -> None:
        pid = os.fork()
        if pid == 0:
            status = os.EX_SOFTWARE
            try:
                self._hand_over.close()
                for other in self._sockets:
                    if other is not listener:
                        other.close()
                status = _serve(self._settings, listener, self._flask)
            finally:
                os._exit(status)
        self._children[pid] = listener, time.monotonic()
        if self._ending:  # the signal came while it was made
            os.kill(pid, signal.SIGTERM)

    def _end(self, *_: Any) -> None:
        self._ending = True
        for pid in self._children:
            with suppress(ProcessLookupError):  # it has just ended, and is not counted as such yet
                os.kill(pid, signal.SIGTERM)


def _serve(settings: Settings, listener: socket.socket, flask: Flask) -> int:
    """One process, until SIGTERM: it then answers what it has, and ends."""
    _end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which tells the parent too

    def application() -> asgi.Application:
        def leave() -> None:
            config.timeout_graceful_shutdown = max(_FAREWELL, math.ceil(settings.max_wait) + 1)
            server.accept_no_more()

        return asgi.app(flask, leave)

    config = uvicorn.Config(
        application, factory=True, loop="uvloop", http=bounded(settings.max_connections), ws="none",
        interface="asgi3", lifespan="on",
        log_config=None, access_log=False, server_header=False, proxy_headers=False, backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=_FAREWELL,
    )  # fmt: skip
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(config)
    server.run(sockets=[listener])
    return os.EX_OK


class _Server(uvicorn.Server):
    """uvicorn's, which shows in the name of its process that it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _prctl(_SET_NAME, READY.encode())

    def accept_no_more(self) -> None:
        """Leave new connections to the successor: one that came just before the end would end before it was heard."""
        for listening in self.servers:
            listening.close()


def _end_with_parent() -> None:
    # The processes share the port: one that outlived a killed parent would go on answering beside the parent's
    # successor. Linux only; elsewhere nothing happens.
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _prctl(option: int, argument: Any) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(option, argument)


if __name__ == "__main__":
    sys.exit(main())
