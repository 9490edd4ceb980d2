"""A store to test by itself, and a whole service that tests share."""

from collections.abc import Iterator

import pytest
from redis import Redis

from processes import Client, RedisServer, Service, Web, eventually, worker
from workers.groups import ALIASES, VERSIONS, Groups


@pytest.fixture
def groups(redis: Redis) -> Groups:
    """An empty store that knows the versions v1 and v2, of which production is v1."""
    redis.sadd(VERSIONS, "v1", "v2")
    redis.hset(ALIASES, "production", "v1")
    return Groups(redis, max_queued=1000, ttl=3600, slice_size=4, lease=10)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Redis, a worker and a web process that nobody stops or empties."""
    folder = tmp_path_factory.mktemp("service")
    redis = RedisServer(folder / "redis")
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_MAX_WAIT": "20"}
    started = [worker(folder / "worker.log", environ)]
    web = Web(folder / "web.log", environ)
    started.append(web)
    eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
    yield Service(web.http, redis.client, environ)
    for process in [*started, redis]:
        process.stop()


@pytest.fixture
def http(service: Service) -> Client:
    return service.http
