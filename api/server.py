"""Entry point of the web processes: `python -m api.server`. The settings say where, and how many.

Each is an event loop with uvicorn on it, all on one thread: a server with a thread of its own would fight with the
application for the interpreter. What they have in common is loaded before they part, so that they share its memory:
the second one takes a third of the first. The kernel shares the connections out among them (SO_REUSEPORT).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from typing import Any

import uvicorn

from api import asgi
from api.http import BoundedProtocol
from settings import InvalidSetting, Settings

_BACKLOG = 4096  # connections that wait to be accepted
_KEEP_ALIVE = 75  # seconds that a connection may be idle: longer than most clients and proxies keep one
_FAREWELL = 15  # seconds that requests have to end when the service does
_PAUSE = 1.0  # seconds before a process is started in place of one that could not even begin

_log = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal; the exit status says whether there was anything to serve by."""
    try:
        settings = Settings.from_env()
        settings.redis()
        reserved = _listener(settings)  # held without listening: nobody else can take the port meanwhile
    except (InvalidSetting, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return os.EX_USAGE
    with reserved:
        return Parent(settings).run()


class Parent:
    """Keeps so many processes running, and ends with them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: dict[int, float] = {}  # when each began
        self._ending = False

    def run(self) -> int:
        """Until a signal tells it to end and the last process has."""
        gc.freeze()  # a collection would write into the memory that is shared
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for _ in range(self._settings.processes()):
            self._start()
        while self._children:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.wait()
                began = self._children.pop(pid, None)
                if began is not None and not self._ending:
                    code = os.waitstatus_to_exitcode(status)
                    _log.warning("web process %d ended (%d) and is started anew", pid, code)
                    if time.monotonic() - began < _PAUSE:
                        time.sleep(_PAUSE)
                    self._start()
        return os.EX_OK

    def _start(self) -> None:
        pid = os.fork()
        if pid == 0:
            status = os.EX_SOFTWARE
            try:
                status = _serve(self._settings)
            finally:
                os._exit(status)
        self._children[pid] = time.monotonic()
        if self._ending:  # the signal came while it was made
            os.kill(pid, signal.SIGTERM)

    def _end(self, *_: Any) -> None:
        self._ending = True
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)


def _serve(settings: Settings) -> int:
    """One process, until SIGTERM: it then answers what it has, and ends."""
    _end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which tells the parent too
    config = uvicorn.Config(
        asgi.app, factory=True, loop="uvloop", http=BoundedProtocol, ws="none", interface="asgi3", lifespan="on",
        log_config=None, access_log=False, server_header=False, proxy_headers=False, backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=_FAREWELL,
    )  # fmt: skip
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    uvicorn.Server(config).run(sockets=[_listener(settings)])
    return os.EX_OK


def _listener(settings: Settings) -> socket.socket:
    """A socket on the port of all processes. Raises OSError where another program has it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as taken:
        listener.close()
        raise OSError(f"{settings.host}:{settings.port} cannot be used ({taken.strerror}). Set PORT.") from taken
    return listener


def _end_with_parent() -> None:
    # The processes share the port: one that outlived a killed parent would go on answering beside the parent's
    # successor. Linux only (prctl's PR_SET_PDEATHSIG); elsewhere nothing happens.
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
