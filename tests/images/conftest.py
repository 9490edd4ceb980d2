"""The images, and a service made of them. `make image-build` has to come first; `make image-test` does both."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containers import STATE, Container, Image
from processes import Client, RedisServer, eventually, free_port

PASSWORD = "p4ss-word"


@dataclass(frozen=True)
class Stack:
    """What docker-compose.yml starts."""

    http: Client
    environ: dict[str, str]
    home: Path
    parts: dict[str, Container]


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, Image]]:
    assert (STATE / "engine").exists(), "there are no images: make image-build"
    built = {target: Image(target) for target in ("web", "worker", "trainer")}
    yield built
    for image in built.values():
        image.release()


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings that containers need, with a Redis that asks for a password."""
    port = free_port()
    redis = RedisServer(tmp_path_factory.mktemp("redis"), port=port, password=PASSWORD)
    yield {"HEMLINE_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{port}/0", "HEMLINE_JOB_LEASE": "3"}
    redis.stop()


@pytest.fixture(scope="session")
def stack(
    images: dict[str, Image], environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    home = folder / "home"
    home.mkdir()
    home.chmod(0o777)  # the images' user is nobody here
    port = free_port()
    web = {**environ, "PORT": str(port), "HEMLINE_HOST": "127.0.0.1"}
    parts = {
        target: image.run(home, folder / f"{target}.log", web if target == "web" else environ)
        for target, image in images.items()
    }
    http = Client(f"http://127.0.0.1:{port}")
    parts["web"].await_(lambda: http.answers("/health/ready"), "the service is ready")
    yield Stack(http, environ, home, parts)
    for part in parts.values():
        if part.popen.poll() is None:
            part.end()


@pytest.fixture
def http(stack: Stack) -> Client:
    eventually(lambda: stack.http.answers("/health/ready"), "the service is ready")
    return stack.http
