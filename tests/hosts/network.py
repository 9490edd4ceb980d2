"""Machines on one switch: network namespaces of Linux, each with an address of its own, whose cables can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from processes import Process

# Of 198.18.0.0/15, which RFC 2544 keeps for tests of networks; the process's id keeps runs on one machine apart.
_NET = f"198.18.{os.getpid() % 256}"
_NAME = f"hl{os.getpid() % 100_000}"  # a name of an interface has at most 15 characters
_TABLE = "hemline"


def obstacle() -> str:
    """Why there can be no network here; "" where there can."""
    if os.getuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} is missing: apt install iproute2 nftables"
    try:
        with Network() as network:
            network.machine("probe").run("nft", "list", "tables")
    except subprocess.CalledProcessError as refused:
        return f"`{' '.join(refused.cmd)}` is not allowed here: {refused.stderr.strip()}"
    return ""


class Machine:
    """One machine of a network."""

    def __init__(self, namespace: str, cable: str, address: str) -> None:
        self._namespace = namespace
        self._cable = cable  # its end at the switch
        self.address = address

    def command(self, *words: str) -> list[str]:
        """A command, to be run on this machine."""
        return ["ip", "netns", "exec", self._namespace, *words]

    def run(self, *words: str) -> None:
        """Run a command on this machine until it ends. Raises subprocess.CalledProcessError."""
        _run(*self.command(*words))

    def start(self, command: list[str], log: Path, environ: Mapping[str, str]) -> Process:
        """Start a process on this machine."""
        return Process(self.command(*command), log, environ)

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Without a link: soon nobody finds the way to it, and the kernels say so."""
        _run("ip", "link", "set", self._cable, "down")
        try:
            yield
        finally:
            _run("ip", "link", "set", self._cable, "up")

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Behind something that drops every packet and says nothing, so that only timeouts notice."""
        chain = "{ type filter hook %s priority 0; policy drop; }"
        self.run("nft", "add", "table", "inet", _TABLE)
        for hook in ("input", "output"):
            self.run("nft", "add", "chain", "inet", _TABLE, hook, chain % hook)
        try:
            yield
        finally:
            self.run("nft", "delete", "table", "inet", _TABLE)


class Network:
    """A switch. Machines are plugged in one by one; all are gone when the block ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._count = 1  # the switch itself, by which tests reach the machines

    def __enter__(self) -> Network:
        with ExitStack() as stack:
            self._make(stack, ("ip", "link", "add", _NAME, "type", "bridge"), ("ip", "link", "delete", _NAME))
            _run("ip", "address", "add", f"{_NET}.1/24", "dev", _NAME)
            _run("ip", "link", "set", _NAME, "up")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def machine(self, name: str) -> Machine:
        """A machine, plugged in. Raises subprocess.CalledProcessError."""
        self._count += 1
        namespace, cable, address = f"{_NAME}-{name}", f"{_NAME}-{self._count}", f"{_NET}.{self._count}"
        self._make(self._stack, ("ip", "netns", "add", namespace), ("ip", "netns", "delete", namespace))
        # Explicitly, as a namespace lives on for as long as a process is in it.
        veth = ("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._make(self._stack, veth, ("ip", "link", "delete", cable))
        _run("ip", "link", "set", cable, "master", _NAME, "up")
        for words in ("address add {}/24 dev eth0", "link set lo up", "link set eth0 up"):
            _run("ip", "-netns", namespace, *words.format(address).split())
        return Machine(namespace, cable, address)

    @staticmethod
    def _make(stack: ExitStack, make: tuple[str, ...], undo: tuple[str, ...]) -> None:
        _run(*make)
        stack.callback(_run, *undo)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
