"""Traces from a request to its batch or job; without an endpoint, nothing of OpenTelemetry is there."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from redis import Redis

from api.app import create_app
from processes import ROOT, RedisServer, Web, b64, eventually, sample, worker
from settings import Settings
from workers import logs
from workers.groups import ALIASES, VERSIONS, Groups
from workers.ids import new_group
from workers.jobs import JobStore
from workers.records import PIXELS, Item, Slice
from workers.tracing import Tracing, following

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = CALLER[:-2] + "00"


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(memory: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return Tracing(provider)


@pytest.fixture
def client(redis: Redis, redis_server: RedisServer, tmp_path: Path, tracing: Tracing) -> FlaskClient:
    redis.sadd(VERSIONS, "v1")
    redis.hset(ALIASES, "production", "v1")
    settings = Settings(redis_url=redis_server.url, home=tmp_path, linger=0.5)
    return create_app(settings, tracing=tracing).test_client()


def predict(client: FlaskClient, **headers: str) -> str:
    """The group of a new prediction."""
    answer = client.post("/v1/predictions", json={"image": b64(sample("bag"))}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])[:-2].replace("_", ":")


def spans(memory: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in memory.get_finished_spans() if span.name == name]


def context(span: ReadableSpan) -> tuple[int, int]:
    """Which span it is, whichever process looks at it."""
    found = span.get_span_context()
    assert found
    return found.trace_id, found.span_id


def trace_id(span: ReadableSpan) -> str:
    return f"{context(span)[0]:032x}"


def work(_: object) -> None:
    """In place of what a worker does."""


def test_a_request_is_a_span_in_the_trace_of_who_asked(client: FlaskClient, memory: InMemorySpanExporter) -> None:
    client.get("/v1/training-jobs", headers={"traceparent": CALLER, "X-Request-Id": "r-1"})
    (span,) = spans(memory, "listTrainingJobs")

    assert span.kind is SpanKind.SERVER and trace_id(span) == CALLER[3:35]
    assert span.parent and f"{span.parent.span_id:016x}" == CALLER[36:52]
    assert span.attributes and span.attributes["hemline.request_id"] == "r-1"
    assert span.attributes["http.response.status_code"] == 200 and span.attributes["url.path"] == "/v1/training-jobs"


def test_a_request_that_failed_on_our_side_is_an_error(
    client: FlaskClient, memory: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.models.responses.json", lambda *_: 1 / 0)
    assert client.get("/v1/aliases").status_code == 500

    assert [span.status.status_code for span in memory.get_finished_spans()] == [StatusCode.ERROR]


def test_a_batch_of_one_is_a_child_of_its_request(
    client: FlaskClient, memory: InMemorySpanExporter, tracing: Tracing, groups_of: Groups
) -> None:
    group = predict(client, traceparent=CALLER)
    tracing.predicting(groups_of, work)(Slice(group, 0, 1))
    (request,), (batch,) = spans(memory, "createPrediction"), spans(memory, "predict")

    assert batch.kind is SpanKind.CONSUMER and trace_id(batch) == trace_id(request) == CALLER[3:35]
    assert batch.parent and (batch.parent.trace_id, batch.parent.span_id) == context(request)
    assert batch.attributes and batch.attributes["hemline.slice"] == f"{group}:0:1"
    assert batch.attributes["messaging.destination.name"] == "predictions"


def test_a_batch_for_several_requests_is_linked_to_each(
    redis: Redis, memory: InMemorySpanExporter, tracing: Tracing, groups_of: Groups
) -> None:
    redis.sadd(VERSIONS, "v1")
    parents = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2, 3)]
    group = new_group("pred")
    docs = [{"traceparent": parent} for parent in [*parents, parents[0], UNSAMPLED]] + [{}]
    groups_of.submit(group, "v1", [Item(doc, bytes(PIXELS)) for doc in docs])
    tracing.predicting(groups_of, work)(Slice(group, 0, len(docs)))
    (batch,) = spans(memory, "predict")

    assert batch.parent is None and batch.attributes and batch.attributes["messaging.batch.message_count"] == 6
    assert [(link.context.trace_id, link.context.span_id) for link in batch.links] == [(1, 1), (2, 2), (3, 3)]


def test_a_batch_that_nobody_traces_has_no_span(
    client: FlaskClient, memory: InMemorySpanExporter, tracing: Tracing, groups_of: Groups
) -> None:
    done: list[Slice] = []
    piece = Slice(predict(client, traceparent=UNSAMPLED), 0, 1)
    for each in (piece, Slice("pred:01M83M3CRWREGCDBJTT0WA5H", 0, 1)):  # the second is gone
        tracing.predicting(groups_of, done.append)(each)

    assert len(done) == 2 and not memory.get_finished_spans()


def test_a_job_goes_on_in_the_trace_of_its_request_and_its_lines_name_both(
    redis: Redis, memory: InMemorySpanExporter, tracing: Tracing
) -> None:
    jobs = JobStore.training(redis, Settings())
    job = jobs.submit({"training": {}, "request": {"request_id": "r-2", "traceparent": CALLER}})
    said: list[dict[str, object]] = []

    def train(_: str) -> None:
        said.append(dict(logs.current()))

    following(jobs, tracing.working(jobs, "train", train))(job.id)
    (span,) = spans(memory, "train")

    assert trace_id(span) == CALLER[3:35] and span.attributes and span.attributes["hemline.job"] == job.id
    assert said[0]["job"] == job.id and said[0]["request_id"] == "r-2" and said[0]["trace_id"] == CALLER[3:35]
    assert "job" not in logs.current()


def test_a_job_that_failed_is_an_error(redis: Redis, memory: InMemorySpanExporter, tracing: Tracing) -> None:
    jobs = JobStore.training(redis, Settings())
    job = jobs.submit({"training": {}, "request": {"traceparent": CALLER}})

    def fail(_: str) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        tracing.working(jobs, "train", fail)(job.id)
    assert spans(memory, "train")[0].status.status_code is StatusCode.ERROR


@pytest.fixture
def groups_of(redis: Redis) -> Groups:
    """The records, as a worker has them."""
    return Groups.from_settings(redis, Settings())


WEB = "import api.asgi; api.asgi.app(api.asgi.prepare())"
WORKERS = "import workers.prediction_worker, workers.training_worker"


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"HEMLINE_REDIS_URL": "unix:///none", "PYTHONPATH": str(ROOT), **environ}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.mark.parametrize("code", [WEB, WORKERS])
def test_nothing_that_sends_traces_is_imported_without_an_endpoint(code: str) -> None:
    # The client of Redis imports the SDK for itself where it is installed, but no exporter.
    asked = f"{code}\nimport sys\nprint(*(name for name in sys.modules if name.startswith('opentelemetry.exporter')))"
    assert run(asked).stdout.strip() == ""


@pytest.mark.parametrize("code", [WEB, WORKERS])
def test_a_part_starts_where_opentelemetry_is_not_installed(code: str) -> None:
    absent = f"import sys\nsys.modules['opentelemetry'] = None\n{code}"
    run(absent)

    said = run(absent, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1").stderr
    assert "no traces are sent to http://127.0.0.1:1" in said and "requirements/telemetry.lock" in said


class Collector(ThreadingHTTPServer):
    """What receives spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str]] = []  # service, name, trace id
        super().__init__(("127.0.0.1", 0), _handler(self))

    def names(self, trace: str) -> dict[str, str]:
        return {service: name for service, name, found in self.spans if found == trace}


def _handler(collector: Collector) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found = [(named["service.name"], span.name, span.trace_id.hex()) for span in scope.spans]
                    collector.spans.extend(found)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_web_and_worker_send_one_trace_to_an_endpoint(
    redis: Redis, redis_server: RedisServer, tmp_path: Path, collector: Collector
) -> None:
    environ = {
        "HEMLINE_REDIS_URL": redis_server.url, "HEMLINE_HOME": str(tmp_path), "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    predicting = worker(tmp_path / "worker.log", environ)
    web = Web(tmp_path / "web.log", environ)
    try:
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
        answer = web.http.post("/v1/predictions", {"image": b64(sample("bag"))}, 20, headers={"traceparent": CALLER})
        assert answer.status_code == 201
    finally:
        web.stop()
        predicting.stop()
    # What was not sent yet is sent when a part ends.
    assert collector.names(CALLER[3:35]) == {"hemline-web": "createPrediction", "hemline-worker": "predict"}
