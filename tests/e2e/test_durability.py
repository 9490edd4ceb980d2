"""Whoever got 202 gets an answer, whatever dies meanwhile."""

import signal
from collections.abc import Iterator

import psutil
import pytest

from processes import eventually, tree
from product import Hemline, Start
from traffic import BODIES, Stream


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
