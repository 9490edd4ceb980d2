"""A Redis that is full refuses everything for a while. Nobody ends because of that."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from processes import Process, RedisServer, eventually, worker
from workers.app import make_celery
from workers.groups import Groups
from workers.jobs import JobState
from workers.records import Item

ITEM = Item({"top_k": 10, "warnings": []}, bytes(784))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of its own, as it is filled."""
    started = RedisServer(tmp_path / "redis")
    yield started
    started.stop()


def started(server: RedisServer, tmp_path: Path) -> Process:
    return worker(tmp_path / "log", {"HEMLINE_REDIS_URL": server.url, "HEMLINE_HOME": str(tmp_path),
                                     "HEMLINE_LOG_LEVEL": "INFO"})  # fmt: skip


def fill(redis: Redis) -> None:
    redis.config_set("maxmemory", 1)


def empty(redis: Redis) -> None:
    redis.config_set("maxmemory", 0)


def answers(groups: Groups, name: str) -> None:
    """A prediction is accepted and answered."""
    groups.submit(name, "production", [ITEM])
    eventually(lambda: (p := groups.prediction(name, 0)) and p.state is JobState.SUCCEEDED, "it is answered")


def test_a_worker_outlives_a_time_in_which_redis_is_full(server: RedisServer, tmp_path: Path) -> None:
    groups = Groups(server.client, max_queued=10, ttl=60, slice_size=4, lease=10)
    process = started(server, tmp_path)
    try:
        process.await_(lambda: "loaded v1" in process.output(), "the worker is ready")
        answers(groups, "pred:a")
        # Accepted before Redis is full, and to be taken while it is: Celery cannot note that it has taken it.
        process.popen.send_signal(signal.SIGSTOP)
        groups.submit("pred:b", "production", [ITEM])
        fill(server.client)
        process.popen.send_signal(signal.SIGCONT)
        process.await_(lambda: "Connection to broker lost" in process.output(), "the worker is refused")
        empty(server.client)
        answers(groups, "pred:c")
        eventually(lambda: groups.prediction("pred:b", 0).state is JobState.SUCCEEDED, "what was taken is answered")
        assert process.popen.poll() is None
    finally:
        process.stop()


def test_a_worker_that_starts_while_redis_is_full_waits(server: RedisServer, tmp_path: Path) -> None:
    fill(server.client)
    process = started(server, tmp_path)
    try:
        process.await_(lambda: "waiting for Redis" in process.output(), "the worker waits")
        assert server.client.keys() == []
        empty(server.client)
        process.await_(lambda: "loaded v1" in process.output(), "the worker is ready")
        answers(Groups(server.client, max_queued=10, ttl=60, slice_size=4, lease=10), "pred:a")
    finally:
        process.stop()


def test_who_dies_while_it_looks_for_abandoned_messages_stops_others_for_seconds_only(server: RedisServer) -> None:
    with make_celery(server.url).connection_for_read() as connection:
        assert connection.default_channel.unacked_mutex_expire <= 10
