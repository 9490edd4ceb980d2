"""Terraform in a folder of its own, and the images that there are for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from processes import ROOT

REGION = "eu-central-1"
# Canonical's images as far as Terraform asks for them; moto's own are of other years.
IMAGES = [
    {
        "ami_id": f"ami-{number:017x}", "name": f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-{day}",
        "owner_id": owner, "public": True, "virtualization_type": "hvm", "architecture": "x86_64", "state": "available",
        "description": "Canonical, Ubuntu, 24.04", "image_type": "machine", "hypervisor": "xen", "platform": None,
        "root_device_name": "/dev/sda1", "root_device_type": "ebs", "sriov": "simple",
        "creation_date": f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00.000Z",
    }
    for number, day, owner in (
        (1, "20260110", "099720109477"), (2, "20260218", "099720109477"), (3, "20260301", "123456789012")
    )
]  # fmt: skip
NEWEST_OF_CANONICAL = IMAGES[1]["ami_id"]


class Terraform:
    """A copy of `iac/` with a key and state of its own."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars", "fashion_mnist_key*", "kubernetes")
        shutil.copytree(ROOT / "iac", folder, ignore=ignored)
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", "fashion_mnist_key"], cwd=folder, check=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
        self.environ = {
            **inherited, "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "127.0.0.1",
            "AWS_EC2_METADATA_DISABLED": "true", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1",
        }  # fmt: skip

    def run(self, *words: str, fails_with: int = 0, **variables: Any) -> str:
        """What a command prints, which must end with this status."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        given = [f"-var={name}={text}" for name, text in texts.items()]
        done = subprocess.run(
            ["terraform", *words, *given], cwd=self.folder, env=self.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == fails_with, done.stdout
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    def init(self) -> None:
        self.run("init", "-lockfile=readonly", f"-plugin-dir={Path(os.environ['TF_PLUGIN_DIR']).absolute()}")

    def apply(self, **variables: Any) -> dict[str, str]:
        """Make or change everything; returns the outputs."""
        self.run("apply", "-auto-approve", **variables)
        return {name: said["value"] for name, said in json.loads(self.run("output", "-json")).items() if said["value"]}
