"""The product on four machines, each part started as the guide's page "Scale out" says."""

from __future__ import annotations

import os
import secrets
import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from documents import blocks
from network import Machine, Network
from processes import BIN, Client, Process, redis_binary

BUCKET, PREFIX = "hemline-hosts", "models-of-ours"
# Whatever runs the parts has to start them again: a worker that hears nothing though messages wait ends itself.
_AGAIN = ["bash", "-c", 'while ! "$@"; do sleep 1; done', "again"]


@dataclass(frozen=True)
class Site:
    """Four machines, and a client that reaches the one that serves HTTP."""

    web: Machine
    worker: Machine
    redis: Machine
    store: Machine
    folder: Path
    http: Client
    s3: Any

    def stored(self) -> list[str]:
        """The keys of all artifacts."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def set_up(stack: ExitStack, network: Network, folder: Path) -> Site:
    """Start everything; all of it ends with `stack`."""
    redis, store, worker, web = (network.machine(name) for name in ("redis", "store", "worker", "web"))
    password = secrets.token_urlsafe()
    address = {
        "AWS_ENDPOINT_URL_S3": f"http://{store.address}:5000", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true", "no_proxy": "*",
        "NO_PROXY": "*", "HEMLINE_REDIS_URL": f"redis://:{password}@{redis.address}:6379/0",
        "HEMLINE_ARTIFACTS_URL": f"s3://{BUCKET}/{PREFIX}", "HEMLINE_CHECKPOINT_SECONDS": "2",
        "HEMLINE_AUTH": "off",  # nobody else is on this network
    }  # fmt: skip
    # With `env` in front, as a command of the page may begin with settings.
    predict, train, serve = (["env", *shlex.split(block.code.replace("\\\n", ""))]
                             for block in blocks("docs/guide/scale-out.md") if ".venv/bin/" in block.code)  # fmt: skip

    def start(name: str, machine: Machine, command: list[str]) -> Process:
        home = folder / name
        home.mkdir()
        process = machine.start(command, folder / f"{name}.log", {**address, "HEMLINE_HOME": str(home)})
        stack.callback(process.stop)
        return process

    start("redis", redis, _redis(redis.address, password, folder))
    start("store", store, [str(BIN / "moto_server"), "--host", store.address, "--port", "5000"]).await_(
        lambda: Client(address["AWS_ENDPOINT_URL_S3"]).answers("/moto-api/data.json"), "the store answers"
    )
    s3 = boto3.client("s3", endpoint_url=address["AWS_ENDPOINT_URL_S3"], region_name="eu-central-1",
                      aws_access_key_id="key", aws_secret_access_key="secret")  # fmt: skip
    stack.callback(s3.close)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    start("worker", worker, [*_AGAIN, *predict])
    start("trainer", worker, [*_AGAIN, *train])
    http = Client(f"http://{web.address}:8000")
    start("web", web, serve).await_(lambda: http.answers("/health/ready"), "the service is ready")
    return Site(web, worker, redis, store, folder, http, s3)


def _redis(address: str, password: str, folder: Path) -> list[str]:
    options = {
        "--bind": address, "--requirepass": password, "--dir": str(folder), "--save": "", "--appendonly": "yes",
        "--maxmemory": "256mb", "--maxmemory-policy": "noeviction", "--loglevel": "warning",
    }  # fmt: skip
    return [redis_binary(), *(word for pair in options.items() for word in pair)]
