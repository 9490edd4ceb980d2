"""iac/deploy.sh: what it refuses to send, and what it sends to AWS Systems Manager, which moto plays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from processes import ROOT, Process, free_port

SCRIPT = ROOT / "iac" / "deploy.sh"


def deploy(environ: Mapping[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT], env={**os.environ, **environ, **variables}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of someone with an account."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "--port", str(port)]
    server = Process(command, tmp_path_factory.mktemp("aws") / "log")
    server.await_(lambda: "Running on" in server.output(), "moto answers")
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip
    server.stop()


@pytest.mark.parametrize("variables", [
    {}, {"INSTANCE": "i-0123abcd"}, {"INSTANCE": "i-0123abcd", "VERSION": "main"},
    {"INSTANCE": "i-0123abcd", "VERSION": "v1.0.0; reboot"}, {"INSTANCE": "*", "VERSION": "v1.0.0"},
])  # fmt: skip
def test_what_does_not_look_like_a_version_and_an_instance_is_not_sent(variables: dict[str, str]) -> None:
    refused = deploy({"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, **variables)

    assert refused.returncode != 0
    assert "INSTANCE" in refused.stderr or "VERSION" in refused.stderr


@pytest.mark.skipif(not shutil.which("aws"), reason="there is no AWS command line: pip install awscli")
def test_the_instance_is_told_to_take_the_version_and_to_wait_until_it_is_well(
    aws: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    (made,) = boto3.client("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"]

    done = deploy(aws, INSTANCE=made["InstanceId"], VERSION="v1.2.3")

    assert done.returncode == 0, done.stderr
    (sent,) = boto3.client("ssm").list_commands()["Commands"]
    assert sent["InstanceIds"] == [made["InstanceId"]] and sent["DocumentName"] == "AWS-RunShellScript"
    assert sent["Parameters"]["commands"] == [
        "set -eu", "cd /opt/hemline", "git fetch --depth 1 origin tag v1.2.3", "git checkout --detach v1.2.3",
        "docker compose up --build --detach --wait --wait-timeout 900",
    ]  # fmt: skip
