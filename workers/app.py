"""The way to Redis: the Celery application, with its queues and reliability settings, and plain connections."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from redis import ConnectionError, Redis, RedisError
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from workers import clients, sentinel

# Who has taken a message and is silent for this long loses it to another (seconds). Predictions are acknowledged
# late, so it must be longer than any batch takes; training acknowledges at once and holds a lease instead.
VISIBILITY_TIMEOUT = 30
KEY_PREFIX = "hemline:celery:"

_log = logging.getLogger(__name__)


def make_celery(redis_url: str) -> Celery:
    """A Celery application without tasks: enough to send, and what a worker adds its tasks to."""
    broker, options = _broker(redis_url)
    app = Celery("hemline", broker=broker)
    app.conf.update(
        task_ignore_result=True,  # our own records are the truth
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_publish_retry=False,  # what was not sent is sent again by the sweep
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that is full refuses for a while: no reason to end
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT,
            # By default kombu looks for abandoned messages only every 100 s.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # Who was looking when Redis died keeps others from doing so, by default for 300 s.
            "unacked_mutex_expire": 10,
            "socket_connect_timeout": 2,
            # What a worker asks of a Redis that has gone silent holds it up this long, several times in a row.
            "socket_timeout": 5,
            "health_check_interval": 5,
            "global_keyprefix": KEY_PREFIX,
            **options,
        },
    )
    return app


def connect(redis_url: str, **options: Any) -> Redis:
    """A pool of connections that gives up soon, so that a request can be refused rather than held."""
    defaults: dict[str, Any] = {
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "health_check_interval": 15,
        "retry": Retry(ConstantBackoff(0.05), 1),
    }
    if redis_url.startswith(sentinel.SCHEME):
        return sentinel.SentinelUrl.parse(redis_url).connect(defaults | options)
    return clients.Redis.from_url(redis_url, **(defaults | options))


def connect_async(redis_url: str, **options: Any) -> AsyncRedis:
    """The same for an event loop."""
    defaults: dict[str, Any] = {
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "health_check_interval": 15,
        "retry": AsyncRetry(ConstantBackoff(0.05), 1),
    }
    if redis_url.startswith(sentinel.SCHEME):
        redis = sentinel.SentinelUrl.parse(redis_url).connect_async(defaults | options)
    else:
        redis = clients.AsyncRedis.from_url(redis_url, **(defaults | options))
    pool: Any = redis.connection_pool
    pool.connection_class = type("Connection", (_Losable, pool.connection_class), {})
    return redis


class _Losable:
    """A connection that may be lost under uvloop, which says so in its own way: redis-py knows asyncio's alone."""

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        try:
            await super().send_packed_command(*arguments, **options)  # type: ignore[misc]
        except RuntimeError as closed:
            raise ConnectionError(str(closed)) from closed


def wait_for_redis(redis: Redis, worthwhile: Callable[[], bool] = lambda: True) -> None:
    """Come back when Redis takes commands: processes that are started together need no order.

    A worker that began at one which is full would end at once, again and again, and so would the whole service.
    """
    while worthwhile():
        try:
            redis.setrange("hemline:nothing", 0, "")  # changes nothing, and is refused where anything new would be
            return
        except RedisError as away:  # refused, full, or still loading its file
            _log.info("waiting for Redis (%s)", away)
            time.sleep(0.3)


def _broker(redis_url: str) -> tuple[str, dict[str, Any]]:
    """A URL as Celery writes it, and the options of its transport that go with it."""
    if redis_url.startswith(sentinel.SCHEME):
        url = sentinel.SentinelUrl.parse(redis_url)
        return url.broker_url(), url.broker_options()
    return redis_url.replace("unix://", "redis+socket://", 1) if redis_url.startswith("unix://") else redis_url, {}
