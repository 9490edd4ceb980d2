"""Containers of the built images, as docker-compose.yml runs them: read-only, without rights, as their own user.

The engine that built them runs them. Where that was buildah, for want of an engine, the root file system is entered by
chroot, in namespaces of its own for mounts and processes: the command is process 1 there, as in any container. Then
tests have to be root.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from processes import ROOT, Process, eventually

STATE = ROOT / "build" / "images"
HOME = "/var/lib/hemline"
# What is written to is mounted, the rest cannot be. `env -i`: nothing of this machine's environment gets in.
_ENTER = r"""
set -eu
root=$1 home=$2 user=$3 folder=$4; shift 4
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$home" "$root/var/lib/hemline"
mount -o remount,bind,ro "$root"
exec chroot "$root" /usr/bin/setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all /usr/bin/env -i -C "$folder" "$@"
"""


class Image:
    """A built image."""

    def __init__(self, target: str) -> None:
        self.name = f"hemline-{target}"
        self.engine = (STATE / "engine").read_text().strip()

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the Dockerfile says of how to run it."""
        if self.engine == "buildah":
            found = json.loads(self._ask("inspect", "--type", "image", self.name))["Docker"]["config"]
        else:
            (described,) = json.loads(self._ask("image", "inspect", self.name))
            found = described["Config"] | {"Healthcheck": described.get("HealthCheck")} | described["Config"]
        return dict(found)

    @cached_property
    def root(self) -> Path:
        """The root file system, mounted; only where there is no engine."""
        self._container = self._ask("from", "--pull-never", self.name)
        return Path(self._ask("mount", self._container))

    def release(self) -> None:
        if "root" in self.__dict__:
            self._ask("rm", self._container)

    def run(self, home: Path, log: Path, environ: Mapping[str, str], command: list[str] | None = None) -> Container:
        """Start a container on the network of this machine. `home` is its volume."""
        if self.engine == "buildah":
            words = self._enter(home, environ, command or self.config["Cmd"])
        else:
            given = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
            words = [
                self.engine, "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
                "--security-opt", "no-new-privileges", "--volume", f"{home}:{HOME}", *given, self.name,
                *(command or []),
            ]  # fmt: skip
        return Container(words, log, in_namespace=self.engine == "buildah")

    def _enter(self, home: Path, environ: Mapping[str, str], command: list[str]) -> list[str]:
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", _ENTER, "enter", str(self.root),
            str(home), self.config["User"], self.config["WorkingDir"], *variables, *command,
        ]  # fmt: skip

    def _ask(self, *words: str) -> str:
        environ = {**os.environ, "CONTAINERS_STORAGE_CONF": str(STATE / "storage.conf")}
        asked = subprocess.run([self.engine, *words], env=environ, capture_output=True, text=True, check=True)
        return asked.stdout.strip()


class Container(Process):
    """A running container. A signal to it is a signal to its process 1, as `docker stop` sends it."""

    def __init__(self, command: list[str], log: Path, in_namespace: bool) -> None:
        self._in_namespace = in_namespace
        super().__init__(command, log)

    def process(self) -> psutil.Process:
        """Process 1, or the engine's client, which passes signals on."""
        client = psutil.Process(self.popen.pid)
        if not self._in_namespace:
            return client
        (first,) = eventually(client.children, "the container has a process")
        return first

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process().send_signal(number)
        try:
            return self.popen.wait(60)
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"did not end:\n{self.output()[-3000:]}") from None
