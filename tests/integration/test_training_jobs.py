"""Training jobs with real workers that are killed, stopped, paused and told to end in the middle of their work."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml import datasets
from ml.artifacts import FileArtifacts
from ml.datasets import Dataset
from processes import BIN, ROOT, Client, Process, RedisServer, Web, assert_problem, eventually, worker
from workers import queue, upkeep
from workers.datasets import DatasetStore

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
DATASET = "ds_sample"
SPEC = {"network": "tutorial_cnn", "dataset": DATASET, "epochs": 6, "batch_size": 8, "learning_rate": 0.01, "ema": 0.9}


@dataclass
class Site:
    """A service whose training workers a test starts and ends itself."""

    folder: Path
    redis: RedisServer
    http: Client
    environ: dict[str, str]
    stack: ExitStack
    workers: list[Process] = field(default_factory=list)

    def start_worker(self, **settings: str) -> Process:
        command = [
            str(BIN / "celery"), "--quiet", "--app", "workers.training_worker", "worker", "--queues", "training",
            "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip
        started = Process(command, self.folder / f"training-{len(self.workers)}.log", self.environ | settings)
        self.workers.append(started)
        self.stack.callback(started.stop, signal.SIGKILL)
        return started

    def submit(self, **spec: Any) -> str:
        answer = self.http.post("/v1/training-jobs", SPEC | spec)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/training-jobs/{answer.json()['id']}"
        return str(answer.json()["id"])

    def job(self, job: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/training-jobs/{job}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def final(self, job: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = self.job(job)
            return found if found["status"] in ("succeeded", "failed", "canceled") else None

        return eventually(ended, "the job has ended", 240)

    def events(self, job: str) -> list[tuple[str, str]]:
        """Ids and types of all events so far."""
        with self.http.get(f"/v1/training-jobs/{job}/events", stream=True) as answer:
            lines = list(answer.iter_lines(decode_unicode=True))
        ids = [line[4:] for line in lines if line.startswith("id: ")]
        return list(zip(ids, (line[7:] for line in lines if line.startswith("event: ")), strict=True))

    def last_event(self, job: str) -> str:
        """The type of the last event so far, also of a job that goes on."""
        ((_, body),) = self.redis.client.xrevrange(f"hemline:{job}:events", count=1)
        return str(body[b"type"].decode())

    def made_by(self, job: str) -> list[str]:
        """The versions that a job made."""
        versions = [model["version"] for model in self.http.get("/v1/models").json()["items"]]
        return [v for v in versions if self.http.get(f"/v1/models/{v}").json().get("origin") == job]

    def epochs(self, job: str) -> int:
        return len(self.job(job)["history"])

    def started(self, job: str) -> bool:
        return self.job(job).get("progress", {}).get("step", 0) > 0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("training")
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    DatasetStore(FileArtifacts(folder / "artifacts")).put(DATASET, Dataset(images, labels), {"id": DATASET})
    with ExitStack() as stack:
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        environ = {
            "HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_JOB_LEASE": "3",
            "HEMLINE_CHECKPOINT_SECONDS": "1",
        }  # fmt: skip
        predictions = worker(folder / "worker.log", environ)
        stack.callback(predictions.stop)
        web = Web(folder / "web.log", environ)
        stack.callback(web.stop)
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
        yield Site(folder, redis, web.http, environ, stack)


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The service, without any training worker before and after."""
    yield shared
    for process in shared.workers:
        process.stop(signal.SIGKILL)
    shared.workers.clear()


@pytest.fixture(scope="module")
def unbroken(shared: Site) -> dict[str, Any]:
    """A job that nobody disturbed."""
    process = shared.start_worker()
    job = shared.final(shared.submit())
    process.stop(signal.SIGKILL)
    assert job["status"] == "succeeded", job
    return job


def assert_like(job: dict[str, Any], unbroken: dict[str, Any]) -> None:
    """The same figures, within float noise, and every epoch once."""
    assert [row["epoch"] for row in job["history"]] == [row["epoch"] for row in unbroken["history"]]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        figures = [[row[name] for row in each["history"]] for each in (job, unbroken)]
        np.testing.assert_allclose(*figures, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_job_makes_a_version_that_answers_after_one_put(site: Site, unbroken: dict[str, Any]) -> None:
    version = unbroken["result"]["model_version"]
    assert site.made_by(unbroken["id"]) == [version]
    assert len(unbroken["history"]) == SPEC["epochs"]
    card = site.http.get(f"/v1/models/{version}").json()
    assert ("photos" in card) == (ROOT / "ml" / "shipped" / "photos" / "card.json").exists()
    before = site.http.predict(wait=10).json()["model_version"]
    moved = site.http.request("PUT", "/v1/aliases/production", json={"version": version})
    assert (moved.status_code, moved.json()["version"]) == (200, version)
    assert site.http.predict(wait=20).json()["model_version"] == version
    assert_problem(site.http.delete(f"/v1/models/{version}"), 409)
    assert site.http.request("PUT", "/v1/aliases/production", json={"version": before}).status_code == 200
    assert site.http.predict(wait=20).json()["result"]["label"] == "Sneaker"
    moves = site.http.get("/v1/aliases/production/history").json()["items"]
    assert [move["to_version"] for move in moves[:2]] == [before, version]


def test_events_replay_from_the_last_one_seen(site: Site, unbroken: dict[str, Any]) -> None:
    events = site.events(unbroken["id"])
    types = [kind for _, kind in events]
    assert types[:2] == ["queued", "running"] and types[-1] == "succeeded"
    assert types.count("epoch") == SPEC["epochs"]
    path = f"/v1/training-jobs/{unbroken['id']}/events"
    rest = site.http.get(path, headers={"Last-Event-ID": events[-3][0]}).text
    assert [line[4:] for line in rest.splitlines() if line.startswith("id: ")] == [name for name, _ in events[-2:]]


def test_a_stream_that_has_told_everything_is_not_begun_again(site: Site, unbroken: dict[str, Any]) -> None:
    path = f"/v1/training-jobs/{unbroken['id']}/events"
    last = site.events(unbroken["id"])[-1][0]
    assert site.http.get(path, headers={"Last-Event-ID": last}).status_code == 204


def test_asking_for_the_head_of_a_stream_holds_nothing(site: Site, unbroken: dict[str, Any]) -> None:
    path = f"/v1/training-jobs/{unbroken['id']}/events"
    heads = [site.http.request("HEAD", path).status_code for _ in range(40)]  # more than there are threads
    assert set(heads) == {200}
    assert site.http.get(path).status_code == 200


def test_a_job_whose_worker_is_killed_three_times_ends_as_if_nothing_had_happened(
    site: Site, unbroken: dict[str, Any]
) -> None:
    job = site.submit()
    for kill in range(3):
        process = site.start_worker()
        eventually(lambda: site.epochs(job) > kill and site.started(job), "the job goes on", 90)
        process.kill()
    site.start_worker()
    ended = site.final(job)
    assert ended["status"] == "succeeded", ended
    assert_like(ended, unbroken)
    assert site.made_by(job) == [ended["result"]["model_version"]]
    types = [kind for _, kind in site.events(job)]
    assert types.count("epoch") == SPEC["epochs"]
    assert types.count("interrupted") == 3


def test_a_worker_that_is_told_to_end_hands_its_job_back(site: Site, unbroken: dict[str, Any]) -> None:
    job = site.submit()
    first = site.start_worker()
    eventually(lambda: site.epochs(job) >= 1, "the job has begun", 90)
    assert first.stop(signal.SIGTERM) == 0
    assert site.job(job)["status"] == "queued"
    assert site.last_event(job) == "handed_back"
    site.start_worker()
    ended = site.final(job)
    assert ended["status"] == "succeeded", ended
    assert_like(ended, unbroken)


def test_a_worker_of_a_cluster_ends_by_itself_when_its_work_is_done(site: Site) -> None:
    alive = site.folder / "alive"
    process = site.start_worker(HEMLINE_TRAINING_IDLE="6", HEMLINE_ALIVE_FILE=str(alive))
    job = site.submit(epochs=1)

    assert process.popen.wait(120) == 0, process.output()
    assert site.job(job)["status"] == "succeeded"
    assert alive.exists()
    assert upkeep.alive(site.redis.client, queue.TRAINING) == 0


def test_a_worker_that_was_paused_too_long_publishes_nothing(site: Site) -> None:
    job = site.submit()
    paused = site.start_worker()
    eventually(lambda: site.epochs(job) >= 1, "the job has begun", 90)
    paused.send(signal.SIGSTOP)
    site.start_worker()
    ended = site.final(job)
    paused.send(signal.SIGCONT)
    eventually(lambda: "another worker has taken over" in paused.output(), "the paused worker gives up", 60)
    assert ended["status"] == "succeeded", ended
    assert site.job(job) == ended
    assert site.made_by(job) == [ended["result"]["model_version"]]


def test_a_running_job_ends_when_it_is_canceled(site: Site) -> None:
    job = site.submit(epochs=400)
    site.start_worker()
    eventually(lambda: site.started(job), "the job has begun", 90)
    answer = site.http.post(f"/v1/training-jobs/{job}/cancel")
    assert answer.status_code == 202
    assert site.final(job)["status"] == "canceled"
    assert_problem(site.http.post(f"/v1/training-jobs/{job}/cancel"), 409)
    assert site.made_by(job) == []


def test_a_waiting_job_is_canceled_at_once(site: Site) -> None:
    job = site.submit()
    answer = site.http.post(f"/v1/training-jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    site.start_worker()
    other = site.submit(epochs=1)
    assert site.final(other)["status"] == "succeeded"
    assert site.job(job)["status"] == "canceled"


def test_a_job_goes_on_when_redis_is_restarted(site: Site, unbroken: dict[str, Any]) -> None:
    job = site.submit()
    site.start_worker()
    eventually(lambda: site.epochs(job) >= 1, "the job has begun", 90)
    site.redis.kill()
    site.redis.start()
    ended = site.final(job)
    assert ended["status"] == "succeeded", ended
    assert_like(ended, unbroken)
    assert site.made_by(job) == [ended["result"]["model_version"]]


def test_a_job_that_cannot_be_done_fails_with_its_reason(site: Site) -> None:
    job = site.submit(learning_rate=10.0, weight_decay=1.0, ema=0.0, warmup=0.0, epochs=50)
    site.start_worker()
    ended = site.final(job)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "diverged")
    assert "lower learning rate" in ended["error"]["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"network": "resnet_large"}, "#/network", "tutorial_cnn"),
        ({"dataset": "mnist"}, "#/dataset", "fashion-mnist"),
        ({"epochs": 0}, "#/epochs", "1"),
        ({"epochs": 1.5}, "#/epochs", "integer"),
        ({"optimizer": "lion"}, "#/optimizer", "adamw"),
        ({"hyperparameters": {"depth": 3}}, "#/hyperparameters/depth", "no such hyperparameter"),
        ({"base_version": "v999"}, "#/base_version", "production"),
        ({"promote": "sometimes"}, "#/promote", "if_better"),
        ({"epoch": 3}, "#/epoch", "Unknown field"),
    ],
)
def test_a_spec_that_cannot_be_run_is_refused_with_what_is_known(
    site: Site, body: dict[str, Any], pointer: str, says: str
) -> None:
    problem = assert_problem(site.http.post("/v1/training-jobs", body), 422, pointer)
    assert says in json.dumps(problem["errors"])


def test_jobs_are_listed_newest_first(site: Site) -> None:
    jobs = [site.submit() for _ in range(3)]
    listed = [job["id"] for job in site.http.pages("/v1/training-jobs", limit=2)]
    assert listed[:3] == jobs[::-1]
    for job in jobs:
        site.http.post(f"/v1/training-jobs/{job}/cancel")
