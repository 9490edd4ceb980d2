"""A backup that is made under load brings everything back after the service and its data are gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processes import ROOT, Client, Process, b64, eventually, sample
from product import Hemline, Start
from traffic import Stream

SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"
JOB = {"network": "tutorial_cnn", "batch_size": 8, "learning_rate": 0.01, "ema": 0.9}
# What an operator sees of the state, and must find again.
LISTS = ("models", "aliases", "aliases/production/history", "datasets", "batches")


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m workers …` on a service's folder, as an operator runs it."""
    inherited = Process.inherited()
    return subprocess.run(
        [sys.executable, "-m", "workers", *words], cwd=ROOT, env={**inherited, "HEMLINE_HOME": str(home)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def train(http: Client, **spec: Any) -> str:
    answer = http.post("/v1/training-jobs", {**JOB, **spec})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"])


def ended(http: Client, path: str) -> dict[str, Any]:
    return eventually(lambda: (d := http.get(path).json())["status"] in ("succeeded", "failed") and d, "it ends", 240)


def state(http: Client) -> dict[str, Any]:
    return {name: http.get(f"/v1/{name}").json()["items"] for name in LISTS}


def lived(http: Client) -> tuple[dict[str, Any], str]:
    """A life: a data set, a batch, a version trained on the data set and promoted by hand, and a job that still runs.

    Returns the finished job, and where the other one is.
    """
    with (SAMPLE / "train-images-idx3-ubyte.gz").open("rb") as images, \
         (SAMPLE / "train-labels-idx1-ubyte.gz").open("rb") as labels:  # fmt: skip
        dataset = http.request("POST", "/v1/datasets", files={"images": images, "labels": labels}).json()["id"]
    assert http.post("/v1/batches", {"images": [b64(sample("bag")), "no picture"]}, wait=20).status_code == 201
    finished = ended(http, train(http, dataset=dataset, epochs=1))
    version = finished["result"]["model_version"]
    assert http.request("PUT", "/v1/aliases/production", json={"version": version}).status_code == 200
    running = train(http, dataset=dataset, epochs=40)
    eventually(lambda: http.get(running).json().get("history"), "the second job trains")
    return finished, running


@pytest.mark.timeout(900)
def test_all_is_there_after_a_backup_under_load_a_loss_and_a_restore(start: Start, tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "hemline.tar"
    first = start(home, HEMLINE_TRAINING_WORKERS="1", HEMLINE_CHECKPOINT_SECONDS="2").until_ready()
    finished, running = lived(first.http)
    stream = Stream(first.http.url, threads=4, model="small")  # production knows little now
    stream.after(200)
    before, answered = state(first.http), list(stream.accepted)[:100]
    documents = {path: eventually(lambda: final(first.http, path), "it is answered") for path in answered}
    done = command(home, "backup", str(file))
    assert done.returncode == 0, done.stderr
    stream.after(100)
    stream.end()
    stream.check()
    first.interrupt()
    shutil.rmtree(home)

    done = command(home, "restore", str(file))
    assert done.returncode == 0, done.stderr
    second = start(home, HEMLINE_TRAINING_WORKERS="1").until_ready()

    assert state(second.http) == before
    assert {path: second.http.get(path).json() for path in documents} == documents
    assert second.http.get(f"/v1/training-jobs/{finished['id']}").json() == finished
    assert ended(second.http, running)["status"] == "succeeded"
    answer = second.http.predict("coat", wait=20).json()
    assert answer["status"] == "succeeded" and answer["model_version"] == finished["result"]["model_version"]
    second.interrupt()


def final(http: Client, path: str) -> dict[str, Any] | None:
    found: dict[str, Any] = http.get(path).json()
    return found if found["status"] == "succeeded" else None


def test_nothing_is_overwritten(hemline: Hemline, tmp_path: Path) -> None:
    file = tmp_path / "hemline.tar"
    assert command(hemline.home, "backup", str(file)).returncode == 0
    size = file.stat().st_size
    again = command(hemline.home, "backup", str(file))
    over = command(hemline.home, "restore", str(file))

    assert again.returncode == 1 and "exists already" in again.stderr
    assert over.returncode == 1 and "restore into an empty one" in over.stderr
    assert file.stat().st_size == size
    assert [path.name for path in tmp_path.iterdir()] == ["hemline.tar"]
    assert hemline.http.answers("/health/ready")
