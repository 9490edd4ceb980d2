"""Every error is one problem document, also where Redis is away. Nothing here needs a server."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from processes import b64, sample
from settings import Settings

IMAGE = b64(sample("bag"))
LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application with a Redis that refuses connections."""
    home = tmp_path_factory.mktemp("home")
    app = create_app(Settings(redis_url=f"unix://{home}/nobody-listens", home=home, max_body_bytes=LIMIT))

    @app.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError("a secret")

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def check(answer: TestResponse, status: int, *pointers: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.data)
    assert set(body) >= {"type", "title", "status", "detail", "instance"}
    assert (body["status"], body["instance"]) == (status, answer.request.path)
    assert [error["pointer"] for error in body.get("errors", [])] == list(pointers), body
    assert None not in body.values()
    return body


@pytest.mark.parametrize("path", [
    "/v1/predictions/nonsense", "/v1/batches/nonsense", "/v1/batches/nonsense/results", "/v1", "/v2/predictions",
    "/nothing", "/docs/nothing.js", "/console/nothing.css", "/console/../app.py", "/docs/..%2f..%2f__init__.py",
    "/v1/predictions/", "/v1/predictions/%00",
])  # fmt: skip
def test_what_is_not_there_is_a_404_document(client: FlaskClient, path: str) -> None:
    check(client.get(path), 404)


@pytest.mark.parametrize("method, path, allowed", [
    ("PUT", "/v1/predictions", {"GET", "POST"}), ("POST", "/v1/predictions/pred_x", {"GET", "DELETE"}),
    ("DELETE", "/v1/batches", {"GET", "POST"}), ("GET", "/v1/batches/batch_x/cancel", {"POST"}),
    ("POST", "/v1/models", {"GET"}), ("POST", "/health/live", {"GET"}), ("PATCH", "/openapi.json", {"GET"}),
])  # fmt: skip
def test_a_method_that_a_path_does_not_take_is_a_405_document_that_lists_what_it_takes(
    client: FlaskClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.open(path, method=method)

    assert method in check(answer, 405)["detail"]
    assert set(answer.headers["Allow"].split(", ")) >= allowed
    assert method not in answer.headers["Allow"].split(", ")


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/batches"])
@pytest.mark.parametrize("body", [b"", b"{", b"{'image': 1}", b"\xff\xfe{}", b'{"image": NaN}', b'{"image": "\\ud800"}',
                                  b"[" * 5000])  # fmt: skip
def test_a_body_that_is_not_json_is_a_400_document(client: FlaskClient, path: str, body: bytes) -> None:
    check(client.post(path, data=body, content_type="application/json"), 400, "#")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "image/png", "nonsense"])
def test_a_body_that_is_not_said_to_be_json_is_a_415_document(client: FlaskClient, kind: str | None) -> None:
    check(client.post("/v1/predictions", data=json.dumps({"image": IMAGE}), content_type=kind), 415)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/vnd.me+json"])
def test_any_way_to_say_json_will_do(client: FlaskClient, kind: str) -> None:
    check(client.post("/v1/predictions", data=json.dumps({"image": IMAGE}), content_type=kind), 503)


def test_a_body_over_the_limit_is_a_413_document_that_names_the_limit(client: FlaskClient) -> None:
    answer = client.post("/v1/predictions", data=b" " * (LIMIT + 1), content_type="application/json")

    assert str(LIMIT) in check(answer, 413)["detail"]


def test_a_body_of_exactly_the_limit_is_read(client: FlaskClient) -> None:
    answer = client.post("/v1/predictions", data=b" " * LIMIT, content_type="application/json")

    check(answer, 400, "#")


@pytest.mark.parametrize("body", [[], "x", 1, None, True, [{"image": IMAGE}]])
def test_a_body_that_is_no_object_is_a_422_document(client: FlaskClient, body: Any) -> None:
    check(client.post("/v1/predictions", data=json.dumps(body), content_type="application/json"), 422, "#")


@pytest.mark.parametrize("body, pointers", [
    ({}, ["#/image"]),
    ({"image": None}, ["#/image"]),
    ({"image": 1}, ["#/image"]),
    ({"image": ""}, ["#/image"]),
    ({"image": "!"}, ["#/image"]),
    ({"image": "é"}, ["#/image"]),
    ({"image": "data:image/png,x"}, ["#/image"]),
    ({"image": "data:"}, ["#/image"]),
    ({"image": "data:image/png;base64,"}, ["#/image"]),
    ({"image": b64(b"not a picture")}, ["#/image"]),
    ({"image": b64(sample("bag")[:300])}, ["#/image"]),
    ({"image": IMAGE, "colour": 1}, ["#/colour"]),
    ({"image": IMAGE, "a/b~c": 1}, ["#/a~1b~0c"]),
    ({"image": IMAGE, "model": 1}, ["#/model"]),
    ({"image": IMAGE, "model": None}, ["#/model"]),
    ({"image": IMAGE, "top_k": 0}, ["#/top_k"]),
    ({"image": IMAGE, "top_k": 11}, ["#/top_k"]),
    ({"image": IMAGE, "top_k": "5"}, ["#/top_k"]),
    ({"image": IMAGE, "top_k": 1.5}, ["#/top_k"]),
    ({"image": IMAGE, "metadata": []}, ["#/metadata"]),
    ({"image": IMAGE, "metadata": {"a": 1}}, ["#/metadata/a"]),
    ({"image": IMAGE, "metadata": {"a": "x" * 501}}, ["#/metadata/a"]),
    ({"image": IMAGE, "metadata": {str(i): "" for i in range(51)}}, ["#/metadata"]),
    ({"top_k": 0, "colour": 1}, ["#/image", "#/top_k", "#/colour"]),
])  # fmt: skip
def test_a_body_that_cannot_be_processed_is_a_422_document_that_points_at_what_to_change(
    client: FlaskClient, body: dict[str, Any], pointers: list[str]
) -> None:
    answer = client.post("/v1/predictions", json=body)

    assert {error["pointer"] for error in json.loads(answer.data)["errors"]} == set(pointers)
    check(answer, 422, *[error["pointer"] for error in json.loads(answer.data)["errors"]])


@pytest.mark.parametrize("body, pointer", [
    ({}, "#/images"), ({"images": []}, "#/images"), ({"images": IMAGE}, "#/images"), ({"images": [1]}, "#/images/0"),
    ({"images": [IMAGE, None]}, "#/images/1"), ({"images": [""] * 1025}, "#/images"),
    ({"images": [IMAGE], "image": IMAGE}, "#/image"),
])  # fmt: skip
def test_a_batch_that_cannot_be_processed_is_a_422_document(client: FlaskClient, body: Any, pointer: str) -> None:
    check(client.post("/v1/batches", json=body), 422, pointer)


@pytest.mark.parametrize("query, pointer", [
    ("limit=0", "?limit"), ("limit=101", "?limit"), ("limit=x", "?limit"), ("cursor=x", "?cursor"),
    ("cursor=", "?cursor"), ("sort=asc", "?sort"),
])  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/batches"])
def test_a_query_that_nobody_understands_is_a_422_document(
    client: FlaskClient, path: str, query: str, pointer: str
) -> None:
    check(client.get(f"{path}?{query}"), 422, pointer)


ULID = "01KBQ8Z6J0V6M3Y8F5W2T4N7RC"


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/v1/predictions", {"image": IMAGE}), ("POST", "/v1/batches", {"images": [IMAGE]}),
    ("GET", f"/v1/predictions/pred_{ULID}", None), ("DELETE", f"/v1/predictions/pred_{ULID}", None),
    ("GET", "/v1/predictions", None), ("GET", "/v1/batches", None), ("GET", f"/v1/batches/batch_{ULID[:-2]}00", None),
    ("POST", f"/v1/batches/batch_{ULID[:-2]}00/cancel", None),
    ("GET", f"/v1/batches/batch_{ULID[:-2]}00/results", None),
    ("GET", "/v1/models", None), ("GET", "/v1/aliases", None), ("GET", "/v1/aliases/production/history", None),
])  # fmt: skip
def test_while_redis_is_away_the_answer_is_503_and_says_when_to_try_again(
    client: FlaskClient, method: str, path: str, body: Any
) -> None:
    answer = client.open(path, method=method, json=body) if body else client.open(path, method=method)

    assert check(answer, 503)["type"] == "urn:hemline:problem:unavailable"
    assert int(answer.headers["Retry-After"]) >= 1


def test_while_redis_is_away_a_wait_is_not_held(client: FlaskClient) -> None:
    answer = client.post("/v1/predictions", json={"image": IMAGE}, headers={"Prefer": "wait=30"})

    check(answer, 503)


def test_while_redis_is_away_the_service_lives_but_is_not_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "live"}
    answer = client.get("/health/ready")

    assert "redis" in check(answer, 503)["detail"]
    assert answer.headers["Retry-After"]


def test_an_unforeseen_error_is_a_500_document_that_tells_nothing(client: FlaskClient) -> None:
    answer = client.get("/broken")

    check(answer, 500)
    assert "secret" not in answer.text and "ZeroDivision" not in answer.text


def test_a_head_request_is_answered_as_a_get_without_a_body(client: FlaskClient) -> None:
    assert client.head("/health/live").data == b""
    assert client.head("/health/live").status_code == 200


def test_many_slashes_lead_to_the_path_without_them(client: FlaskClient) -> None:
    answer = client.get("/health//live")

    assert answer.status_code == 308
    assert Path(answer.headers["Location"]).name == "live"
