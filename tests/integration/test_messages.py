"""The broker is no way in: workers read JSON and nothing that runs code while it is read, and live on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from processes import Process, RedisServer, Web, eventually, worker
from workers.app import KEY_PREFIX, make_celery
from workers.queue import PREDICT, PREDICTIONS, queue_length
from workers.upkeep import alive


class Bomb:
    """Makes a folder in whatever process unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def working(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> Iterator[tuple[Process, Web]]:
    """A prediction worker that is ready, and a web process."""
    environ = {"HEMLINE_REDIS_URL": redis_server.url, "HEMLINE_HOME": str(tmp_path)}
    started = worker(tmp_path / "worker.log", environ), Web(tmp_path / "web.log", environ)
    eventually(lambda: alive(redis, PREDICTIONS), "the worker is ready")
    yield started
    for process in started:
        process.stop()


def test_a_worker_refuses_what_would_run_code_and_goes_on(
    working: tuple[Process, Web], redis: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    process, web = working
    celery = make_celery(redis_server.url)

    celery.send_task(PREDICT, (Bomb(tmp_path / "it-ran"),), queue=PREDICTIONS, serializer="pickle")

    eventually(lambda: "ContentDisallowed" in process.output(), "the worker refuses the message")
    assert web.http.predict(wait=20).status_code == 201
    assert not (tmp_path / "it-ran").exists()
    assert queue_length(redis, PREDICTIONS) == 0
    # Nor does it come back: what nobody may read nobody should try again.
    eventually(lambda: not redis.hlen(f"{KEY_PREFIX}unacked"), "the message is gone")


def test_a_worker_survives_messages_that_make_no_sense(
    working: tuple[Process, Web], redis: Redis, redis_server: RedisServer
) -> None:
    process, web = working
    celery = make_celery(redis_server.url)

    for name, arguments in (
        (PREDICT, ("../nonsense",)),
        (PREDICT, ()),
        (PREDICT, ({"a": []}, 1)),
        ("os.system", ("true",)),
    ):
        celery.send_task(name, arguments, queue=PREDICTIONS)

    assert web.http.predict(wait=20).status_code == 201
    assert process.popen.poll() is None
    eventually(lambda: not redis.hlen(f"{KEY_PREFIX}unacked"), "the messages are gone")
