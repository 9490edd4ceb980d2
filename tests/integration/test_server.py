"""The web processes: one that dies is replaced, ending lets requests end, and no client holds them for nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import uvicorn

from api import http
from api.listeners import READY
from processes import ROOT, Process, RedisServer, Web, eventually, free_port
from settings import Settings
from workers.groups import ALIASES, VERSIONS


@pytest.fixture
def environ(redis_server: RedisServer, tmp_path: Path) -> dict[str, str]:
    return {"HEMLINE_REDIS_URL": redis_server.url, "HEMLINE_HOME": str(tmp_path), "HEMLINE_WEB_PROCESSES": "2"}


@pytest.fixture
def web(environ: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path / "web.log", environ)
    yield web
    web.stop()


def children(web: Web) -> list[psutil.Process]:
    return psutil.Process(web.popen.pid).children()


def test_a_process_that_dies_is_replaced(web: Web) -> None:
    first = eventually(lambda: len(children(web)) == 2 and children(web), "both run")
    first[0].kill()

    def renewed() -> bool:
        now = {child.pid for child in children(web) if child.status() != psutil.STATUS_ZOMBIE}
        return len(now) == 2 and first[0].pid not in now and first[1].pid in now

    eventually(renewed, "there are two again")
    eventually(lambda: all(web.http.answers("/health/live") for _ in range(20)), "all answer")


def test_processes_do_not_outlive_a_killed_parent(web: Web) -> None:
    left = eventually(lambda: len(children(web)) == 2 and children(web), "both run")
    web.popen.kill()
    web.popen.wait(60)

    eventually(lambda: not any(child.is_running() for child in left), "they are gone")


def test_processes_that_share_what_was_loaded_have_names_of_their_own(
    environ: dict[str, str], tmp_path: Path, redis_server: RedisServer
) -> None:
    def channels() -> set[bytes]:
        return set(redis_server.client.pubsub_channels("hemline:answers:*"))

    before = channels()  # of other tests, in this process
    web = Web(tmp_path / "web.log", environ)

    def names() -> set[str]:
        """Of processes, from ids of requests on connections of their own: the kernel says who gets which."""
        return {web.http.get("/health/live", headers={"Connection": "close"}).headers["X-Request-Id"].split("-")[0]
                for _ in range(20)}  # fmt: skip

    try:
        eventually(lambda: len(names()) == 2, "both answer, each under its own name")
        eventually(lambda: len(channels() - before) == 2, "both listen")
        # Of each its own: what one counts would else be taken for what the other has told already.
        eventually(lambda: len(redis_server.client.keys("hemline:metrics:*")) >= 2, "both count")
    finally:
        web.stop()


def test_a_request_that_is_held_is_answered_before_the_end(web: Web, redis_server: RedisServer) -> None:
    redis_server.client.sadd(VERSIONS, "v1")
    redis_server.client.hset(ALIASES, "production", "v1")
    statuses: list[int] = []
    held = threading.Thread(target=lambda: statuses.append(web.http.predict(wait=3).status_code))
    held.start()
    eventually(lambda: redis_server.client.get("hemline:queued"), "it is accepted")
    web.popen.send_signal(signal.SIGTERM)
    held.join()

    assert statuses == [202]
    assert web.popen.wait(60) == 0


def test_a_port_that_another_program_has_is_named(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {**os.environ, **environ, "PORT": str(port), "PYTHONPATH": str(ROOT)}
        ended = subprocess.run([sys.executable, "-m", "api.server"], env=environ, capture_output=True, text=True)

    assert ended.returncode == os.EX_USAGE
    assert ended.stderr == f"127.0.0.1:{port} cannot be used (Address already in use). Set PORT.\n"


def test_a_service_does_not_share_the_port_of_another(web: Web, environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**os.environ, **environ, "PORT": web.http.url.rpartition(":")[2], "PYTHONPATH": str(ROOT),
               "HEMLINE_HOME": str(tmp_path / "another")}  # fmt: skip
    ended = subprocess.run([sys.executable, "-m", "api.server"], env=environ, capture_output=True, text=True)

    assert ended.returncode == os.EX_USAGE and "cannot be used" in ended.stderr


def test_a_successor_takes_over_what_waits(web: Web, environ: dict[str, str], tmp_path: Path) -> None:
    port = web.http.url.rpartition(":")[2]
    for child in (old := eventually(lambda: len(children(web)) == 2 and children(web), "both run")):
        child.suspend()  # nobody accepts
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as waiting:
        waiting.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        environ = {**os.environ, **environ, "HEMLINE_HOST": "127.0.0.1", "PORT": port}
        successor = Process([sys.executable, "-m", "api.server"], tmp_path / "successor.log", environ)
        try:
            assert waiting.recv(1000).startswith(b"HTTP/1.1 200 ")
            for child in old:
                child.kill()  # suspended, they do not end by themselves
            web.popen.terminate()
            web.popen.wait(60)
            assert all(web.http.answers("/health/live") for _ in range(20))
        finally:
            successor.stop()


def test_who_has_parted_leaves_new_connections_to_the_successor(
    web: Web, environ: dict[str, str], tmp_path: Path
) -> None:
    port = web.http.url.rpartition(":")[2]
    eventually(lambda: web.http.answers("/health/live"), "it answers")
    old = eventually(lambda: [each for each in children(web) if each.name() == READY][1:] and children(web), "both do")
    for child in old:
        child.send_signal(signal.SIGUSR1)
    time.sleep(0.5)  # nothing shows that they have heard it
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as late:
        environ = {**os.environ, **environ, "HEMLINE_HOST": "127.0.0.1", "PORT": port}
        successor = Process([sys.executable, "-m", "api.server"], tmp_path / "successor.log", environ)
        try:
            eventually(lambda: len(psutil.Process(successor.popen.pid).children()) == 2, "the successor runs")
            web.popen.terminate()
            web.popen.wait(60)
            late.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert late.recv(1000).startswith(b"HTTP/1.1 200 ")
        finally:
            successor.stop()


async def answer(scope: object, receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]


def talk(*pieces: bytes, pause: float = 0.0) -> bytes:
    """What a server says to a client that sends these pieces and waits."""

    async def run() -> bytes:
        config = uvicorn.Config(answer, http=http.BoundedProtocol, lifespan="off", log_config=None, ws="none",
                                host="127.0.0.1", port=free_port())  # fmt: skip
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(config.host, config.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()
            server.should_exit = True
            await serving

    return asyncio.run(run())


def test_endless_headers_are_refused() -> None:
    said = talk(b"GET / HTTP/1.1\r\nHost: x\r\n", *[b"X-A: " + b"a" * 8000 + b"\r\n"] * 9)
    assert said.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("pieces", [[], [b"GET / HTT"], [b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: a\r\n"]])
def test_who_does_not_say_what_it_wants_is_left(pieces: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOWEST_HEAD", 0.2)
    assert talk(*pieces) == b""


def test_a_long_body_is_no_long_head(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n"
    assert talk(head + b"x" * 100_000).startswith(b"HTTP/1.1 204 ")
    assert talk(head, b"x" * 100_000).startswith(b"HTTP/1.1 204 ")


def test_a_connection_is_kept_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SLOWEST_HEAD", 0.3)
    ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    said = talk(ask, ask, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", pause=0.2)
    assert said.count(b"HTTP/1.1 204 ") == 3


def test_as_many_processes_as_the_settings_say() -> None:
    assert Settings(web_processes=3).processes() == 3
    assert 1 <= Settings().processes() <= 4
