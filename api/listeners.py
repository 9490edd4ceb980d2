"""The sockets that web processes listen on, which outlive each of them.

One for each process, all on one port, among which the kernel shares new connections out (SO_REUSEPORT). The parent
makes them: what waits on one whose process has died is answered by the next. A parent that is to be replaced hands them
to its successor, so that between the two no connection is refused. They meet at a name that is not in the file system
(an abstract Unix socket of Linux), where only processes of the same user are heard.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing, suppress
from hashlib import sha256

from settings import Settings

READY = "hemline-web"  # the name of a process that answers on one
BACKLOG = 4096  # connections that wait to be accepted, on each
_MOST = 64  # as many as one message may carry of a few bytes


def listeners(settings: Settings) -> list[socket.socket]:
    """As many as there are to be processes: those of a predecessor, and new ones. Raises OSError."""
    found = _inherited(settings)
    wanted = settings.processes()
    if not found:
        _listen(settings, shared=False).close()  # or it would share the port of a service that it is no successor of
    for surplus in found[wanted:]:
        surplus.close()
    return found[:wanted] + [_listen(settings, shared=True) for _ in range(wanted - len(found))]


def _listen(settings: Settings, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as taken:
        listener.close()
        raise OSError(f"{settings.host}:{settings.port} cannot be used ({taken.strerror}). Set PORT.") from taken
    return listener


def _inherited(settings: Settings) -> list[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as successor:
        successor.settimeout(5)
        try:
            successor.connect(_name(settings))
            _, descriptors, _, _ = socket.recv_fds(successor, 1, _MOST)
        except OSError:
            return []
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


class HandOver:
    """Where a successor asks for the sockets. Open it again and again: a predecessor may still have the name."""

    def __init__(self, settings: Settings, sockets: list[socket.socket]) -> None:
        self._name = _name(settings)
        self._sockets = sockets[:_MOST]
        self._door: socket.socket | None = None

    def open(self) -> None:
        if self._door is None:
            door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            door.setblocking(False)
            try:
                door.bind(self._name)
                door.listen()
                self._door = door
            except OSError:
                door.close()

    def answer(self) -> None:
        """Give the sockets to whoever has asked for them."""
        while self._door is not None:
            try:
                successor, _ = self._door.accept()
            except BlockingIOError:
                return
            with closing(successor), suppress(OSError):
                if _user(successor) == os.getuid():
                    socket.send_fds(successor, [b"."], [each.fileno() for each in self._sockets])

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None


def _name(settings: Settings) -> str:
    service = f"{settings.home.absolute()} {settings.redis_url} {settings.host} {settings.port}"
    return f"\0hemline:{os.getuid()}:{sha256(service.encode()).hexdigest()}"


def _user(peer: socket.socket) -> int:
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)
