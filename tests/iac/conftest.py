"""An AWS that answers on loopback: moto's server. And Terraform for it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from processes import Process, free_port
from terraform import IMAGES, REGION, Terraform


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where moto serves AWS."""
    folder = tmp_path_factory.mktemp("aws")
    (folder / "images.json").write_text(json.dumps(IMAGES))
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = Process(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder / "log",
        {"MOTO_AMIS_PATH": str(folder / "images.json")},
    )  # fmt: skip

    def answers() -> bool:
        with requests.Session() as direct:
            direct.trust_env = False  # no proxies
            try:
                return direct.get(f"{endpoint}/moto-api/", timeout=5).ok
            except requests.RequestException:
                return False

    server.await_(answers, "moto answers")
    yield endpoint
    server.stop()


@pytest.fixture(scope="session")
def aws(aws_endpoint: str) -> Callable[[str], Any]:
    """A client of a service of that AWS."""
    session = boto3.session.Session("key", "secret", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=aws_endpoint, config=Config(proxies={}))


@pytest.fixture(scope="module")
def new_terraform(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Terraform]:
    """Terraform with a state of its own, ready to apply; the provider comes from the folder TF_PLUGIN_DIR."""
    if not (shutil.which("terraform") and shutil.which("ssh-keygen") and os.environ.get("TF_PLUGIN_DIR")):
        pytest.skip("needs terraform, ssh-keygen and a folder of providers: make iac-test")

    def new() -> Terraform:
        terraform = Terraform(tmp_path_factory.mktemp("terraform") / "iac", aws_endpoint)
        terraform.init()
        return terraform

    return new
