"""A user's first minutes, and everything that can be sent wrongly."""

import json
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from ml import releases
from processes import PHOTOS, ROOT, SAMPLES, Client, assert_problem, b64, eventually, photo, sample
from product import Hemline, Start

MIB = 1024 * 1024


def png(width: int, height: int, body: bytes) -> bytes:
    """A PNG of one bit a pixel whose header may say what it likes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b"")


BOMB = png(30_000, 30_000, bytes(3_000_000))


def test_it_says_where_it_is_when_it_is_ready(hemline: Hemline) -> None:
    said = hemline.output()

    assert f"http://127.0.0.1:{hemline.port}/\n" in said
    assert f"http://127.0.0.1:{hemline.port}/docs\n" in said
    assert "Traceback" not in said


def test_a_picture_is_sent_with_curl_and_its_answer_fetched(hemline: Hemline, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"image": b64(sample("sandal"))}))
    base = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"]
    made = json.loads(subprocess.check_output([
        *base, "--header", "Content-Type: application/json", "--data", f"@{body}", f"{hemline.http.url}/v1/predictions",
    ]))  # fmt: skip
    answer = json.loads(subprocess.check_output([
        *base, "--header", "Prefer: wait=20", f"{hemline.http.url}/v1/predictions/{made['id']}",
    ]))  # fmt: skip

    assert answer["status"] == "succeeded"
    assert answer["result"]["label"] == "Sandal"


every_model = pytest.mark.parametrize("model", ["production", *releases.names()[1:]])


@every_model
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_the_console_comes_out_right(http: Client, name: str, model: str) -> None:
    answer = http.predict(name, wait=20, model=model)

    assert answer.status_code == 201
    assert answer.json()["result"]["label"] == SAMPLES[name]
    assert answer.json()["result"]["is_fashion"]
    assert answer.json()["result"]["source"] == "contract"


def test_every_model_that_ships_has_an_alias_of_its_name(http: Client) -> None:
    pointing = {each["alias"]: each["version"] for each in http.get("/v1/aliases").json()["items"]}

    assert set(releases.names()) <= set(pointing)
    assert pointing["production"] == pointing["small"]
    assert len({pointing[name] for name in releases.names()}) == len(releases.names())


@every_model
@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_known_as_one_and_answered_right_where_there_is_a_network_for_photos(
    http: Client, name: str, model: str
) -> None:
    answer = http.post("/v1/predictions", {"image": b64(photo(name)), "model": model}, wait=20).json()
    card = http.get(f"/v1/models/{answer['model_version']}").json()

    assert answer["result"]["source"] == "photo"
    assert "photos" not in card or answer["result"]["label"] == PHOTOS[name]


@every_model
@pytest.mark.parametrize("picture", [sample("coat"), photo("dress")], ids=["contract", "photo"])
def test_an_explanation_comes_as_a_picture_and_training_images(http: Client, model: str, picture: bytes) -> None:
    body = {"image": b64(picture), "model": model, "explain": True}
    answer = http.post("/v1/predictions", body, wait=20).json()
    explanation = answer["result"]["explanation"]
    card = http.get(f"/v1/models/{answer['model_version']}").json()
    index = "neighbors.npz" if answer["result"]["source"] == "contract" else "photos.neighbors.npz"

    assert explanation["overlay"].startswith("data:image/png;base64,")
    assert len(explanation["neighbors"]) == (3 if index in card["sha256"] else 0)
    assert all(0 <= each["index"] < 60_000 for each in explanation["neighbors"])


@pytest.mark.parametrize("path, kind", [
    ("/", "text/html"), ("/docs", "text/html"), ("/openapi.json", "application/json"),
    ("/console/app.js", "javascript"),
    ("/console/fonts/inter.woff2", "font/woff2"), ("/console/icon.svg", "image/svg+xml"),
    ("/docs/swagger-ui.css", "text/css"), ("/console/samples/bag.png", "image/png"),
    ("/health/live", "application/json"),
])  # fmt: skip
def test_every_page_is_served(http: Client, path: str, kind: str) -> None:
    answer = http.get(path)

    assert answer.status_code == 200
    assert kind in answer.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_let_nothing_foreign_in_and_run_nothing_inline(http: Client, path: str) -> None:
    policy = http.get(path).headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy


def test_the_served_openapi_document_is_the_committed_one(http: Client) -> None:
    assert http.get("/openapi.json").json() == json.loads((ROOT / "openapi" / "openapi.json").read_bytes())


IMAGE = b64(sample("bag"))
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("data, headers, status, pointers", [
    (b"", JSON, 400, ["#"]),
    (b"image=x", JSON, 400, ["#"]),
    (b'{"image": ', JSON, 400, ["#"]),
    (b'{"image": "\xff"}', JSON, 400, ["#"]),
    (b"{}", {}, 415, []),
    (b"image=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415, []),
    (sample("bag"), {"Content-Type": "image/png"}, 415, []),
    (b" " * (8 * MIB + 1), JSON, 413, []),
], ids=["empty", "form as JSON", "cut JSON", "bad UTF-8", "untyped", "form", "picture", "too large"])  # fmt: skip
def test_a_body_that_is_not_the_json_wanted_is_refused(
    http: Client, data: bytes, headers: dict[str, str], status: int, pointers: list[str]
) -> None:
    assert_problem(http.request("POST", "/v1/predictions", data=data, headers=headers), status, *pointers)


@pytest.mark.parametrize("image", [
    "", "not base64!", "data:image/png,abc", b64(b"hello"), b64(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    b64(b"%PDF-1.7\n"), b64(sample("bag")[:200]), b64(sample("bag")[:-40]), b64(b"\x89PNG\r\n\x1a\n"),
    b64(b"GIF89a"), b64(b"\xff\xd8\xff\xe0"), b64(BOMB), b64(png(0, 5, b"")), b64(png(2**31 - 1, 1, b"")),
], ids=["nothing", "no base64", "no base64 URI", "text", "SVG", "PDF", "cut early", "cut late", "only a signature",
        "GIF signature", "JPEG signature", "bomb", "no width", "endless width"])  # fmt: skip
def test_a_picture_that_cannot_be_read_is_refused_with_a_reason(http: Client, image: str) -> None:
    assert_problem(http.post("/v1/predictions", {"image": image}), 422, "#/image")


@pytest.mark.parametrize("body, pointer", [
    ({}, "#/image"), ({"image": IMAGE, "colour": 1}, "#/colour"), ({"image": IMAGE, "model": "none"}, "#/model"),
    ({"image": IMAGE, "top_k": 11}, "#/top_k"), ({"image": IMAGE, "metadata": {"a": 1}}, "#/metadata/a"),
    ([], "#"),
])  # fmt: skip
def test_a_field_that_cannot_be_used_is_pointed_at(http: Client, body: Any, pointer: str) -> None:
    assert_problem(http.post("/v1/predictions", body), 422, pointer)


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/v1/predictions/unknown", 404), ("GET", "/v1/predictions/pred_00000000000000000000000000", 404),
    ("DELETE", "/v1/batches/batch_00000000000000000000000000", 404), ("GET", "/v1/nothing", 404),
    ("GET", "/v1/models/v999", 404), ("PUT", "/v1/predictions", 405), ("DELETE", "/health/live", 405),
])  # fmt: skip
def test_what_is_not_there_or_not_allowed_is_a_document_too(http: Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)

    assert_problem(answer, status)
    assert ("Allow" in answer.headers) == (status == 405)


def largest(hemline: Hemline, part: str) -> int:
    """Resident bytes of the largest process of a part."""
    return int(max(process.memory_info().rss for process in hemline.part(part)))


def test_a_decompression_bomb_costs_nothing(hemline: Hemline) -> None:
    assert len(BOMB) < 8 * 1024
    for _ in range(3):
        assert_problem(hemline.http.post("/v1/predictions", {"image": b64(BOMB)}), 422, "#/image")
    before = largest(hemline, "web")
    for _ in range(30):
        assert_problem(hemline.http.post("/v1/predictions", {"image": b64(BOMB)}), 422, "#/image")

    assert largest(hemline, "web") - before < 10 * MIB


@pytest.mark.parametrize("part", ["web", "worker"])
def test_a_part_stays_small(hemline: Hemline, part: str) -> None:
    for _ in range(3):
        answer = hemline.http.post("/v1/batches", {"images": [IMAGE] * 200}, wait=20)
        assert answer.status_code == 201

    assert largest(hemline, part) < 150 * MIB


def test_a_second_instance_in_the_same_folder_is_refused(hemline: Hemline, start: Start) -> None:
    second = start(hemline.home)

    assert second.popen.wait(60) != 0
    assert f"Another instance runs on {hemline.home}" in second.output()
    assert "HEMLINE_HOME" in second.output() and "Traceback" not in second.output()


def test_a_port_that_is_taken_is_named(hemline: Hemline, start: Start) -> None:
    second = start(port=hemline.port)

    assert second.popen.wait(60) != 0
    assert f"127.0.0.1:{hemline.port} cannot be used" in second.output()
    assert "PORT" in second.output() and "Traceback" not in second.output()
    assert hemline.http.answers("/health/ready")


@pytest.mark.parametrize("name, value, said", [
    ("HEMLINE_WEB_THREADS", "many", "HEMLINE_WEB_THREADS takes a whole number, not 'many'"),
    ("HEMLINE_BATCH_SIZE", "0", "HEMLINE_BATCH_SIZE must be at least 1, not 0"),
])  # fmt: skip
def test_a_setting_that_cannot_be_read_is_named(start: Start, name: str, value: str, said: str) -> None:
    instance = start(**{name: value})

    assert instance.popen.wait(60) != 0
    assert said in instance.output() and "Traceback" not in instance.output()


def test_a_part_that_cannot_live_ends_everything(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    instance = start(HEMLINE_ARTIFACTS_URL=(tmp_path / "file" / "below").as_uri())
    eventually(lambda: instance.part("redis"), "it starts")
    started = instance.part("redis")

    assert instance.popen.wait(120) != 0
    assert "died 5 times in a minute" in instance.output()
    assert not psutil.wait_procs(started, timeout=10)[1]


def test_what_was_accepted_is_still_there_after_a_restart_in_a_folder_with_an_odd_name(
    start: Start, tmp_path: Path
) -> None:
    home = tmp_path / "a b é"
    first = start(home).until_ready()
    answer = first.http.predict(wait=20)
    assert answer.status_code == 201
    first.interrupt()
    with pytest.raises(requests.ConnectionError):
        first.http.get("/health/live")

    second = start(home).until_ready()
    assert second.http.get(answer.headers["Location"]).json() == answer.json()
    assert len(second.http.get("/v1/models").json()["items"]) == len(releases.names())
    second.interrupt()
