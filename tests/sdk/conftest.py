"""Services for the clients: the product itself, and stubs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import ROOT
from product import Hemline
from stub import Answer, Start, Stub

SAMPLE_DATA = ROOT / "tests" / "data" / "fashion-mnist-sample"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hemline]:
    """The product, with a training worker."""
    folder = tmp_path_factory.mktemp("hemline")
    product = Hemline(
        folder / "home", folder / "log", HEMLINE_TRAINING_WORKERS="1", HEMLINE_DATA_DIR=str(SAMPLE_DATA)
    )
    yield product.until_ready()
    product.interrupt()


@pytest.fixture(scope="session")
def url(service: Hemline) -> str:
    return service.http.url


@pytest.fixture
def stub() -> Iterator[Start]:
    """Start a stub with these answers."""
    started: list[Stub] = []

    def start(*answers: Answer) -> Stub:
        started.append(Stub(*answers))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def picture() -> Path:
    return ROOT / "api" / "console" / "samples" / "sneaker.png"
