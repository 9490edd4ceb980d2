"""What an operator sees: the figures of all processes, log lines that name their request, and the price of both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from redis import Redis

from api.app import create_app
from processes import ROOT, Client, Process, RedisServer, Service, Web, assert_problem, b64, eventually, sample, worker
from settings import VERSION, Settings
from workers import ids
from workers.jobs import JobState, JobStore
from workers.metrics import SUMS, Metrics
from workers.queue import PREDICTIONS, send_slices
from workers.records import Slice

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (each.name, frozenset(each.labels.items())): each.value for metric in parse(text) for each in metric.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum over all series of a name that have these labels."""
    return sum(found for (each, has), found in samples.items() if each == name and set(labels.items()) <= has)


def figures(http: Client | FlaskClient) -> Samples:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


@pytest.fixture
def metrics(redis: Redis) -> Metrics:
    return Metrics(redis)


@pytest.fixture
def client(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> FlaskClient:
    """The web application in this process, on a Redis that the test may fill."""
    return create_app(Settings(redis_url=redis_server.url, home=tmp_path)).test_client()


def test_what_processes_count_is_summed(redis: Redis) -> None:
    processes = [Metrics(redis) for _ in range(3)]
    for number, process in enumerate(processes, 1):
        process.answered("predictions", "v1", 10 * number, 0.01, 0.002)
        process.fold()

    (found,) = [metric for metric in processes[0].collect() if metric.name == "hemline_predictions"]
    assert [sample.value for sample in found.samples] == [60]


def test_sums_survive_the_processes_that_counted(redis: Redis, metrics: Metrics, client: FlaskClient) -> None:
    metrics.answered("predictions", "v1", 7, 0.01, 0.002)
    metrics.end()
    del metrics
    again = Metrics(redis)
    again.answered("predictions", "v1", 1, 0.01, 0.002)
    again.end()

    assert value(figures(client), "hemline_predictions_total", model_version="v1") == 8


def test_what_is_folded_twice_as_its_answer_was_lost_counts_once(redis: Redis, metrics: Metrics) -> None:
    metrics.resent.inc(5)
    script = metrics._fold

    def lost(*arguments: Any) -> None:
        script(*arguments)
        raise ConnectionError

    metrics._fold = lost  # type: ignore[assignment]
    with pytest.raises(ConnectionError):
        metrics.fold()
    metrics.resent.inc(1)
    metrics._fold = script
    metrics.fold()
    metrics.fold()

    assert float(redis.hget(SUMS, orjson.dumps(["hemline_slices_resent_total", {}]))) == 6  # type: ignore[arg-type]


def test_nothing_is_asked_of_redis_while_there_is_nothing_to_add(redis: Redis, metrics: Metrics) -> None:
    metrics.fold()  # series without labels begin at 0, which is nothing to add

    def calls() -> dict[str, Any]:
        return {name: count for name, count in redis.info("commandstats").items() if "eval" in name}

    before = calls()
    metrics.fold()
    assert calls() == before


def test_metrics_tell_what_little_there_is_when_redis_is_away(tmp_path: Path) -> None:
    app = create_app(Settings(redis_url=f"unix://{tmp_path}/nobody", home=tmp_path))
    found = figures(app.test_client())

    assert value(found, "hemline_redis_up") == 0
    assert value(found, "hemline_build_info", version=VERSION) == 1
    assert len(found) == 2


def test_the_release_is_that_of_the_project() -> None:
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_histograms_are_in_the_order_that_openmetrics_asks_for(client: FlaskClient, metrics: Metrics) -> None:
    for seconds in (20.0, 0.0001, 0.3):
        metrics.answered("batches", "v2", 3, seconds, seconds)
        metrics.answered("predictions", "v1", 2000, seconds, seconds)
    metrics.fold()
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.content_type.startswith("application/openmetrics-text")
    names = {metric.name for metric in parse_openmetrics(answer.text)}
    assert {"hemline_batch_size", "hemline_batch_wait_seconds", "hemline_inference_seconds"} <= names


def test_queues_are_told_by_length_and_by_the_age_of_what_is_next(
    client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ids.new_group("pred")
    send_slices(redis, [Slice(old, 0, 1)])
    send_slices(redis, [Slice(ids.new_group("pred"), 0, 1)])
    monkeypatch.setattr("api.metrics.time.time", lambda: ids.created(old) + 90)
    found = figures(client)

    assert value(found, "hemline_queue_messages", queue=PREDICTIONS) == 2
    assert value(found, "hemline_queue_oldest_age_seconds", queue=PREDICTIONS) == pytest.approx(90, abs=0.01)
    assert value(found, "hemline_queue_oldest_age_seconds", queue="training") == 0


def test_a_running_job_is_shown_with_its_last_epoch_and_counted_when_it_ends(client: FlaskClient, redis: Redis) -> None:
    jobs = JobStore.training(redis, Settings())
    spec = {"training": {}, "dataset": "fashion-mnist"}
    job, waits = jobs.submit(spec).id, jobs.submit(spec).id
    lease = jobs.claim(job)
    assert lease
    jobs.update(lease, {"progress": {"fraction": 0.5}, "epoch1": {"val_accuracy": 0.91, "val_loss": 0.3}})
    found = figures(client)

    assert value(found, "hemline_jobs_running", kind="job") == 1
    assert value(found, "hemline_queue_depth", queue="training") == 1
    assert value(found, "hemline_job_progress_ratio", job_id=job) == 0.5
    assert value(found, "hemline_training_epoch", job_id=job) == 1
    assert value(found, "hemline_training_val_accuracy", job_id=job) == 0.91
    assert not value(found, "hemline_training_val_accuracy", job_id=waits)

    jobs.update(lease, state=JobState.FAILED)
    jobs.cancel(waits)
    found = figures(client)
    assert value(found, "hemline_jobs_running") == 0
    assert value(found, "hemline_jobs_ended_total", kind="job", state="failed") == 1
    assert value(found, "hemline_jobs_ended_total", kind="job", state="canceled") == 1


def test_requests_are_counted_by_operation_and_status(client: FlaskClient) -> None:
    before = figures(client)
    for path in ("/health/live", "/v1/models", "/v1/predictions/pred_none", "/v1/nothing", "/", "/openapi.json"):
        client.get(path).close()
    client.put("/v1/models")  # 405
    client.post("/v1/predictions", json={})
    after = figures(client)

    def more(operation: str, status: str) -> float:
        first, last = (
            value(each, "hemline_http_requests_total", operation=operation, status=status) for each in (before, after)
        )
        return last - first

    assert more("getLiveness", "200") == more("listModels", "200") == 1
    assert more("getPrediction", "404") == more("createPrediction", "422") == 1
    assert more("unmatched", "404") == more("unmatched", "405") == 1
    assert more("page", "200") == 3  # two of them, and /metrics itself
    assert value(after, "hemline_http_request_duration_seconds_count", operation="listModels") == 1


@pytest.mark.parametrize("given", ["abc-123", "7f3a:9/x+y=_.@", "x" * 128])
def test_a_request_id_that_a_client_sends_comes_back(client: FlaskClient, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a;b", "ä", 'a"b', "{}"])
def test_a_request_id_that_does_not_fit_is_replaced(client: FlaskClient, given: str) -> None:
    answers = [client.get("/health/live", headers={"X-Request-Id": given}) for _ in range(2)]
    made = {answer.headers["X-Request-Id"] for answer in answers}

    assert len(made) == 2 and given not in made
    assert all(re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", each) for each in made)


@pytest.mark.parametrize("method, path", [
    ("GET", "/"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/v1/nothing"), ("PUT", "/v1/models"),
    ("POST", "/v1/predictions"), ("HEAD", "/health/live"),
])  # fmt: skip
def test_every_answer_has_a_request_id(client: FlaskClient, method: str, path: str) -> None:
    with client.open(path, method=method) as answer:
        assert len(answer.headers.getlist("X-Request-Id")) == 1


def test_a_problem_names_its_request(http: Client) -> None:
    answer = http.get("/v1/predictions/pred_none", headers={"X-Request-Id": "support-42"})

    assert assert_problem(answer, 404)["request_id"] == answer.headers["X-Request-Id"] == "support-42"


def test_a_prediction_names_the_request_that_it_came_with(http: Client) -> None:
    headers = {"X-Request-Id": "from-the-shop-7"}
    created = http.post("/v1/predictions", {"image": b64(sample("bag"))}, wait=20, headers=headers).json()
    later = http.get(f"/v1/predictions/{created['id']}").json()

    assert created["status"] == "succeeded"
    assert created["request_id"] == later["request_id"] == "from-the-shop-7"


def test_the_figures_of_web_and_worker_processes_meet(service: Service, tmp_path: Path) -> None:
    other = Web(tmp_path / "web.log", service.environ)
    try:
        before = figures(service.http)
        assert service.http.predict(wait=20).status_code == 201
        assert other.http.predict(wait=20).status_code == 201
        assert other.http.post("/v1/batches", {"images": [b64(sample("coat"))] * 5}, wait=20).status_code == 201

        def all_there() -> Samples | None:
            found = figures(service.http)
            done = value(found, "hemline_predictions_total") - value(before, "hemline_predictions_total")
            first, last = (
                value(each, "hemline_http_requests_total", operation="createPrediction") for each in (before, found)
            )
            return found if done >= 7 and last - first >= 2 else None

        found = eventually(all_there, "one web process tells what both did, and the worker")
        assert figures(other.http).keys() == figures(service.http).keys()
        for _ in range(5):
            other.http.get("/v1/tuning-jobs")
    finally:
        other.stop()
    # What a process counted last is added when it ends.
    assert value(figures(service.http), "hemline_http_requests_total", operation="listTuningJobs") == 5
    assert value(found, "hemline_predictions_total", state="succeeded") >= 7
    assert value(found, "hemline_batch_size_count", queue="batches") >= 1
    assert value(found, "hemline_http_request_duration_seconds_count", operation="createPrediction", held="yes") >= 2
    assert value(found, "hemline_workers_alive", kind="prediction") == 1
    assert value(found, "hemline_model_alias_info", alias="production") == 1
    assert value(found, "hemline_redis_up") == 1
    assert value(found, "hemline_redis_memory_used_bytes") > 0


@pytest.fixture
def talkative(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> Iterator[tuple[Web, Process]]:
    """A service that says everything, in JSON."""
    environ = {"HEMLINE_REDIS_URL": redis_server.url, "HEMLINE_HOME": str(tmp_path), "HEMLINE_LOG_FORMAT": "json",
               "HEMLINE_ACCESS_LOG": "1"}  # fmt: skip
    started = worker(tmp_path / "worker.log", environ)
    web = Web(tmp_path / "web.log", environ)
    eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
    yield web, started
    web.stop()
    started.stop()


# What does not go through Python's logging: LiteRT's greeting and Celery's farewell.
_PLAIN = ("", "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", "worker: Warm shutdown (MainProcess)")


def lines(process: Process) -> list[dict[str, Any]]:
    """What a process said, which has to be JSON, line by line."""
    return [json.loads(line) for line in process.output().splitlines() if line not in _PLAIN]


def test_a_picture_that_fails_in_a_worker_is_logged_there_with_its_request(
    talkative: tuple[Web, Process], redis: Redis
) -> None:
    web, predicting = talkative
    headers = {"X-Request-Id": "who-asked-1"}
    redis.sadd("hemline:versions", "v99")  # nobody can load it
    fields = {"image": b64(sample("bag")), "model": "v99"}
    answer = web.http.post("/v1/predictions", fields, wait=20, headers=headers)
    assert answer.json()["status"] == "failed", answer.text

    failed = [line for line in lines(predicting) if line.get("request_id") == "who-asked-1"]
    assert failed and failed[0]["part"] == "worker" and failed[0]["level"] == "ERROR"
    assert failed[0]["slice"].startswith("pred:") and "exception" in failed[0]
    (asked,) = [line for line in lines(web) if line.get("request_id") == "who-asked-1"]
    assert asked["location"] == answer.headers["Location"]
    assert asked["operation"] == "createPrediction" and asked["status"] == 201
    assert set(asked) >= {"time", "level", "part", "logger", "message", "method", "path", "duration_ms"}
    counted = eventually(lambda: value(figures(web.http), "hemline_predictions_total", state="failed"), "it is counted")
    assert counted == 1
