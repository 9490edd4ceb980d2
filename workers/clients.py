"""redis-py's clients, with a shorter way for a command: half of its time goes to what is done around it.

For each command redis-py takes a connection from a pool under a lock, asks the kernel whether that is still good, and
keeps accounts for OpenTelemetry. Here a client keeps those that are free; that one is lost shows when it is used.
Everything else, pipelines and subscriptions among it, is redis-py's.

As with redis-py, a command whose connection is lost is sent again as often as the client's `retry` says, so it may be
carried out twice: what is asked of Redis here is written so that this does no harm.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio
from redis import ConnectionError, RedisError, TimeoutError

_PAUSE = 0.05  # seconds before a command is sent again


class Redis(redis.Redis):
    """A client that keeps the connections that are free, at most as many as there were commands at a time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._free: list[Any] = []  # a list's append and pop are each one step for threads
        self._closed = False

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command; its answer. Raises RedisError."""
        connection = self._take()
        try:
            connection.connect()
            answer = self._answer(connection, command, options)
        except RedisError:
            self._give_back(connection)
            raise
        except BaseException:
            connection.disconnect()  # or the next command would get the answer to this one
            raise
        self._give_back(connection)
        return answer

    def _answer(self, connection: Any, command: tuple[Any, ...], options: dict[str, Any]) -> Any:
        parse: Any = self.parse_response
        for left in range(connection.retry.get_retries(), -1, -1):
            try:
                connection.send_command(*command)
                return parse(connection, command[0], **options)
            except (ConnectionError, TimeoutError):
                connection.disconnect()
                if not left:
                    raise
                time.sleep(_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _take(self) -> Any:
        try:
            connection = self._free.pop()
        except IndexError:
            return self._new()
        # What was open before a fork belongs to the parent.
        return connection if connection.pid == os.getpid() else self._new()

    def _new(self) -> Any:
        # Not by the pool's own hand, which counts up to a limit and would never hear that one of these has gone.
        pool = self.connection_pool
        return pool.connection_class(**pool.connection_kwargs)

    def _give_back(self, connection: Any) -> None:
        if self._closed:
            connection.disconnect()  # whoever closed the client did not wait for this command
        else:
            self._free.append(connection)

    def close(self) -> None:
        """Close what is open; what is at work is closed when it ends."""
        self._closed = True
        free = getattr(self, "_free", [])  # redis-py calls this also where it could not begin
        with suppress(IndexError):  # at the end, which another thread may bring about
            while True:
                free.pop().disconnect()
        super().close()


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
