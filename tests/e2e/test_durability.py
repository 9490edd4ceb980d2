"""Whoever got 202 gets an answer, whatever dies meanwhile."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from processes import SAMPLES, Client, b64, eventually, sample, tree
from product import Hemline, Start

THREADS = 8
BODIES = [({"image": b64(sample(name))}, label) for name, label in SAMPLES.items()]


class Stream:
    """Clients that send predictions one after the other, and try again what was not accepted."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self.accepted: dict[str, str] = {}  # the label that each Location must come to
        self.refused = 0
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        client = Client(self._url)
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            body, label = BODIES[number % len(BODIES)]
            while (location := self._try(client, body)) is None:
                time.sleep(0.2)
            self.accepted[location] = label

    def _try(self, client: Client, body: dict[str, str]) -> str | None:
        try:
            answer = client.post("/v1/predictions", body)
        except requests.ConnectionError:
            return None
        if answer.status_code == 202:
            return answer.headers["Location"]
        assert answer.status_code == 503 and answer.headers["Retry-After"], answer.text
        self.refused += 1
        return None

    def after(self, count: int) -> None:
        """Come back when this many are accepted."""
        eventually(lambda: len(self.accepted) >= count, f"{count} are accepted", 120)

    def check(self) -> None:
        """Every accepted prediction succeeds, with the right answer."""
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(self._final, self.accepted))
        wrong = [answer for answer in answers if answer.get("status") != "succeeded"]
        assert not wrong, f"{len(wrong)} of {len(answers)}: {wrong[:3]}"
        assert [a["result"]["label"] for a in answers] == list(self.accepted.values())

    def _final(self, location: str) -> dict[str, str]:
        client = Client(self._url)
        deadline = time.monotonic() + 120
        while True:
            answer = client.get(location, headers={"Prefer": "wait=10"}).json()
            if answer["status"] not in ("queued", "running") or time.monotonic() > deadline:
                return answer  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def victim(start: Start) -> Iterator[Hemline]:
    """An instance whose parts may be killed."""
    instance = start().until_ready()
    yield instance
    instance.interrupt()


def test_every_accepted_prediction_is_answered_while_the_worker_is_killed(victim: Hemline) -> None:
    stream = Stream(victim.http.url, 2000)
    for count in (300, 1000):
        stream.after(count)
        victim.kill_part("worker")
    stream.check()

    assert len(stream.accepted) == 2000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_every_accepted_prediction_is_answered_while_redis_restarts(victim: Hemline, number: signal.Signals) -> None:
    stream = Stream(victim.http.url, 2000)
    stream.after(500)
    victim.kill_part("redis", number)
    stream.check()

    assert len(stream.accepted) == 2000
    eventually(lambda: victim.http.answers("/health/ready"), "it is ready again")


def test_every_accepted_prediction_is_answered_while_the_web_process_is_killed(victim: Hemline) -> None:
    stream = Stream(victim.http.url, 1000)
    stream.after(300)
    killed = victim.part("web")
    victim.kill_part("web")
    stream.check()

    assert len(stream.accepted) == 1000
    # What the web process started must not go on without it: it would hold the port for ever.
    assert len(killed) > 1
    _, left = psutil.wait_procs(killed, timeout=10)
    for process in left:
        process.kill()
    assert not left


def test_a_batch_survives_its_worker(victim: Hemline) -> None:
    bodies = [body["image"] for body, _ in BODIES]
    path = victim.http.post("/v1/batches", {"images": bodies * 100}).headers["Location"]
    victim.kill_part("worker")
    batch = eventually(
        lambda: (b := victim.http.get(path, headers={"Prefer": "wait=10"}).json())["status"] != "running"
        and b["status"] != "queued" and b, "the batch ends", 120,
    )  # fmt: skip

    assert batch["status"] == "succeeded"
    assert batch["counts"]["succeeded"] == 1000


def test_the_parts_do_not_outlive_a_killed_supervisor(start: Start) -> None:
    instance = start().until_ready()
    started = tree(instance.popen.pid)
    (supervisor,) = [p for p in started if p.cmdline()[-1:] == ["serve.py"]]
    supervisor.kill()
    instance.popen.wait(30)
    _, left = psutil.wait_procs(started, timeout=60)
    for process in left:
        process.kill()

    assert not left
