"""Where the processor time of one waited prediction goes: `python -m tests.benchmarks.budget`.

Two measurements. The running product under closed load says what each part spends on a prediction: its processes' CPU
time by the kernel's account, over the predictions. Then each step is run by itself, many times in a row, in this
process; the least of several turns counts. What a part spends beyond its steps is the row of what cannot be run by
itself: the HTTP server, the event loop, waking up, and that nothing is in the caches when its turn comes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from redis import Redis

from api import predictions, responses
from api.app import create_app
from api.schemas import PredictionRequestSchema
from ml.images import read_plain_image
from ml.runtime import Classifier, Predictions
from settings import Settings
from tests.benchmarks.load import closed
from tests.benchmarks.pictures import pictures, write_bodies
from tests.benchmarks.servers import hemline, running
from tests.processes import RedisServer
from workers import ids
from workers.app import connect
from workers.groups import ALIASES, VERSIONS, Groups
from workers.inference import _results
from workers.records import PIXELS, RESULT, Answer, Item, Stored

_TURNS = 7
_ENVIRON = {
    "REQUEST_METHOD": "GET", "PATH_INFO": f"/v1/predictions/pred_{'0' * 26}", "QUERY_STRING": "", "SCRIPT_NAME": "",
    "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "127.0.0.1:8000",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
}  # fmt: skip
_SHIPPED = Path(__file__).parents[2] / "ml" / "shipped" / "small"


class Row(NamedTuple):
    """A step: the part whose process does it, and its microseconds of CPU a prediction."""

    part: str
    step: str
    microseconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.budget", description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/bench/budget.json"))
    options = parser.parse_args()
    images = pictures(os.environ.get("HEMLINE_DATA_DIR", ""))
    spent, batch = _under_load(images, options.connections, options.seconds)
    rows = list(_steps(images, batch))
    for part in ("web", "worker", "redis"):
        rest = spent[part] - sum(row.microseconds for row in rows if row.part == part)
        rows.append(Row(part, _REST[part], rest))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"batch": batch, "rows": rows, "spent": spent}, indent=1))
    print(f"CPU of a waited prediction at {options.connections} connections, in batches of {batch} on average:\n")
    print("| part | step | µs |\n| --- | --- | --- |")
    for part in ("web", "worker", "redis"):
        for row in sorted((row for row in rows if row.part == part), key=lambda row: -row.microseconds):
            print(f"| {part} | {row.step} | {row.microseconds:.0f} |")
    print(f"| | **all** | **{sum(spent.values()):.0f}** |")


_REST = {
    "web": "HTTP, event loop, publishing and hearing, waking up, caches gone cold",
    "worker": "taking messages, caches gone cold; Celery, which brings one message in ten seconds of load",
    "redis": "commands in and out, messages, publishing, append-only file",
}


def _under_load(images: list[str], connections: int, seconds: int) -> tuple[dict[str, float], int]:
    """Microseconds of CPU a prediction by part, and the mean size of a batch."""
    with tempfile.TemporaryDirectory(prefix="hemline-bench-") as folder:
        single, bulk = write_bodies(Path(folder), images)
        with running(hemline(single, bulk, HEMLINE_TRAINING_WORKERS="0")) as instance:
            closed(instance.url, instance.server.ways.waited, connections, 2)  # warm
            before = instance.cpu()
            load = closed(instance.url, instance.server.ways.waited, connections, seconds)
            after = instance.cpu()
    sizes = load.batch_sizes
    mean = sum(size * count for size, count in sizes.items()) / max(1, sum(sizes.values()))
    parts = ("web", "worker", "redis")
    return {part: (after[part] - before[part]) * 1e6 / load.answered for part in parts}, max(1, round(mean))


def _steps(images: list[str], batch: int) -> Iterator[Row]:
    bodies = [orjson.dumps({"image": image}) for image in images]
    schema = PredictionRequestSchema()
    fields = [schema.load(orjson.loads(body)) for body in bodies]
    files = [predictions.decode(image) for image in images]
    contracts = [read_plain_image(file) for file in files]
    items = [
        predictions.item_of(contract, {"top_k": 10, "metadata": None, "decode_ms": 0.05}, False)
        for contract in contracts if contract
    ]  # fmt: skip
    assert len(items) == len(images)
    yield from _web_steps(bodies, fields, items, batch)
    yield from _worker_and_redis_steps(items, batch)


def _web_steps(
    bodies: list[bytes], fields: list[dict[str, Any]], items: list[Item], batch: int
) -> Iterator[Row]:
    app = create_app(Settings(redis_url="redis://127.0.0.1:1"))
    load = PredictionRequestSchema().load
    now = time.time_ns() // 1000
    result = np.zeros(1, RESULT)
    result["probabilities"], result["started"], result["completed"] = np.linspace(0, 0.18, 10), now, now
    content = result.tobytes()
    stored = [
        Stored(f"pred:{'0' * 24}", place % 64, "v1", now, 3600, item.doc, item.pixels)
        for place, item in enumerate(items)
    ]
    groups = Groups.from_settings(Redis(port=1), Settings())

    def dispatch(_: Any) -> None:
        with app.request_context(_ENVIRON):
            app.preprocess_request()
            app.process_response(app.response_class(b"", 201))

    def respond(each: Stored) -> None:
        prediction = each.succeeded(content)
        responses.json(predictions.document(prediction), 201, predictions._server_timing(prediction))

    def gather(part: list[Item]) -> None:
        groups.submission(f"pred:{'0' * 24}", "production", part)

    yield _row("web", "context, routing, hooks (Flask)", dispatch, bodies)
    yield _row("web", "JSON, validation (orjson, marshmallow)", lambda body: load(orjson.loads(body)), bodies)
    yield _row("web", "base64, PNG", lambda field: read_plain_image(predictions.decode(field["image"])), fields)
    yield _row("web", "coalescing: the records and the message of a batch", gather, _batches(items, batch), batch)
    with app.app_context():
        yield _row("web", "the answer: ranking, preview, JSON", respond, stored)


def _worker_and_redis_steps(items: list[Item], batch: int) -> Iterator[Row]:
    card = json.loads((_SHIPPED / "card.json").read_text())
    classifier = Classifier(card, lambda name: (_SHIPPED / name).read_bytes())
    network = classifier._network
    parts = _batches(items, batch)
    pixels = [np.frombuffer(b"".join(item.pixels for item in part), np.uint8).reshape(-1, PIXELS) for part in parts]
    inference = _row("worker", "inference (LiteRT)", lambda some: network._run(some, True), pixels, batch)
    whole = _row("worker", "", classifier.classify, pixels, batch)
    yield inference
    yield Row("worker", "calibration, novelty", whole.microseconds - inference.microseconds)
    with _store() as (redis, groups):
        began = time.process_time()
        used = _redis_seconds(redis)
        for part in parts:
            _round(groups, part)
        here, there = time.process_time() - began, _redis_seconds(redis) - used
        yield Row("redis", "three scripts: accept, take, answer", there * 1e6 / (len(parts) * batch))
        began = time.process_time()
        for part in parts:
            groups.submit(ids.new_group("pred"), "production", part)
        accepting = time.process_time() - began
        yield Row("worker", "the result: taking and answering a batch", (here - accepting) * 1e6 / (len(parts) * batch))


def _round(groups: Groups, items: list[Item]) -> None:
    accepted = groups.submit(ids.new_group("pred"), "production", items)
    for piece in groups.slices(accepted.group, len(items)):
        taken = groups.begin(piece)
        assert taken is not None
        answers = _results(Predictions(*_answers(len(taken.places))), taken.now, 0.001)
        groups.finish(piece, [
            Answer(place, "s", answer.tobytes()) for place, answer in zip(taken.places, answers, strict=True)
        ])


def _answers(count: int) -> tuple[Any, Any, Any]:
    return np.full((count, 10), 0.1, np.float32), np.zeros(count, np.float32), np.ones(count, bool)


@contextmanager
def _store() -> Iterator[tuple[Redis, Groups]]:
    with tempfile.TemporaryDirectory(prefix="hemline-bench-") as folder:
        server = RedisServer(Path(folder))
        redis = connect(server.url)
        redis.sadd(VERSIONS, "v1")
        redis.hset(ALIASES, "production", "v1")
        try:
            yield redis, Groups.from_settings(redis, Settings())
        finally:
            redis.close()
            server.stop()


def _redis_seconds(redis: Redis) -> float:
    used: Any = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _batches(items: list[Item], size: int) -> list[list[Item]]:
    return [items[start : start + size] for start in range(0, len(items) - size + 1, size)]


def _row(part: str, step: str, do: Callable[[Any], Any], things: Sequence[Any], each: int = 1) -> Row:
    """A step's time for one of the things, or one of the `each` predictions that are in one of them."""
    least = float("inf")
    for _ in range(_TURNS):
        began = time.process_time()
        for thing in things:
            do(thing)
        least = min(least, time.process_time() - began)
    return Row(part, step, least * 1e6 / (len(things) * each))


if __name__ == "__main__":
    main()
