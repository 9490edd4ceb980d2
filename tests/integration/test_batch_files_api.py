"""Batches from files over HTTP, with a real Redis and a real worker, whatever dies meanwhile."""

import csv
import gzip
import io
import json
import signal
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from redis import Redis

from ml.datasets import Dataset, read_file
from ml.images import CLASS_NAMES, render_preview
from processes import (
    ROOT, SAMPLES, Client, Process, RedisServer, Service, Web, assert_problem, b64, eventually, sample, worker,
)  # fmt: skip

FOLDER = ROOT / "tests" / "data" / "fashion-mnist-sample"
LIMIT = 3 * 1024 * 1024
MOST = 4000


def pictures() -> Dataset:
    images, labels = read_file(FOLDER / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return Dataset(images, labels)


DATA = pictures()
IMAGES = (FOLDER / "train-images-idx3-ubyte.gz").read_bytes()
LABELS = (FOLDER / "train-labels-idx1-ubyte.gz").read_bytes()


def rows(data: Dataset, labels: bool = True) -> list[str]:
    flat = data.images.reshape(len(data), -1)
    return [",".join(map(str, row)) for row in (np.column_stack([data.labels, flat]) if labels else flat)]


def packed(entries: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, picture in entries.items():
            archive.writestr(name, picture)
    return content.getvalue()


def many(count: int) -> bytes:
    """An IDX file of so many pictures, gzipped."""
    images = np.concatenate([DATA.images] * (count // len(DATA) + 1))[:count]
    return gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, count, 28, 28) + images.tobytes(), 1)


def upload(http: Client, files: dict[str, bytes], wait: int | None = None, **words: Any) -> requests.Response:
    headers = {} if wait is None else {"Prefer": f"wait={wait}"}
    parts = {name: (f"some.{name}", content) for name, content in files.items()}
    return http.request("POST", "/v1/batches", files=parts, data=words, headers=headers)


def lines(http: Client, batch: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in http.get(f"/v1/batches/{batch['id']}/results").text.splitlines()]


def ended(http: Client, path: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        body: dict[str, Any] = http.get(path, headers={"Prefer": "wait=5"}).json()
        return body if body["status"] not in ("queued", "running") else None

    return eventually(final, f"{path} ends", 200)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Client]:
    """Another web process of the service, with limits that tests can reach."""
    limits = {"HEMLINE_MAX_BATCH_BYTES": str(LIMIT), "HEMLINE_MAX_BATCH_ITEMS": str(MOST)}
    web = Web(tmp_path_factory.mktemp("limited") / "web.log", service.environ | limits)
    yield web.http
    web.stop()


FEW = DATA.take(np.arange(100))
CSV = "\n".join(rows(FEW)).encode()
HEADER = ("label," + ",".join(f"pixel{n}" for n in range(1, 785)) + "\n").encode()


@pytest.mark.parametrize("files", [
    pytest.param({"file": CSV}, id="csv"),
    pytest.param({"file": HEADER + CSV}, id="csv with a header"),
    pytest.param({"file": packed({
        f"{CLASS_NAMES[label].replace('/', '-')}/{n}.png": render_preview(image.tobytes())
        for n, (image, label) in enumerate(zip(FEW.images, FEW.labels))
    })}, id="zip"),
])  # fmt: skip
def test_every_form_of_the_same_pictures_gives_the_same_answers(http: Client, files: dict[str, bytes]) -> None:
    answer = upload(http, files, wait=20, top_k=2, metadata='{"sku": "A-17"}')
    batch = answer.json()
    found = lines(http, batch)

    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/batches/{batch['id']}"
    assert batch["metadata"] == {"sku": "A-17"} and batch["counts"]["succeeded"] == 100
    assert [line["index"] for line in found] == list(range(100))
    assert [line["expected"] for line in found] == [CLASS_NAMES[label] for label in FEW.labels]
    assert [line["expected_class_id"] for line in found] == FEW.labels.tolist()
    assert all(len(line["result"]["probabilities"]) == 2 and "preview" not in line["result"] for line in found)
    matrix = np.zeros((10, 10), int)
    for line in found:
        matrix[line["expected_class_id"], line["result"]["class_id"]] += 1
    result = batch["result"]
    assert (result["judged"], result["confusion_matrix"]) == (100, matrix.tolist())
    assert result["accuracy"] == round(np.trace(matrix) / 100, 6) > 0.8


def test_an_idx_pair_is_judged_and_images_alone_are_answered(http: Client) -> None:
    pair = upload(http, {"file": IMAGES, "labels": LABELS}, wait=20).json()
    alone = upload(http, {"file": gzip.decompress(IMAGES)}, wait=20).json()

    assert pair["counts"]["succeeded"] == alone["counts"]["succeeded"] == len(DATA)
    assert pair["result"]["judged"] == len(DATA)
    assert not {"judged", "accuracy", "confusion_matrix"} & alone["result"].keys()
    first, second = lines(http, pair), lines(http, alone)
    assert [line["result"]["class_id"] for line in first] == [line["result"]["class_id"] for line in second]
    assert "expected" not in second[0]


def test_a_file_answers_as_single_pictures_do(http: Client) -> None:
    file = packed({f"{name}.png": sample(name) for name in SAMPLES})
    found = lines(http, upload(http, {"file": file}, wait=20).json())
    single = http.post("/v1/batches", {"images": [b64(sample(name)) for name in SAMPLES]}, wait=20).json()

    assert [line["name"] for line in found] == [f"{name}.png" for name in SAMPLES]
    assert [line["result"]["label"] for line in found] == list(SAMPLES.values())
    for mine, other in zip(found, lines(http, single), strict=True):
        del other["result"]["preview"]
        assert mine["result"] == other["result"]


def test_good_and_bad_pictures_are_told_apart_line_by_line(http: Client) -> None:
    bad = rows(FEW)[:6]
    bad[1] = bad[1] + ",1"
    bad[4] = "x" + bad[4][1:]
    batch = upload(http, {"file": "\n".join(bad).encode()}, wait=20).json()
    found = lines(http, batch)

    assert batch["status"] == "succeeded" and batch["result"]["judged"] == 4
    assert [line["status"] for line in found] == [
        "succeeded", "failed", "succeeded", "succeeded", "failed", "succeeded",
    ]  # fmt: skip
    assert found[1]["error"]["detail"] == "Row 2 has 786 columns; the first row has 785."
    assert found[4]["error"]["code"] == "invalid_row"
    text = http.get(f"/v1/batches/{batch['id']}/results", headers={"Accept": "text/csv"})
    table = list(csv.DictReader(io.StringIO(text.text)))
    assert text.headers["Content-Type"].startswith("text/csv")
    assert [row["status"] for row in table] == [line["status"] for line in found]
    assert [row["expected"] for row in table] == [line.get("expected", "") for line in found]
    assert [row["label"] for row in table] == [line.get("result", {}).get("label", "") for line in found]


def test_a_file_of_nothing_but_bad_pictures_ends_at_once(http: Client) -> None:
    batch = upload(http, {"file": packed({"Coat/1.png": b"x", "2.png": b"y"})}).json()

    assert batch["status"] == "succeeded" and batch["result"]["failed"] == 2
    assert batch["result"]["judged"] == 0 and "accuracy" not in batch["result"]
    found = lines(http, batch)
    assert [line.get("expected") for line in found] == ["Coat", None]
    assert http.delete(f"/v1/batches/{batch['id']}").status_code == 204


@pytest.mark.parametrize("files, pointers, says", [
    ({"labels": LABELS}, ["#/file"], "Missing data"),
    ({"file": b""}, ["#/file"], "empty"),
    ({"file": sample("bag")}, ["#/file"], "no CSV of pictures"),
    ({"file": b"PK\3\4 no more"}, ["#/file"], "damaged"),
    ({"file": packed({"../1.png": b"x"})}, ["#/file"], "leads out"),
    ({"file": many(MOST + 1)}, ["#/file"], "at most 4,000"),
    ({"file": IMAGES[:-10]}, ["#/file"], "gzip file is damaged"),
    ({"file": IMAGES, "labels": IMAGES}, ["#/labels"], "holds more than"),
    ({"file": CSV, "labels": LABELS}, ["#/file"], "go with an IDX"),
    ({"file": CSV, "pictures": CSV}, ["#/pictures"], "Unknown field"),
])  # fmt: skip
def test_a_file_that_is_none_is_refused_and_nothing_of_it_stays(
    http: Client, service: Service, files: dict[str, bytes], pointers: list[str], says: str
) -> None:
    before = set(service.redis.keys("hemline:batch:*"))
    body = assert_problem(upload(http, files, top_k=3), 422, *pointers)

    assert says in body["errors"][0]["detail"]
    assert set(service.redis.keys("hemline:batch:*")) <= before


@pytest.mark.parametrize("words, pointer", [
    ({"top_k": "11"}, "#/top_k"), ({"top_k": "x"}, "#/top_k"), ({"metadata": "{"}, "#/metadata"),
    ({"metadata": "[1]"}, "#/metadata"), ({"metadata": '{"a": 1}'}, "#/metadata"), ({"model": "v999"}, "#/model"),
    ({"file": "1,2"}, "#/file"), ({"colour": "red"}, "#/colour"),
])  # fmt: skip
def test_words_of_the_form_are_checked(http: Client, words: dict[str, str], pointer: str) -> None:
    files = {"other": b"x"} if "file" in words else {"file": CSV}
    answer = upload(http, files, **words)

    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert answer.status_code == 422 and pointer in pointers, answer.text


def test_a_file_over_the_limit_and_a_body_of_another_kind_are_refused(http: Client) -> None:
    try:
        assert_problem(upload(http, {"file": bytes(LIMIT + 1)}), 413)
    except requests.ConnectionError:
        pass  # the service may stop listening to what it has refused already
    assert_problem(http.request("POST", "/v1/batches", data=b"1", headers={"Content-Type": "text/csv"}), 415)
    broken = http.request("POST", "/v1/batches", data=b"{", headers={"Content-Type": "application/json"})
    assert_problem(broken, 400, "#")


class Own:
    """A Redis, a worker and a web process of one test's own."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder / "redis")
        self.environ = {"HEMLINE_REDIS_URL": self.redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_LEASE": "2"}
        self.log = folder / "worker.log"
        self.web = Web(folder / "web.log", self.environ)
        self.workers: list[Process] = []
        self.work()
        eventually(lambda: self.web.http.answers("/health/ready"), "the service is ready")

    def work(self) -> Process:
        """Another worker."""
        self.workers.append(worker(self.log, self.environ))
        return self.workers[-1]

    def done(self, path: str) -> int:
        """How many pictures of a batch are answered."""
        return int(self.web.http.get(path).json()["progress"]["done"])

    def stop(self) -> None:
        for process in (*self.workers, self.web, self.redis):
            process.stop()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    whole = Own(tmp_path_factory.mktemp("own"))
    yield whole
    whole.stop()


def test_a_batch_survives_its_worker_and_its_redis_and_is_listed_canceled_and_deleted(own: Own) -> None:
    http, count = own.web.http, 3000
    path = upload(http, {"file": many(count)}, top_k=1).headers["Location"]
    eventually(lambda: own.done(path) > 100, "it is at work")
    own.workers[0].kill()
    assert own.done(path) < count
    first = http.get(path)
    assert first.json()["status"] == "running" and first.headers["Retry-After"]
    assert http.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304

    own.redis.kill()
    own.redis.start()
    own.redis.await_(own.redis._answers, "Redis answers")
    assert http.get(path).json()["counts"] == first.json()["counts"]
    own.work()
    batch = ended(http, path)
    assert batch["status"] == "succeeded"
    assert (batch["counts"]["succeeded"], batch["counts"]["failed"]) == (count, 0)
    found = lines(http, batch)
    assert [line["index"] for line in found] == list(range(count))
    assert all(line["status"] == "succeeded" for line in found)

    second = upload(http, {"file": many(count)}).headers["Location"]
    eventually(lambda: own.done(second) > 100, "it is at work")
    single = http.predict(wait=20)
    assert single.status_code == 201, "a single prediction does not wait for a batch"
    assert http.post(f"{second}/cancel").status_code == 202
    stopped = ended(http, second)
    assert stopped["status"] == "canceled" and stopped["counts"]["canceled"] > 0 and "result" not in stopped
    assert_problem(http.post(f"{second}/cancel"), 409)
    states = [line["status"] for line in lines(http, stopped)]
    assert states.count("canceled") == stopped["counts"]["canceled"] and len(states) == count
    assert [each["id"] for each in http.pages("/v1/batches", limit=1)] == [stopped["id"], batch["id"]]
    for each in (path, second):
        assert http.delete(each).status_code == 204
        assert_problem(http.get(each), 404)
        assert_problem(http.get(f"{each}/results"), 404)
    assert keys_of_batches(own.redis.client) == set()
    assert int(own.redis.client.get("hemline:bulk") or 0) == 0


def test_a_web_process_that_dies_while_it_reads_leaves_nothing_visible(own: Own) -> None:
    own.workers[0].stop()
    http, died = own.web.http, []
    content = packed({f"{n}.png": sample("bag") for n in range(20_000)})

    def watch() -> bool:
        if own.redis.client.keys("hemline:batch:*"):
            own.web.send(signal.SIGKILL)
            died.append(True)
        return bool(died)

    killer = threading.Thread(target=lambda: eventually(watch, "a part is written", 60))
    killer.start()
    with pytest.raises(requests.ConnectionError):
        upload(http, {"file": content})
    killer.join()
    left = keys_of_batches(own.redis.client)
    assert left and all(0 < own.redis.client.ttl(key) <= 900 for key in left)
    own.web.popen.wait()
    own.web.start()
    eventually(lambda: http.answers("/health/live"), "the web process is back")
    assert http.get("/v1/batches").json() == {"items": []}
    assert int(own.redis.client.get("hemline:bulk") or 0) == 0


def keys_of_batches(redis: Redis) -> set[bytes]:
    return set(redis.keys("hemline:batch:*"))
