"""Fixtures that need more than one folder of tests."""

from collections.abc import Iterator

import pytest
from redis import Redis

from processes import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that tests may empty."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> Redis:
    """A connection to an empty Redis."""
    redis_server.client.flushall()
    return redis_server.client
