"""docker-compose.yml, started as a project of its own: `make docker-test`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from processes import ROOT, Client, free_port

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3600)]
Compose = Callable[..., str]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def compose(port: int) -> Iterator[Compose]:
    environ = {**os.environ, "HEMLINE_REDIS_PASSWORD": "p4ssword", "HEMLINE_ADMIN_KEY": "k" * 32, "HEMLINE_AUTH": "off",
               "HEMLINE_PUBLISH": f"127.0.0.1:{port}"}  # fmt: skip

    def run(*words: str) -> str:
        command = ["docker", "compose", "--project-name", "hemline-test", *words]
        return subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True).stdout

    run("up", "--build", "--detach", "--wait", "--wait-timeout", "600")
    yield run
    run("down", "--volumes")


@pytest.fixture
def http(compose: Compose, port: int) -> Client:
    return Client(f"http://127.0.0.1:{port}")


def test_a_picture_is_classified(http: Client) -> None:
    answer = http.predict(wait=20)

    assert answer.status_code == 201, answer.text
    assert answer.json()["result"]["label"] == "Sneaker"


def test_what_was_accepted_is_there_after_everything_was_started_anew(compose: Compose, http: Client) -> None:
    made = http.predict(wait=20).json()

    compose("restart")
    compose("up", "--detach", "--wait")

    assert http.get(f"/v1/predictions/{made['id']}").json()["result"] == made["result"]


def test_redis_refuses_who_has_no_password(compose: Compose) -> None:
    answer = compose("exec", "-T", "-e", "REDISCLI_AUTH=", "redis", "redis-cli", "ping")

    assert "NOAUTH" in answer
