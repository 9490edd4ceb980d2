"""The shorter way for a command: answers belong to their commands, whatever becomes of connections."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from processes import RedisServer, eventually
from workers import clients
from workers.app import connect, connect_async


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with connect(redis_server.url) as client:
        yield client


def test_a_connection_is_used_again_by_whoever_comes_next(client: redis.Redis) -> None:
    found: list[int] = []
    # More than a pool of redis-py makes: each of them ends before the next begins.
    for _ in range(150):
        thread = threading.Thread(target=lambda: found.append(client.client_id()))
        thread.start()
        thread.join()

    assert isinstance(client, clients.Redis)
    assert len(found) == 150 and set(found) == {client.client_id()}


def test_threads_at_the_same_time_have_a_connection_each(client: redis.Redis) -> None:
    together = threading.Barrier(120, timeout=60)

    def ask(number: int) -> bool:
        together.wait()
        return all(client.echo(f"{number} {turn}") == f"{number} {turn}".encode() for turn in range(20))

    with ThreadPoolExecutor(120) as pool:
        assert all(pool.map(ask, range(120)))
    with client.pipeline() as pipe:
        assert pipe.ping().execute() == [True]


def test_a_connection_that_was_lost_is_made_again(client: redis.Redis, redis_server: RedisServer) -> None:
    client.set("a", "b")
    redis_server.client.client_kill_filter(_id=str(client.client_id()))

    assert client.get("a") == b"b"


def test_an_error_is_an_answer_like_any_other(client: redis.Redis) -> None:
    before = client.client_id()
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr(client.set("a", "b") and "a")

    assert client.client_id() == before


def test_the_answer_to_a_command_that_was_given_up_is_not_taken_for_the_next(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.set("a", "b")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(client, "parse_response", interrupted)
        client.get("a")
    assert client.echo("c") == b"c"


def test_a_fork_has_a_connection_of_its_own(client: redis.Redis) -> None:
    parents = client.client_id()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, str(client.client_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert int(os.read(read, 20)) != parents
    assert client.client_id() == parents


def test_a_redis_that_is_away_is_an_error(redis_server: RedisServer, client: redis.Redis) -> None:
    client.ping()
    redis_server.stop()

    with pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()
    assert client.ping()


def test_nothing_is_open_after_the_end(redis_server: RedisServer, client: redis.Redis) -> None:
    number = client.client_id()
    client.close()

    eventually(lambda: str(number) not in open_at(redis_server), "it is closed")


def open_at(redis_server: RedisServer) -> set[str]:
    """Connections by their numbers, those of other tests in this process among them."""
    return {each["id"] for each in redis_server.client.client_list()}


async def several(url: str) -> None:
    client = connect_async(url)
    assert await asyncio.gather(*(client.echo(str(n)) for n in range(20))) == [str(n).encode() for n in range(20)]
    # Given up, with the answer still to come.
    waiting = asyncio.ensure_future(client.blpop(["nothing"], timeout=2))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [await client.echo(str(n)) for n in range(20)] == [str(n).encode() for n in range(20)]

    with pytest.raises(redis.ResponseError):
        await client.execute_command("NOTHING")
    me = await client.client_id()
    with connect(url) as other:
        other.client_kill_filter(_id=str(me))
    assert await client.echo("a") == b"a"
    await client.aclose()


def test_an_event_loop_uses_as_many_as_it_needs(redis_server: RedisServer) -> None:
    before = open_at(redis_server)
    asyncio.run(several(redis_server.url))

    eventually(lambda: not open_at(redis_server) - before, "all are closed")


async def late(url: str) -> None:
    client = connect_async(url)
    working = asyncio.ensure_future(client.blpop(["nothing"], timeout=0.2))
    await asyncio.sleep(0.05)
    await client.aclose()
    assert await working is None


def test_what_was_at_work_at_the_end_is_closed_as_well(redis_server: RedisServer) -> None:
    before = open_at(redis_server)
    asyncio.run(late(redis_server.url))

    eventually(lambda: not open_at(redis_server) - before, "it is closed")
