"""Every artifact store that there is, so that what uses one is tested with each."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ml.artifacts import Artifacts, FileArtifacts
from ml.artifacts_s3 import S3Artifacts, connect

S3_BUCKET = "hemline-test"


@pytest.fixture(params=["file", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    """An empty store."""
    if request.param == "file":
        return FileArtifacts(tmp_path / "artifacts")
    return S3Artifacts(request.getfixturevalue("s3_client"), S3_BUCKET, f"tests/{uuid4().hex}")


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty prefix of a bucket, in an environment in which boto3 finds it."""
    _name_s3(s3_endpoint, monkeypatch)
    return f"s3://{S3_BUCKET}/tests/{uuid4().hex}"


@pytest.fixture(scope="session")
def s3_client(s3_endpoint: str) -> Any:
    """One client for all tests: a new one takes longer than most of them."""
    with pytest.MonkeyPatch.context() as environment:
        _name_s3(s3_endpoint, environment)
        return connect()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Where moto serves S3, with one bucket, hemline-test."""
    import requests
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    # moto looks and stores in two steps where S3 takes one, so it must do one thing at a time.
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with requests.Session() as direct:
        direct.trust_env = False  # no proxies
        direct.put(f"{endpoint}/{S3_BUCKET}").raise_for_status()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")  # so that every longer list comes in pages
        yield endpoint
    server.shutdown()
    thread.join()
    server.server_close()


def _name_s3(endpoint: str, environment: pytest.MonkeyPatch) -> None:
    """Let boto3 find this endpoint, and nothing that is the user's."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
    }.items():  # fmt: skip
        environment.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "no_proxy"):
        environment.delenv(name, raising=False)
