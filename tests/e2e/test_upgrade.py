"""`make upgrade` puts new processes in the place of the old ones, and no client notices."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from processes import ROOT, Client, Process, b64, eventually, sample
from product import Hemline, Start, copy_repository

BODY = json.dumps({"image": b64(sample("sneaker"))})
SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"


class Steady:
    """Clients that send until they are told to end, and take any failure, also of a connection, for a failure.

    Some keep their connection busy, some leave it idle for a while between two requests, some make a new one for each,
    some wait for the answer, and some for a job that does not end. None tries anything twice.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        made = Client(f"http://127.0.0.1:{port}").post("/v1/training-jobs", {})  # nobody trains here
        self._job = made.headers["Location"]
        self._ended = threading.Event()
        self.failures: list[str] = []
        self.answered = 0
        ways: list[dict[str, Any]] = [
            {"pause": 0.01}, {"pause": 0.1}, {"pause": 0.7}, {"pause": 0.01, "anew": True}, {"wait": 10},
        ]  # fmt: skip
        self._threads = [threading.Thread(target=self._send, kwargs=way, daemon=True) for way in ways * 2]
        self._threads += [threading.Thread(target=self._watch, args=(i * 5,), daemon=True) for i in range(5)]
        for thread in self._threads:
            thread.start()

    def _send(self, pause: float = 0.0, anew: bool = False, wait: int = 0) -> None:
        headers = {"Content-Type": "application/json"} | ({"Prefer": f"wait={wait}"} if wait else {})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._ended.wait(pause):
            try:
                connection.request("POST", "/v1/predictions", BODY, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in ((201, 202) if wait else (202,)):
                    self.failures.append(f"{answer.status} {text!r}")
            except (http.client.HTTPException, OSError) as failed:
                self.failures.append(f"{failed!r} {pause=} {anew=} {wait=}")
                connection.close()
            self.answered += 1
            if anew:
                connection.close()
        connection.close()

    def _watch(self, after: float) -> None:
        """Hold one request after the other, each for as long as that is allowed, beginning after some seconds."""
        self._ended.wait(after)
        while not self._ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request("GET", self._job, headers={"Prefer": "wait=30"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {text!r} held")
            except (http.client.HTTPException, OSError) as failed:
                self.failures.append(f"{failed!r} held")
            connection.close()

    def more(self, count: int) -> None:
        """Come back when this many more are answered."""
        before = self.answered
        eventually(lambda: self.answered - before >= count, f"{count} more are answered", 120)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def upgrade(instance: Hemline, checkout: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "upgrade"], cwd=checkout, env={**Process.inherited(), "HEMLINE_HOME": str(instance.home)},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def pids(instance: Hemline) -> set[int]:
    return {process.pid for name in ("web", "worker") for process in instance.part(name)}


@pytest.mark.timeout(600)
def test_no_request_fails_while_all_processes_are_replaced(start: Start) -> None:
    instance = start(HEMLINE_WEB_PROCESSES="2", HEMLINE_MAX_WAIT="8").until_ready()
    stream = Steady(instance.port)
    stream.more(200)
    for _ in range(2):  # there and back
        old = pids(instance)
        done = upgrade(instance)
        assert done.returncode == 0, done.stderr
        assert "All processes are new." in done.stdout
        assert pids(instance) and not pids(instance) & old
        assert instance.http.answers("/health/ready")
        stream.more(200)
    stream.end()

    assert stream.failures == []
    instance.interrupt()


@pytest.mark.timeout(600)
def test_a_job_goes_on_in_the_new_training_worker(start: Start) -> None:
    instance = start(HEMLINE_TRAINING_WORKERS="1").until_ready()
    with (SAMPLE / "train-images-idx3-ubyte.gz").open("rb") as images, \
         (SAMPLE / "train-labels-idx1-ubyte.gz").open("rb") as labels:  # fmt: skip
        files = {"images": images, "labels": labels}
        dataset = instance.http.request("POST", "/v1/datasets", files=files).json()["id"]
    spec = {"network": "tutorial_cnn", "dataset": dataset, "epochs": 80, "batch_size": 8, "learning_rate": 0.01}
    path = instance.http.post("/v1/training-jobs", spec).headers["Location"]
    eventually(lambda: instance.http.get(path).json().get("history"), "the job trains")
    assert upgrade(instance).returncode == 0
    with instance.http.get(f"{path}/events", stream=True, timeout=240) as answer:
        events = [line[7:] for line in answer.iter_lines(decode_unicode=True) if line.startswith("event: ")]

    assert [event for event in events if event not in ("progress", "epoch", "checkpoint")] == [
        "queued", "running", "handed_back", "running", "succeeded",
    ]  # fmt: skip
    instance.interrupt()


@pytest.mark.timeout(600)
def test_a_release_that_does_not_start_changes_nothing_and_the_next_one_is_served(start: Start, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    copy_repository(checkout)
    instance = start(checkout=checkout, HEMLINE_MAX_WAIT="8").until_ready()
    old = pids(instance)
    stream = Steady(instance.port)
    code = checkout / "api" / "app.py"
    text = code.read_text("utf-8")
    code.write_text(f"{text}\nraise RuntimeError('a bad release')\n", "utf-8")
    done = upgrade(instance, checkout)
    stream.more(50)

    assert done.returncode != 0 and "Nothing has changed: web-b-0 " in done.stdout
    assert pids(instance) == old

    code.write_text(text.replace('API_TITLE="Hemline"', 'API_TITLE="Hemline, next"'), "utf-8")
    done = upgrade(instance, checkout)
    stream.more(50)
    stream.end()

    assert done.returncode == 0, done.stderr
    assert instance.http.get("/openapi.json").json()["info"]["title"] == "Hemline, next"
    assert stream.failures == []
    instance.interrupt()


def test_there_is_nothing_to_upgrade_where_nothing_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "upgrade"], cwd=ROOT, env={**Process.inherited(), "HEMLINE_HOME": str(tmp_path)}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode != 0 and "Nothing runs on" in done.stderr
