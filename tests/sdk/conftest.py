"""Services for the clients: the product itself, and stubs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hemline import Client
from hemline_api.api.datasets import create_dataset
from hemline_api.models import Dataset, DatasetUpload
from hemline_api.types import File
from processes import ROOT
from product import Hemline
from stub import Answer, Start, Stub

SAMPLE_DATA = ROOT / "tests" / "data" / "fashion-mnist-sample"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hemline]:
    """The product, with a training worker."""
    folder = tmp_path_factory.mktemp("hemline")
    product = Hemline(folder / "home", folder / "log", HEMLINE_TRAINING_WORKERS="1")
    yield product.until_ready()
    product.interrupt()


@pytest.fixture(scope="session")
def url(service: Hemline) -> str:
    return service.http.url


@pytest.fixture(scope="session")
def dataset(url: str) -> str:
    """The id of a small data set, uploaded as any operation of the API is called."""
    with Client(url) as client, ExitStack() as files:
        parts = {
            name: File(files.enter_context((SAMPLE_DATA / f"train-{name}-idx{n}-ubyte.gz").open("rb")), f"{name}.gz")
            for name, n in (("images", 3), ("labels", 1))
        }
        made = create_dataset.sync(client=client.api, body=DatasetUpload(**parts))
    assert isinstance(made, Dataset) and made.items == sum(made.classes.additional_properties.values())
    return made.id


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
