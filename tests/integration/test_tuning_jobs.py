"""Tuning jobs: their store by itself, what Optuna is asked, and real workers of which one is killed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from ml import datasets, training
from ml.artifacts import FileArtifacts
from ml.datasets import Dataset
from ml.runs import Epoch
from processes import Client, RedisServer, Web, assert_problem, eventually
from test_training_jobs import SAMPLE, Site
from workers import ids, trials
from workers.app import make_celery
from workers.datasets import DatasetStore
from workers.jobs import JobState, Lease
from workers.queue import TRAINING, queue_length, send_tuning
from workers.trials import Tuning
from workers.tuning import TuningStore, journal_prefix

SPACE = {"learning_rate": {"low": 0.01, "high": 0.5, "log": True}, "batch_size": {"choices": [8, 16]}}
SPEC = {"trials": 3, "search_space": SPACE, "dataset": "fashion-mnist", "training": {"epochs": 3, "seed": 0}}


def store(redis: Redis, lease: float = 10, attempts: int = 2) -> TuningStore:
    return TuningStore(redis, lease=lease, max_waiting=5, max_attempts=attempts)


def end(tunings: TuningStore, lease: Lease, value: float | None = None) -> None:
    """A trial succeeds, or fails where it has no value."""
    state = JobState.FAILED if value is None else JobState.SUCCEEDED
    tunings.trials.update(lease, {"value": value, "result": {"value": value, "pruned": False}}, state=state)


def claim(tunings: TuningStore, tune: str) -> Lease:
    lease = tunings.claim(tune)
    assert lease is not None
    return lease


def state(tunings: TuningStore, tune: str) -> JobState:
    job = tunings.jobs.get(tune)
    assert job is not None
    return job.state


def states(tunings: TuningStore, tune: str) -> list[JobState]:
    job = tunings.jobs.get(tune)
    assert job is not None
    return [trial.state for trial in tunings.table(job)]


def test_a_submission_that_is_sent_twice_is_one(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tunings = store(redis)
    submit = tunings._submit
    # redis-py sends a command again when its answer was lost.
    monkeypatch.setattr(tunings, "_submit", lambda *said: (submit(*said), submit(*said))[1])
    job = tunings.submit(SPEC)
    tunings.cancel(job.id)

    assert [int(redis.get(f"hemline:waiting:{kind}") or 0) for kind in ("tune", "trial")] == [0, 0]
    assert tunings.jobs.get(job.id).created == job.created


def test_optunas_journal_ends_with_the_search(redis: Redis) -> None:
    tunings = store(redis)
    job = tunings.submit(SPEC)
    redis.mset({f"{journal_prefix(job.id)}:{name}": 1 for name in ("log_number", "snapshot", "log:0", "log:1")})
    tunings.cancel(job.id)

    assert list(redis.scan_iter(f"{journal_prefix(job.id)}*")) == []


def test_a_tuning_job_begins_with_its_first_trial_and_ends_with_its_last(redis: Redis) -> None:
    tunings = store(redis)
    job = tunings.submit(SPEC)
    assert job.state is JobState.QUEUED and tunings.settle(job.id) == 3

    for value in (0.5, 0.7, None):
        lease = claim(tunings, job.id)
        tunings.settle(job.id)
        assert state(tunings, job.id) is JobState.RUNNING
        end(tunings, lease, value)
        tunings.settle(job.id)

    found = tunings.jobs.get(job.id)
    assert found is not None and found.state is JobState.SUCCEEDED and found.started and found.completed
    assert found.result == {"best_trial": 1}
    assert found.progress == {"done": 3, "total": 3, "fraction": 1, "best_trial": 1}
    best = tunings.best(found)
    assert best is not None and best.spec["number"] == 1
    assert redis.get("hemline:waiting:tune") == redis.get("hemline:waiting:trial") == b"0"
    assert redis.zcard("hemline:due:tune") == redis.zcard("hemline:due:trial") == 0


def test_each_trial_is_taken_once(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC | {"trials": 20}).id
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda _: tunings.claim(tune), range(24)))

    taken = [lease.job for lease in leases if lease]
    assert len(taken) == len(set(taken)) == 20


def test_a_tuning_job_ends_once_however_many_say_so(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC).id
    for value in (0.1, 0.2, 0.3):
        end(tunings, claim(tunings, tune), value)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tunings.settle(tune), range(40)))

    assert [event.type for event in tunings.jobs.events(tune, None)] == ["queued", "progress", "succeeded"]


def test_the_sweep_ends_a_tuning_job_whose_last_worker_died_before_it_did(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC | {"trials": 1}).id
    end(tunings, claim(tunings, tune), 0.5)
    redis.zadd("hemline:due:tune", {tune: 0})

    assert tunings.lapsed() == []
    assert state(tunings, tune) is JobState.SUCCEEDED


def test_a_worker_whose_clock_is_behind_finds_searches_that_are_due(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC).id
    redis.zadd("hemline:due:tune", {tune: 1})
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert tunings.lapsed() == [tune]


def test_a_lost_message_is_sent_again_unless_it_may_be_among_those_that_wait(redis: Redis, celery: Celery) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC).id
    redis.zadd("hemline:due:tune", {tune: 0})
    assert tunings.lapsed() == [tune]
    assert tunings.lapsed() == []  # not yet

    send_tuning(celery, tune)
    redis.zadd("hemline:due:tune", {tune: 0})
    assert queue_length(redis, TRAINING) == 1
    assert tunings.lapsed() == []


def test_a_trial_whose_worker_is_silent_waits_again_and_fails_at_last(redis: Redis) -> None:
    tunings = store(redis, lease=0)
    tune = tunings.submit(SPEC | {"trials": 2}).id
    first = claim(tunings, tune)
    assert eventually(tunings.lapsed, "the lease is over") == [tune]
    assert states(tunings, tune) == ["queued", "queued"]

    assert claim(tunings, tune).job == first.job
    eventually(lambda: tunings.lapsed() or states(tunings, tune)[0] is JobState.FAILED, "it had its chances")
    assert states(tunings, tune) == ["failed", "queued"]
    end(tunings, claim(tunings, tune), 0.5)
    tunings.settle(tune)
    assert state(tunings, tune) is JobState.SUCCEEDED


def test_canceling_ends_what_waits_at_once_and_what_runs_when_it_says_so(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC).id
    end(tunings, claim(tunings, tune), 0.9)
    running = claim(tunings, tune)
    tunings.settle(tune)

    assert tunings.cancel(tune) is JobState.RUNNING
    assert states(tunings, tune) == ["succeeded", "running", "canceled"]
    assert tunings.trials.update(running)  # it is told
    tunings.trials.update(running, state=JobState.CANCELED)
    tunings.settle(tune)
    assert state(tunings, tune) is JobState.CANCELED
    assert tunings.cancel(tune) is JobState.CANCELED
    assert redis.get("hemline:waiting:trial") == b"0"


def test_a_tuning_job_that_waits_is_canceled_at_once(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC).id

    assert tunings.cancel(tune) is JobState.QUEUED
    job = tunings.jobs.get(tune)
    assert job is not None and job.state is JobState.CANCELED and job.started is None
    assert states(tunings, tune) == ["canceled"] * 3
    assert tunings.claim(tune) is None
    assert tunings.cancel("tune_unknown") is None
    assert redis.get("hemline:waiting:tune") == b"0"


@pytest.mark.parametrize("value, expected", [(0.5, "succeeded"), (None, "failed")])
def test_when_its_time_is_over_a_tuning_job_ends_with_what_there_is(
    redis: Redis, value: float | None, expected: str
) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC | {"timeout_seconds": 1}).id
    end(tunings, claim(tunings, tune), value)
    assert tunings.settle(tune) == 2
    redis.hincrby(f"hemline:{tune}", "started", -1_000_000)
    tunings.settle(tune)

    job = tunings.jobs.get(tune)
    assert job is not None and job.state == expected
    assert states(tunings, tune)[1:] == ["canceled", "canceled"]
    assert (job.error or {}).get("code") == (None if value else "timeout")


def test_a_search_without_any_success_fails(redis: Redis) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC | {"trials": 1}).id
    end(tunings, claim(tunings, tune))
    tunings.settle(tune)

    job = tunings.jobs.get(tune)
    assert job is not None and job.error is not None and job.error["code"] == "no_trial_succeeded"


class _Killed(BaseException):
    """What ends a worker without a word."""


@pytest.fixture
def celery(redis_server: RedisServer) -> Celery:
    return make_celery(redis_server.url)


@pytest.fixture
def tuning(redis: Redis, celery: Celery) -> Tuning:
    """The task, in this process, whose trials train nothing."""
    data = SimpleNamespace(training=None, validation=None)
    return Tuning(store(redis, lease=0.2), redis, celery, lambda _: data)  # type: ignore[arg-type]


def epochs(*accuracies: float) -> Any:
    """A training run that goes like this; an accuracy below 0 kills the worker."""

    def train(spec: Any, *_: Any, on_epoch: Any, **__: Any) -> None:
        for number, accuracy in enumerate(accuracies, 1):
            if accuracy < 0:
                raise _Killed
            on_epoch(Epoch(number, 1.0, 0.5, 1.0, accuracy, 0.1, 1.0))

    return train


def run(tuning: Tuning, tune: str, monkeypatch: pytest.MonkeyPatch, *accuracies: float) -> None:
    monkeypatch.setattr(training, "train", epochs(*accuracies))
    tuning.run(tune)


def test_a_trial_that_lost_its_worker_has_the_same_values_and_counts_once(
    tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings = store(redis, lease=0.2)
    tune = tunings.submit(SPEC | {"trials": 1})
    with pytest.raises(_Killed):
        run(tuning, tune.id, monkeypatch, 0.5, -1)
    before = tunings.table(tune)[0]
    assert before.state is JobState.RUNNING and set(before.spec["parameters"]) == {"learning_rate", "batch_size"}

    eventually(tunings.lapsed, "the lease is over")
    run(tuning, tune.id, monkeypatch, 0.5, 0.6, 0.7)
    after = tunings.table(tune)[0]
    assert after.spec == before.spec
    assert (after.state, after.attempts, after.result) == ("succeeded", 2, {"value": 0.7, "pruned": False})
    assert tuning._study is not None and len(tuning._study.trials) == 1


def test_a_trial_that_its_worker_told_optuna_of_but_did_not_write_down_is_not_trained_again(
    tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings = store(redis, lease=0.2)
    tune = tunings.submit(SPEC | {"trials": 1})

    def die(*_: Any) -> None:
        raise _Killed

    with monkeypatch.context() as dying, pytest.raises(_Killed):
        dying.setattr(tuning, "_write", die)
        run(tuning, tune.id, monkeypatch, 0.5, 0.6)
    eventually(tunings.lapsed, "the lease is over")
    run(tuning, tune.id, monkeypatch, -1)

    assert tunings.table(tune)[0].result == {"value": 0.6, "pruned": False}
    assert state(tunings, tune.id) is JobState.SUCCEEDED


def test_what_a_worker_asked_for_and_died_is_taken_over(
    tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings = store(redis, lease=0.2)
    tune = tunings.submit(SPEC | {"trials": 1})
    tuning._open(tune, 0).ask()
    run(tuning, tune.id, monkeypatch, 0.5)

    assert tunings.table(tune)[0].state is JobState.SUCCEEDED
    assert tuning._study is not None and len(tuning._study.trials) == 1


def test_a_hopeless_trial_is_pruned(tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tunings = store(redis, lease=0.2)
    tune = tunings.submit(SPEC | {"trials": 4})
    for accuracy in (0.7, 0.8, 0.9):
        run(tuning, tune.id, monkeypatch, accuracy, accuracy)
    run(tuning, tune.id, monkeypatch, 0.2, 0.99)

    found = tunings.table(tune)
    assert found[3].result == {"value": 0.2, "pruned": True} and len(found[3].history) == 1
    assert len({str(trial.spec["parameters"]) for trial in found}) == 4
    job = tunings.jobs.get(tune.id)
    assert job is not None and job.result == {"best_trial": 2}


def test_a_worker_that_ends_hands_its_trial_back(
    tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunings = store(redis)
    tune = tunings.submit(SPEC | {"trials": 1})

    def train(*_: Any, stop: Any, **__: Any) -> None:
        tuning.end_soon()
        assert stop()
        raise training.TrainingStopped

    monkeypatch.setattr(training, "train", train)
    tuning.run(tune.id)
    assert tunings.table(tune)[0].state is JobState.QUEUED and tunings.table(tune)[0].attempts == 0
    assert queue_length(redis, TRAINING) == 1


def test_after_many_trials_the_process_ends_to_be_started_anew(
    tuning: Tuning, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals: list[int] = []
    monkeypatch.setattr(trials, "_RENEWED_AFTER", 2)
    monkeypatch.setattr(trials.os, "kill", lambda _, number: signals.append(number))
    tune = store(redis).submit(SPEC)
    run(tuning, tune.id, monkeypatch, 0.5)
    assert signals == []
    run(tuning, tune.id, monkeypatch, 0.5)
    assert signals == [signal.SIGTERM]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with a data set, whose training workers a test starts itself."""
    folder: Path = tmp_path_factory.mktemp("tuning")
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    name = ids.join(ids.new_group("ds"))
    DatasetStore(FileArtifacts(folder / "artifacts")).put(name, Dataset(images, labels), {"id": name})
    with ExitStack() as stack:
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        environ = {
            "HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_JOB_LEASE": "3",
            "HEMLINE_MAX_WAITING_JOBS": "3",
        }  # fmt: skip
        web = Web(folder / "web.log", environ)
        stack.callback(web.stop)
        yield Site(folder, redis, web.http, environ | {"DATASET": name}, stack)


@pytest.fixture
def http(site: Site) -> Client:
    return site.http


def request(site: Site, **fields: Any) -> dict[str, Any]:
    small = {"network": "tutorial_cnn", "dataset": site.environ["DATASET"], "fraction": 1.0, "ema": 0, "epochs": 6}
    return small | {"trials": 5, "search_space": SPACE} | fields


def table(http: Client, tune: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/tuning-jobs/{tune}/trials")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def final(http: Client, path: str) -> dict[str, Any]:
    """A job when it has ended."""

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = http.get(path, headers={"Prefer": "wait=5"}).json()
        return job if "completed_at" in job else None

    return eventually(ended, f"{path} has ended", 120)


def test_every_trial_is_accounted_for_though_a_worker_is_killed_and_the_best_is_trained(site: Site) -> None:
    http = site.http
    victim = site.start_worker()
    accepted = http.post("/v1/tuning-jobs", request(site))
    tune = accepted.json()["id"]
    assert accepted.status_code == 202 and accepted.headers["Location"] == f"/v1/tuning-jobs/{tune}"
    assert accepted.json()["progress"] == {"done": 0, "total": 5, "fraction": 0}
    assert_problem(http.post(f"/v1/tuning-jobs/{tune}/train-best"), 409)

    def catch() -> dict[str, Any] | None:
        """The trial in whose middle the worker stands still."""
        victim.popen.send_signal(signal.SIGSTOP)
        at_work = [t for t in table(http, tune) if t["status"] == "running" and t["epochs"]]
        if not at_work:
            victim.popen.send_signal(signal.SIGCONT)
        return at_work[0] if at_work else None

    held = eventually(catch, "a trial is in its middle")
    victim.kill()
    for _ in range(2):
        site.start_worker()

    job = final(http, f"/v1/tuning-jobs/{tune}")
    found = table(http, tune)
    assert job["status"] == "succeeded"
    assert job["progress"]["done"] == 5 and job["completed_at"] >= job["started_at"]
    assert [t["number"] for t in found] == list(range(5))
    assert {t["status"] for t in found} <= {"succeeded", "pruned"}
    assert Counter(t["attempts"] for t in found) == {1: 4, 2: 1}
    again = found[held["number"]]
    assert again["attempts"] == 2
    assert again["parameters"] == held["parameters"]
    best = job["result"]["best_trial"]
    assert best["value"] == max(t["value"] for t in found if t["status"] == "succeeded")

    answer = http.post(f"/v1/tuning-jobs/{tune}/train-best", {"epochs": 1, "promote": "never"})
    assert answer.status_code == 202 and answer.headers["Location"] == f"/v1/training-jobs/{answer.json()['id']}"
    spec = answer.json()["spec"]
    assert spec["fraction"] == 1 and spec["epochs"] == 1 and spec["dataset"] == site.environ["DATASET"]
    assert {name: spec[name] for name in SPACE} == best["parameters"]
    trained = final(http, answer.headers["Location"])
    assert trained["status"] == "succeeded", trained

    running = http.post("/v1/tuning-jobs", request(site, trials=50)).json()["id"]
    eventually(lambda: [t for t in table(http, running) if t["status"] == "running"], "it runs")
    assert http.post(f"/v1/tuning-jobs/{running}/cancel").status_code == 202
    canceled = final(http, f"/v1/tuning-jobs/{running}")
    assert canceled["status"] == "canceled" and canceled["progress"]["done"] == 50
    assert {t["status"] for t in table(http, running)} <= {"succeeded", "pruned", "canceled"}
    assert_problem(http.post(f"/v1/tuning-jobs/{running}/cancel"), 409)
    for process in site.workers:
        process.stop(signal.SIGKILL)
    site.workers.clear()


def test_a_search_that_nobody_works_on_waits_is_listed_and_can_be_canceled(site: Site) -> None:
    http = site.http
    answer = http.post("/v1/tuning-jobs", request(site, trials=2, timeout_seconds=60, description="rates"), wait=1)
    assert answer.status_code == 202 and answer.headers["Preference-Applied"] == "wait=1"
    job = answer.json()
    assert job["status"] == "queued" and "started_at" not in job and "result" not in job
    assert job["spec"]["search_space"] == SPACE and job["spec"]["timeout_seconds"] == 60
    assert not set(SPACE) & set(job["spec"])
    assert http.get("/v1/tuning-jobs").json()["items"][0] == job
    assert http.get("/v1/tuning-jobs", params={"limit": 1}).json()["items"] == [job]
    got = http.get(f"/v1/tuning-jobs/{job['id']}")
    assert got.json() == job
    assert http.get(f"/v1/tuning-jobs/{job['id']}", headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
    assert [(t["number"], t["status"]) for t in table(http, job["id"])] == [(0, "queued"), (1, "queued")]
    assert_problem(http.delete(f"/v1/datasets/{site.environ['DATASET']}"), 409)

    canceled = http.post(f"/v1/tuning-jobs/{job['id']}/cancel")
    assert canceled.status_code == 202 and canceled.json()["status"] == "canceled"
    assert_problem(http.post(f"/v1/tuning-jobs/{job['id']}/train-best"), 409)
    with http.get(f"/v1/tuning-jobs/{job['id']}/events", stream=True) as events:
        types = [line[7:] for line in events.iter_lines(decode_unicode=True) if line.startswith("event: ")]
    assert types == ["queued", "progress", "canceled"]


def test_more_searches_than_may_wait_are_refused(site: Site) -> None:
    accepted = [site.http.post("/v1/tuning-jobs", request(site, trials=1)) for _ in range(4)]
    assert [answer.status_code for answer in accepted] == [202, 202, 202, 503]
    assert accepted[-1].headers["Retry-After"]
    for answer in accepted[:3]:
        site.http.post(f"/v1/tuning-jobs/{answer.json()['id']}/cancel")


@pytest.mark.parametrize("path", ["", "/trials", "/events", "/cancel", "/train-best"])
@pytest.mark.parametrize("tune", ["tune_01KBQ8Z6J0V6M3Y8F5W2T4N700", "tune_x", "job_01KBQ8Z6J0V6M3Y8F5W2T4N700"])
def test_an_unknown_tuning_job_is_not_found(http: Client, tune: str, path: str) -> None:
    method = "POST" if path in ("/cancel", "/train-best") else "GET"
    assert_problem(http.request(method, f"/v1/tuning-jobs/{tune}{path}"), 404)


@pytest.mark.parametrize("fields, pointer", [
    ({"search_space": {}}, "#/search_space"),
    ({"search_space": {"rate": {"low": 0, "high": 1}}}, "#/search_space/rate"),
    ({"search_space": {"epochs": {"choices": [1, 2]}}}, "#/search_space/epochs"),
    ({"search_space": {"learning_rate": {}}}, "#/search_space/learning_rate"),
    ({"search_space": {"learning_rate": {"low": 0.1}}}, "#/search_space/learning_rate"),
    ({"search_space": {"learning_rate": {"low": 0.1, "high": 1, "step": 1}}}, "#/search_space/learning_rate/step"),
    ({"search_space": {"learning_rate": {"low": 1, "high": 0.1}}}, "#/search_space/learning_rate/high"),
    ({"search_space": {"learning_rate": {"low": 0.1, "high": 11}}}, "#/search_space/learning_rate/high"),
    ({"search_space": {"learning_rate": {"low": "0.1", "high": 1}}}, "#/search_space/learning_rate/low"),
    ({"search_space": {"learning_rate": {"low": 0.1, "high": 1, "log": 1}}}, "#/search_space/learning_rate/log"),
    ({"search_space": {"weight_decay": {"low": 0, "high": 1, "log": True}}}, "#/search_space/weight_decay/low"),
    ({"search_space": {"shift": {"low": 0, "high": 2.5}}}, "#/search_space/shift/high"),
    ({"search_space": {"batch_size": {"choices": []}}}, "#/search_space/batch_size/choices"),
    ({"search_space": {"batch_size": {"choices": [8, 3]}}}, "#/search_space/batch_size/choices/1"),
    ({"search_space": {"batch_size": {"choices": [8, 8]}}}, "#/search_space/batch_size/choices/1"),
    ({"search_space": {"optimizer": {"choices": ["sgd", "lion"]}}}, "#/search_space/optimizer/choices/1"),
    ({"search_space": {"optimizer": {"low": 0, "high": 1}}}, "#/search_space/optimizer"),
    ({"search_space": {"flip": {"choices": [True, 0]}}}, "#/search_space/flip/choices/1"),
    ({"search_space": {"hyperparameters": {"dense": {"low": 16, "high": 999}}}},
     "#/search_space/hyperparameters/dense/high"),
    ({"search_space": {"hyperparameters": {"depth": {"low": 1, "high": 2}}}},
     "#/search_space/hyperparameters/depth/low"),
    ({"search_space": SPACE, "batch_size": 16}, "#/search_space/batch_size"),
    ({"search_space": SPACE, "dataset": "ds_none"}, "#/dataset"),
    ({"search_space": SPACE, "network": "lenet"}, "#/network"),
    ({"search_space": SPACE, "trials": 0}, "#/trials"),
    ({"search_space": SPACE, "trials": 1001}, "#/trials"),
    ({"search_space": SPACE, "timeout_seconds": 0}, "#/timeout_seconds"),
    ({"search_space": SPACE, "epochs": 0}, "#/epochs"),
    ({"search_space": SPACE, "promote": "always"}, "#/promote"),
    ({}, "#/search_space"),
])  # fmt: skip
def test_a_search_that_cannot_be_run_is_refused_with_the_place(http: Client, fields: Any, pointer: str) -> None:
    body = {"network": "tutorial_cnn"} | fields
    assert_problem(http.post("/v1/tuning-jobs", body), 422, pointer)


def test_networks_are_searched_with_what_all_of_them_have(http: Client, site: Site) -> None:
    space = {"network": {"choices": ["tutorial_cnn", "resnet_small"]}}
    answer = http.post("/v1/tuning-jobs", {"search_space": space, "trials": 1, "dataset": site.environ["DATASET"]})
    assert answer.status_code == 202 and "network" not in answer.json()["spec"]
    http.post(f"/v1/tuning-jobs/{answer.json()['id']}/cancel")

    both = space | {"hyperparameters": {"dense": {"choices": [16]}}}
    where = "#/search_space/hyperparameters/dense/choices/0"
    assert_problem(http.post("/v1/tuning-jobs", {"search_space": both}), 422, where)
    unknown = {"network": {"choices": ["tutorial_cnn", "lenet"]}}
    assert_problem(http.post("/v1/tuning-jobs", {"search_space": unknown}), 422, "#/search_space/network/choices/1")


@pytest.mark.parametrize("options, status", [
    ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400), ({"data": "x"}, 415),
    ({"json": {"epochs": 0}}, 422), ({"json": {"rate": 1}}, 422),
])  # fmt: skip
def test_a_bad_wish_for_the_best_is_refused(http: Client, options: dict[str, Any], status: int) -> None:
    answer = http.request("POST", "/v1/tuning-jobs/tune_01KBQ8Z6J0V6M3Y8F5W2T4N700/train-best", **options)
    assert answer.status_code == status
