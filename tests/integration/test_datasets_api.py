"""Data sets over HTTP: each form of file, each way in which a file can be wrong, and what deleting one must not do."""

import gzip
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from redis import Redis
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from api import datasets as resource
from api.app import create_app
from ml.artifacts import FileArtifacts
from ml.datasets import Dataset, read_file
from ml.images import CLASS_NAMES, render_preview
from processes import ROOT, Client, RedisServer, assert_problem
from settings import Settings
from workers.datasets import DatasetInUse, DatasetStore, UnknownDataset

SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"
PAIR = {part: (SAMPLE / f"train-{part}-{kind}-ubyte.gz").read_bytes() for part, kind in
        (("images", "idx3"), ("labels", "idx1"))}  # fmt: skip
LIMIT = 2 * 1024 * 1024


def sample() -> Dataset:
    images, labels = read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return Dataset(images, labels)


def csv(data: Dataset, header: bool = False) -> bytes:
    lines = ["label," + ",".join(f"pixel{n}" for n in range(1, 785))] if header else []
    rows = np.column_stack([data.labels, data.images.reshape(len(data), -1)])
    return "\n".join(lines + [",".join(map(str, row)) for row in rows]).encode()


def zipped(data: Dataset) -> bytes:
    pictures = (render_preview(image.tobytes()) for image in data.images)
    folders = (CLASS_NAMES[label].replace("/", "-") for label in data.labels)
    return packed({f"{folder}/{n}.png": picture for n, (folder, picture) in enumerate(zip(folders, pictures))})


def packed(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, picture in entries.items():
            archive.writestr(name, picture)
    return content.getvalue()


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


FEW = sample().take(np.arange(12))
FORMS = {
    "csv": {"file": csv(FEW)},
    "csv with a header": {"file": csv(FEW, header=True)},
    "zip": {"file": zipped(FEW)},
    "idx": {"images": idx(FEW.images), "labels": idx(FEW.labels)},
    "gzipped idx": {"images": gzip.compress(idx(FEW.images)), "labels": gzip.compress(idx(FEW.labels))},
    "idx, one of it gzipped": {"images": gzip.compress(idx(FEW.images)), "labels": idx(FEW.labels)},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Flask:
    settings = Settings(
        redis_url=redis_server.url, home=tmp_path_factory.mktemp("home"), max_dataset_bytes=LIMIT, max_body_bytes=4096,
        max_wait=0.1,
    )  # fmt: skip
    return create_app(settings)


@pytest.fixture
def client(app: Flask, redis: Redis) -> Iterator[FlaskClient]:
    """The service without any data set or job."""
    store = app.extensions["hemline"].datasets
    for name in store.names():
        store.delete(name, lambda: None)
    with app.test_client() as client:
        yield client


def upload(client: FlaskClient, files: dict[str, bytes], **words: Any) -> TestResponse:
    parts = {name: FileStorage(io.BytesIO(content), name) for name, content in files.items()}
    boundary, body = encode_multipart({**parts, **words})
    return client.post("/v1/datasets", data=body, content_type=f"multipart/form-data; boundary={boundary}")


def uploaded(client: FlaskClient, **words: Any) -> str:
    answer = upload(client, FORMS["idx"], **words)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def check(answer: TestResponse, status: int, pointer: str = "", says: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.data)
    assert {error["pointer"] for error in body.get("errors", [])} == ({pointer} if pointer else set()), body
    detail = body["errors"][0]["detail"] if pointer else body["detail"]
    assert re.search(says, detail), detail


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_pictures_makes_the_same_data_set(client: FlaskClient, form: str) -> None:
    answer = upload(client, FORMS[form], name="few", description="of them")

    assert answer.status_code == 201, answer.text
    made = answer.json
    assert re.fullmatch("ds_[0-9A-HJKMNP-TV-Z]{26}", made["id"])
    assert answer.headers["Location"] == f"/v1/datasets/{made['id']}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made.pop("created_at"))
    counts = np.bincount(FEW.labels, minlength=10).tolist()
    assert made == {
        "id": made["id"], "name": "few", "description": "of them", "items": 12, "sha256": FEW.digest,
        "classes": dict(zip(CLASS_NAMES, counts, strict=True)),
    }  # fmt: skip
    found = client.get(answer.headers["Location"])
    assert found.json == answer.json
    assert client.get(answer.headers["Location"], headers={"If-None-Match": found.headers["ETag"]}).status_code == 304


def test_a_data_set_without_words_has_no_empty_ones(client: FlaskClient) -> None:
    assert not {"name", "description"} & client.get(f"/v1/datasets/{uploaded(client)}").json.keys()


def test_what_was_stored_is_what_is_trained_on(client: FlaskClient, app: Flask) -> None:
    assert app.extensions["hemline"].datasets.load(uploaded(client)).digest == FEW.digest


def test_a_zip_may_hold_photos_deeper_folders_and_what_finder_leaves_there(client: FlaskClient) -> None:
    photo = (ROOT / "api" / "console" / "samples" / "coat.png").read_bytes()
    entries = {"mine/Coat/1.png": photo, "mine/4/2.png": photo, "mine\\ankle_boot\\3.png": photo,
               "__MACOSX/Coat/._1.png": b"x", "mine/.DS_Store": b"x", "mine/Coat/Thumbs.db": b"x"}  # fmt: skip
    made = upload(client, {"file": packed(entries)}).json
    assert (made["items"], made["classes"]["Coat"], made["classes"]["Ankle boot"]) == (3, 2, 1)


def broken_csv(row: int, column: int, cell: str) -> bytes:
    rows = [line.split(b",") for line in csv(FEW).split(b"\n")]
    rows[row - 1][column - 1] = cell.encode()
    return b"\n".join(b",".join(cells) for cells in rows)


PNG = render_preview(bytes(784))


@pytest.mark.parametrize("content, says", [
    (b"", "CSV file is empty"),
    (broken_csv(3, 1, "10"), "Row 3, column 1: '10' is no label, a whole number from 0 to 9"),
    (broken_csv(12, 785, "256"), "Row 12, column 785: '256' is no pixel"),
    (broken_csv(2, 5, "a"), "Row 2, column 5: 'a' is no pixel"),
    (broken_csv(2, 5, "1_0"), "Row 2, column 5: '1_0' is no pixel"),
    (broken_csv(4, 9, "1,2"), "Row 4 has 786 columns; the first row has 785"),
    (b"\n".join(line.split(b",", 1)[1] for line in csv(FEW).split(b"\n")), "have no labels"),
    (csv(FEW, header=True).split(b"\n")[0], "a header but no rows"),
    (b"0" * 100_000, "Row 1 has 1 columns"),
    (PNG, "Row 1 has"),
    (idx(FEW.images), "Send an IDX pair as `images` and `labels`"),
    (gzip.compress(csv(FEW), mtime=0), "unpack a CSV"),
    (b"PK no more", "ZIP file is damaged"),
    (zipped(FEW)[:-30], "ZIP file is damaged"),
    (packed({}), "holds 0 pictures"),
    (packed({"hats/1.png": PNG}), "hats/1.png: its folder 'hats' is no class; use t-shirt-top, trouser"),
    (packed({"1.png": PNG}), "1.png: its folder '' is no class"),
    (packed({"9" * 5000 + "/1.png": PNG}), "is no class"),
    (packed({"Coat/1.png": PNG, "Coat/2.png": b"no picture"}), "Coat/2.png: "),
    (packed({"Coat/1.png": PNG[:-20]}), "Coat/1.png: "),
    (packed({"../../Coat/1.txt": b"root:x:0:0"}), "../../Coat/1.txt: "),
    (packed({"Coat/1.png": PNG}, zipfile.ZIP_LZMA), "Coat/1.png: its compression is unusual"),
    (packed({"Coat/bomb.png": bytes(33 * 1024 * 1024)}), "Coat/bomb.png is larger than 33,554,432 bytes"),
    (packed({"Coat/1.png": PNG}).replace(b"Coat/1.png", b"Coat/1.pmg", 1), "Coat/1.png is damaged"),
])  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_the_place(client: FlaskClient, content: bytes, says: str) -> None:
    check(upload(client, {"file": content}), 422, "#/file", says)
    assert client.get("/v1/datasets").json["items"] == []


@pytest.mark.parametrize("files, pointer, says", [
    ({"images": PNG}, "#/labels", "go together"),
    ({"labels": PAIR["labels"]}, "#/images", "go together"),
    ({}, "#/file", "Send a CSV or a ZIP file as `file`"),
    ({"file": csv(FEW), **PAIR}, "#/file", "either `file`, or"),
    ({"file": csv(FEW), "labels": PAIR["labels"]}, "#/file", "either `file`, or"),
    ({"pictures": zipped(FEW)}, "#/pictures", "Unknown field"),
    (PAIR | {"images": PNG}, "#/images", "no IDX file"),
    (PAIR | {"images": PAIR["images"][:-20]}, "#/images", "gzip file is damaged"),
    (PAIR | {"images": idx(np.zeros((300, 32, 32), np.uint8))}, "#/images", "32x32 pixels; they must be 28x28"),
    (PAIR | {"images": gzip.compress(bytes(3 * LIMIT))}, "#/images", "holds more than"),
    (PAIR | {"labels": idx(np.zeros(7, np.uint8))}, "#/labels", "do not go with 7 labels"),
    (PAIR | {"labels": idx(np.full(300, 10, np.uint8))}, "#/labels", "Label 10 of item 1"),
    ({"images": PAIR["labels"], "labels": PAIR["images"]}, "#/images", "3 dimension"),
    ({"images": idx(np.zeros((0, 28, 28), np.uint8)), "labels": idx(np.zeros(0, np.uint8))}, "#/images", "no pictures"),
])  # fmt: skip
def test_a_form_that_is_wrong_is_refused_with_the_part(
    client: FlaskClient, files: dict[str, bytes], pointer: str, says: str
) -> None:
    check(upload(client, files, name="x"), 422, pointer, says)


@pytest.mark.parametrize("words, pointer, says", [
    ({"name": ""}, "#/name", "between 1 and 100"),
    ({"name": "x" * 101}, "#/name", "between 1 and 100"),
    ({"description": "x" * 501}, "#/description", "maximum length 500"),
    ({"name": ["a", "b"]}, "#/name", "once"),
    ({"colour": "red"}, "#/colour", "Unknown field"),
])  # fmt: skip
def test_words_have_limits(client: FlaskClient, words: dict[str, Any], pointer: str, says: str) -> None:
    check(upload(client, FORMS["idx"], **words), 422, pointer, says)


def test_a_file_sent_as_a_word_is_told_from_one(client: FlaskClient) -> None:
    answer = client.post("/v1/datasets", data={"file": "1,2,3"}, content_type="multipart/form-data")
    check(answer, 422, "#/file", "Send it as a file")


def test_an_archive_of_too_many_entries_is_not_opened(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.dataset_files.MAX_ENTRIES", 11)
    check(upload(client, {"file": zipped(FEW)}), 422, "#/file", "has 12 entries; at most 11")


def test_pictures_of_an_archive_share_a_budget(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    large = io.BytesIO()
    Image.new("L", (100, 100)).save(large, "PNG")
    pictures = {"file": packed({f"Coat/{n}.png": large.getvalue() for n in range(3)})}
    monkeypatch.setattr("ml.dataset_files.MAX_PIXELS_TOGETHER", 3 * 9999)
    check(upload(client, pictures), 422, "#/file", "Coat/0.png: .*9,?999")
    monkeypatch.setattr("ml.dataset_files.MAX_PIXELS_TOGETHER", 3 * 10000)
    assert upload(client, pictures).status_code == 201
    monkeypatch.setattr(resource, "_UNPACKING", 0)
    check(upload(client, {"file": zipped(FEW)}), 422, "#/file", "more than 0 bytes")


@pytest.mark.parametrize("body, content_type", [
    (b"{}", "application/json"), (b"file=1", "application/x-www-form-urlencoded"), (b"1,2", "text/csv"), (b"", None),
])  # fmt: skip
def test_only_forms_with_files_are_taken(client: FlaskClient, body: bytes, content_type: str | None) -> None:
    check(client.post("/v1/datasets", data=body, content_type=content_type), 415, says="multipart/form-data")


def test_a_form_without_a_boundary_has_no_parts(client: FlaskClient) -> None:
    check(client.post("/v1/datasets", data=b"x", content_type="multipart/form-data"), 422, "#/file")


def test_data_sets_have_a_limit_of_their_own(client: FlaskClient) -> None:
    assert len(FORMS["idx"]["images"]) > 4096  # which is what other bodies may have
    check(upload(client, {"file": bytes(LIMIT)}), 413, says=f"larger than {LIMIT} bytes")
    check(upload(client, {}, description="x" * 600_000), 413, says="text fields")


def test_uploads_are_read_one_at_a_time(client: FlaskClient) -> None:
    with resource._one_upload:
        answer = upload(client, FORMS["idx"])
    check(answer, 503, says="Another upload is being read")
    assert answer.headers["Retry-After"]
    assert uploaded(client)


def test_data_sets_are_listed_newest_first_page_by_page(client: FlaskClient) -> None:
    made = [uploaded(client, name=f"number {n}") for n in range(5)]

    path, found, pages = "/v1/datasets?limit=2", [], 0
    while path:
        answer = client.get(path)
        found += [item["id"] for item in answer.json["items"]]
        link = re.fullmatch('<(.+)>; rel="next"', answer.headers.get("Link", ""))
        assert ("next_cursor" in answer.json) == (link is not None)
        path, pages = link[1] if link else "", pages + 1
    assert (found, pages) == (made[::-1], 3)
    assert client.get("/v1/datasets").json["items"][0]["name"] == "number 4"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=ds_1", "colour=red"])
def test_a_page_that_cannot_be_is_refused(client: FlaskClient, query: str) -> None:
    check(client.get(f"/v1/datasets?{query}"), 422, f"?{query.partition('=')[0]}")


@pytest.mark.parametrize("name", [
    "ds_01KBQ8Z6J0V6M3Y8F5W2T4N700", "fashion-mnist", "ds_", "..", "%2e%2e%2fmodels", "%00",
])  # fmt: skip
def test_a_data_set_that_does_not_exist_is_not_found(client: FlaskClient, name: str) -> None:
    check(client.get(f"/v1/datasets/{name}"), 404)
    check(client.delete(f"/v1/datasets/{name}"), 404)


def test_a_deleted_data_set_is_as_if_it_had_never_been(client: FlaskClient, app: Flask) -> None:
    name = uploaded(client)
    assert client.delete(f"/v1/datasets/{name}").status_code == 204

    check(client.get(f"/v1/datasets/{name}"), 404)
    check(client.delete(f"/v1/datasets/{name}"), 404)
    check(client.post("/v1/training-jobs", json={"dataset": name}), 422, "#/dataset")
    with pytest.raises(UnknownDataset):
        app.extensions["hemline"].datasets.load(name)


@pytest.mark.parametrize("path, more", [
    ("/v1/training-jobs", {}), ("/v1/tuning-jobs", {"search_space": {"learning_rate": {"low": 0.1, "high": 1.0}}}),
])  # fmt: skip
def test_a_data_set_stays_while_a_job_waits_for_it(client: FlaskClient, path: str, more: dict[str, Any]) -> None:
    name, other = uploaded(client), uploaded(client)
    job = client.post(path, json={"dataset": name, **more})
    assert job.status_code == 202, job.text

    check(client.delete(f"/v1/datasets/{name}"), 409, says=f"{job.json['id']} uses {name}")
    assert client.get(f"/v1/datasets/{name}").status_code == 200
    assert client.delete(f"/v1/datasets/{other}").status_code == 204
    assert client.post(f"{path}/{job.json['id']}/cancel").status_code == 202
    assert client.delete(f"/v1/datasets/{name}").status_code == 204


def test_a_data_set_stays_while_a_job_runs(client: FlaskClient, app: Flask) -> None:
    name = uploaded(client)
    job = client.post("/v1/training-jobs", json={"dataset": name}).json["id"]
    assert app.extensions["hemline"].jobs.claim(job) is not None

    check(client.delete(f"/v1/datasets/{name}"), 409, says=f"{job} uses {name}")


def test_a_data_set_returns_when_a_job_came_while_it_was_deleted(tmp_path: Path) -> None:
    store = DatasetStore(FileArtifacts(tmp_path))
    name = "ds_01KBQ8Z6J0V6M3Y8F5W2T4N700"
    store.put(name, FEW, {"id": name})
    users: Iterator[str | None] = iter([None, "job_1"])

    with pytest.raises(DatasetInUse, match="job_1 uses ds_"):
        store.delete(name, lambda: next(users))
    assert store.sheet(name) == {"id": name}
    assert store.load(name).digest == FEW.digest


def test_the_service_takes_data_sets_and_refuses_those_over_the_limit(http: Client) -> None:
    answer = http.request("POST", "/v1/datasets", files=PAIR, data={"name": "the sample"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["sha256"] == sample().digest
    assert [item["id"] for item in http.pages("/v1/datasets", limit=1)] == [answer.json()["id"]]
    assert http.delete(answer.headers["Location"]).status_code == 204

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(257):
            yield bytes(1024 * 1024)
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert_problem(http.request("POST", "/v1/datasets", data=endless(), headers=headers), 413)
