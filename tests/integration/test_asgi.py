"""The web process under its server: what is held costs no thread, who has gone holds nothing, bodies of any kind."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from processes import RedisServer, Web, b64, eventually, sample
from settings import Settings
from workers.groups import ALIASES, VERSIONS
from workers.jobs import JobStore

THREADS = 4
POST = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PICTURE = b64(sample("sneaker"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, Redis]]:
    """A web process with few threads, and nobody who works."""
    folder = tmp_path_factory.mktemp("asgi")
    redis = RedisServer(folder / "redis")
    redis.client.sadd(VERSIONS, "v1")
    redis.client.hset(ALIASES, "production", "v1")
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_WEB_THREADS": str(THREADS)}
    web = Web(folder / "web.log", environ)
    yield web, redis.client
    web.stop()
    redis.stop()


@pytest.fixture
def web(site: tuple[Web, Redis]) -> Web:
    return site[0]


def talk(web: Web, request: bytes, until: bytes = b"\r\n\r\n") -> tuple[socket.socket, bytes]:
    """Send bytes as they are; returns the connection and what came back up to these bytes."""
    host, port = web.http.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(request)
    answer = b""
    while until not in answer:
        more = connection.recv(65536)
        if not more:
            break
        answer += more
    return connection, answer


def test_many_more_requests_are_held_than_there_are_threads(web: Web) -> None:
    body = {"image": PICTURE}
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(web.http.post("/v1/predictions", body, wait=3).status_code)

    held = [threading.Thread(target=ask) for _ in range(10 * THREADS)]
    for thread in held:
        thread.start()
    assert web.http.get("/health/live").status_code == 200  # which takes a thread
    assert not statuses
    for thread in held:
        thread.join()
    assert statuses == [202] * len(held)


def test_who_follows_a_job_and_goes_makes_room_for_others(site: tuple[Web, Redis]) -> None:
    web, redis = site
    job = JobStore.training(redis, Settings()).submit({})
    request = f"GET /v1/training-jobs/{job.id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    followers = [talk(web, request, b"event: queued") for _ in range(THREADS - 1)]
    assert all(b" 200 " in answer for _, answer in followers)
    refused, answer = talk(web, request)
    assert answer.startswith(b"HTTP/1.1 503")
    for connection in (refused, *(connection for connection, _ in followers)):
        connection.close()

    def has_room() -> bool:
        redis.publish("hemline:done", job.id)  # something happens, at which those who have gone are noticed
        redis.xadd(f"hemline:{job.id}:events", {"type": "progress", "data": "{}"})
        connection, answer = talk(web, request)
        connection.close()
        return b" 200 " in answer

    eventually(has_room, "a place is free")


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_body_may_come_in_chunks(web: Web, size: int) -> None:
    text = json.dumps({"image": PICTURE, "metadata": {}, "model": "production"}).encode()
    text += b" " * size
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (text[:5], text[5:70], text[70:])) + b"0\r\n\r\n"
    connection, answer = talk(web, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    connection.close()

    assert answer.startswith(b"HTTP/1.1 202"), answer


def test_an_answer_to_head_has_no_body(web: Web) -> None:
    connection, answer = talk(web, b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"nothing")
    connection.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body == b""


def test_a_path_is_read_as_utf_8(web: Web) -> None:
    answer = web.http.get("/v1/predictions/pred_%C3%A4%FF")
    assert answer.status_code == 404 and answer.json()["instance"].startswith("/v1/predictions/pred_ä")


def test_a_header_that_comes_twice_is_one_list(web: Web) -> None:
    body = json.dumps({"image": PICTURE}).encode()
    preferences = b"Prefer: handling=strict\r\nPrefer: wait=0\r\nPrefer: wait=1\r\n"
    head = POST + preferences + b"Content-Length: %d\r\n\r\n" % len(body)
    connection, answer = talk(web, head + body)
    connection.close()

    assert answer.startswith(b"HTTP/1.1 202") and b"preference-applied" not in answer


def test_what_takes_a_thread_is_not_kept_from_it_by_what_is_refused(web: Web) -> None:
    """A body that is refused before it is read leaves nothing that waits for the rest of it."""
    head = POST + b"Content-Length: 99999999\r\n\r\n"
    for _ in range(2 * THREADS):
        connection, answer = talk(web, head)
        assert answer.startswith(b"HTTP/1.1 413")
        connection.close()

    assert web.http.get("/health/live").status_code == 200
