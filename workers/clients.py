"""redis-py's clients, with a shorter way for a command: half of its time goes to what is done around it.

For each command redis-py takes a connection from a pool under a lock, asks the kernel whether that is still good, and
keeps accounts for OpenTelemetry. Here a thread keeps its connection, and an event loop those that are free; that one is
lost shows when it is used. Everything else, pipelines and subscriptions among it, is redis-py's.

As with redis-py, a command whose connection is lost is sent again as often as the client's `retry` says, so it may be
carried out twice: what is asked of Redis here is written so that this does no harm.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio
from redis import ConnectionError, RedisError, ResponseError, TimeoutError

_PAUSE = 0.05  # seconds before a command is sent again


class Redis(redis.Redis):
    """A client in which each thread has a connection of its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own = threading.local()

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command; its answer. Raises RedisError."""
        connection: Any = self._connection()
        parse: Any = self.parse_response
        connection.connect()
        for left in range(connection.retry.get_retries(), -1, -1):
            try:
                connection.send_command(*command)
                return parse(connection, command[0], **options)
            except ResponseError:
                raise  # an answer like any other
            except (ConnectionError, TimeoutError):
                connection.disconnect()
                if not left:
                    raise
                time.sleep(_PAUSE)
            except BaseException:
                connection.disconnect()  # or the next command would get the answer to this one
                raise
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close what this thread and the pool have open."""
        with suppress(AttributeError):  # no command was sent by this thread, or redis-py has not begun yet
            self._own.connection.disconnect()
        super().close()

    def _connection(self) -> Any:
        connection = getattr(self._own, "connection", None)
        if connection is None or connection.pid != os.getpid():  # what was open before a fork belongs to the parent
            connection = self._own.connection = self.connection_pool.make_connection()
        return connection


class AsyncRedis(redis.asyncio.Redis):
    """The same for an event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._free: list[Any] = []
        self._closed = False

    async def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command; its answer. Raises RedisError."""
        pool: Any = self.connection_pool
        connection = self._free.pop() if self._free else pool.make_connection()
        try:
            await connection.connect()
            answer = await self._answer(connection, command, options)
        except RedisError:
            await self._give_back(connection)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)  # its answer is still to come, and nobody waits for it
            raise
        await self._give_back(connection)
        return answer

    async def _give_back(self, connection: Any) -> None:
        if self._closed:
            await connection.disconnect(nowait=True)  # whoever closed the client did not wait for this command
        else:
            self._free.append(connection)

    async def _answer(self, connection: Any, command: tuple[Any, ...], options: dict[str, Any]) -> Any:
        for left in range(connection.retry.get_retries(), -1, -1):
            try:
                await connection.send_command(*command)
                return await self.parse_response(connection, command[0], **options)
            except (ConnectionError, TimeoutError):
                await connection.disconnect(nowait=True)
                if not left:
                    raise
                await asyncio.sleep(_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close what is open; what is at work is closed when it ends."""
        self._closed = True
        while self._free:
            await self._free.pop().disconnect()
        await super().aclose(close_connection_pool)
