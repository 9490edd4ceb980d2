"""`Idempotency-Key`: whatever is sent twice is made once, however the first time ended."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis

from processes import ROOT, Client, Service, Web, assert_problem, b64, sample
from workers.idempotency import Idempotency, InFlight, KeyReused, Once, once

IMAGE = b64(sample("sneaker"))
CSV = "\n".join(",".join([str(label), *["7"] * 784]) for label in range(10) for _ in range(24))
SEARCH = {"trials": 1, "search_space": {"batch_size": {"choices": [32, 64]}}}
# What is made by each operation that makes something: twice with one key and one body, then with another body.
MADE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/predictions": ({"image": IMAGE}, {"image": IMAGE, "top_k": 3}),
    "/v1/batches": ({"images": [IMAGE, "bad"]}, {"images": [IMAGE]}),
    "/v1/training-jobs": ({"epochs": 1}, {"epochs": 2}),
    "/v1/tuning-jobs": (SEARCH, {**SEARCH, "trials": 2}),
}
# POSTs that make nothing anew, or are shown elsewhere to be safe.
OTHERS = {
    "/v1/batches/{batch_id}/cancel", "/v1/training-jobs/{job_id}/cancel", "/v1/tuning-jobs/{tune_id}/cancel",
    "/v1/webhook-deliveries/{delivery_id}/resend", "/v1/webhook-secret/rotate",
}  # fmt: skip
ELSEWHERE = {"/v1/datasets", "/v1/keys", "/v1/keys/{key_id}/rotate", "/v1/tuning-jobs/{tune_id}/train-best"}


def send(http: Client, path: str, body: Any, key: str, wait: int | None = None) -> requests.Response:
    return http.post(path, body, wait, headers={"Idempotency-Key": key})


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def second(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Another web process of the same service."""
    web = Web(tmp_path_factory.mktemp("second") / "web.log", service.environ)
    yield web.http
    web.stop()


def test_every_operation_that_makes_something_takes_a_key() -> None:
    paths = json.loads((ROOT / "openapi" / "openapi.json").read_bytes())["paths"]
    takes = {
        path: any(each.get("name") == "Idempotency-Key" for each in methods["post"].get("parameters", []))
        for path, methods in paths.items() if "post" in methods
    }  # fmt: skip
    assert {path for path, does in takes.items() if does} == MADE.keys() | ELSEWHERE
    assert {path for path, does in takes.items() if not does} == OTHERS


@pytest.mark.parametrize("path", MADE)
def test_the_same_key_and_body_give_the_same_thing(http: Client, second: Client, key: str, path: str) -> None:
    body, other = MADE[path]
    first = send(http, path, body, key)
    assert first.status_code == 202 and "Idempotency-Replayed" not in first.headers
    for client in (http, second):
        again = send(client, path, body, key)
        assert again.status_code in (201, 202)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        assert again.json()["id"] == first.json()["id"]
    assert assert_problem(send(second, path, other, key), 422)["type"].endswith("idempotency-key-reused")
    assert send(http, path, other, str(uuid.uuid4())).json()["id"] != first.json()["id"]
    http.delete(first.headers["Location"]) if "jobs" not in path else http.post(first.headers["Location"] + "/cancel")


def test_a_repeated_request_may_wait_for_the_answer(http: Client, key: str) -> None:
    first = send(http, "/v1/predictions", {"image": IMAGE}, key)
    again = send(http, "/v1/predictions", {"image": IMAGE}, key, wait=20)
    assert again.status_code == 201 and again.json()["id"] == first.json()["id"]
    assert again.json()["result"]["label"] == "Sneaker"
    assert send(http, "/v1/predictions", {"image": IMAGE}, key).status_code == 201


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/batches"])
def test_of_many_at_the_same_time_one_is_made(http: Client, second: Client, key: str, path: str) -> None:
    body = MADE[path][0]

    def one(number: int) -> requests.Response:
        while True:
            answer = send(Client((http, second)[number % 2].url), path, body, key)
            if answer.status_code != 409:
                return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(32)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


def test_other_predictions_of_the_same_moment_are_accepted_as_ever(http: Client, key: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        repeated = [pool.submit(send, Client(http.url), "/v1/predictions", {"image": IMAGE}, key) for _ in range(8)]
        own = [pool.submit(Client(http.url).predict, "trouser", 20) for _ in range(24)]
        assert len({each.result().json()["id"] for each in repeated}) == 1
        answers = [each.result() for each in own]
    assert len({answer.json()["id"] for answer in answers}) == 24
    assert {answer.json()["result"]["label"] for answer in answers} == {"Trouser"}


def test_a_request_whose_answer_nobody_read_is_found_by_its_key(http: Client, service: Service, key: str) -> None:
    body = json.dumps({"image": IMAGE}).encode()
    place = urlsplit(http.url)
    before = service.redis.zcard("hemline:index:pred")
    with socket.create_connection((place.hostname or "", place.port or 0)) as client:
        client.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Idempotency-Key: %s\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
        )
        client.recv(1)
    again = http.request("POST", "/v1/predictions", data=body,
                         headers={"Idempotency-Key": key, "Content-Type": "application/json"})  # fmt: skip
    assert again.headers["Idempotency-Replayed"] == "true"
    assert service.redis.zcard("hemline:index:pred") == before + 1


@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/batches"])
def test_a_form_is_known_by_what_is_in_it(http: Client, key: str, path: str) -> None:
    def upload(text: str, name: str = "a.csv") -> requests.Response:
        return http.request("POST", path, files={"file": (name, text)}, headers={"Idempotency-Key": key})

    first, again = upload(CSV), upload(CSV)  # with a boundary of its own each
    assert first.status_code in (201, 202) and again.status_code in (201, 202)
    assert again.json()["id"] == first.json()["id"] and again.headers["Idempotency-Replayed"] == "true"
    assert_problem(upload(CSV.replace("7", "8", 1)), 422)


def test_what_was_refused_may_be_sent_again_and_corrected(http: Client, key: str) -> None:
    assert_problem(send(http, "/v1/predictions", {"image": "no"}, key), 422, "#/image")
    assert_problem(send(http, "/v1/training-jobs", {"dataset": "ds_none"}, key), 422, "#/dataset")
    assert send(http, "/v1/predictions", {"image": IMAGE}, key).status_code == 202
    job = send(http, "/v1/training-jobs", {"epochs": 1}, key)
    assert job.status_code == 202
    http.post(job.headers["Location"] + "/cancel")


def test_what_is_gone_is_not_made_again(http: Client, key: str) -> None:
    for path in ("/v1/predictions", "/v1/batches"):
        first = send(http, path, MADE[path][0], key)
        assert http.delete(first.headers["Location"]).status_code == 204
        assert assert_problem(send(http, path, MADE[path][0], key), 410)["type"].endswith("gone")


def test_a_key_is_good_for_one_path(http: Client, key: str) -> None:
    ids = {send(http, path, MADE[path][0], key).json()["id"] for path in ("/v1/predictions", "/v1/batches")}
    assert len(ids) == 2


@pytest.mark.parametrize("bad", ["", "x" * 256, '"', '"a', "two words", "ümlaut".encode(), '"a"b"'])
def test_a_key_that_is_none_is_refused(http: Client, bad: str | bytes) -> None:
    answer = http.post("/v1/predictions", {"image": IMAGE}, headers={"Idempotency-Key": bad})
    assert "Idempotency-Key must be" in assert_problem(answer, 400)["detail"]


def test_quotes_around_a_key_are_no_part_of_it(http: Client, key: str) -> None:
    first = send(http, "/v1/predictions", {"image": IMAGE}, f'"{key}"')
    assert send(http, "/v1/predictions", {"image": IMAGE}, key).json()["id"] == first.json()["id"]


def test_keys_are_remembered_for_a_day_and_take_little(http: Client, service: Service, key: str) -> None:
    send(http, "/v1/predictions", {"image": IMAGE}, key)
    send(http, "/v1/batches", MADE["/v1/batches"][0], key)
    sizes = []
    for path in ("/v1/predictions", "/v1/batches"):
        name = once("", path, key, b"").key
        assert 86_000 < service.redis.ttl(name) <= 86_400
        sizes.append(service.redis.memory_usage(name) or 0)
    assert max(sizes) <= 240


def test_owners_have_keys_of_their_own() -> None:
    digest = b"0" * 32
    assert once("key_a", "/v1/batches", "k", digest).key != once("key_b", "/v1/batches", "k", digest).key
    # No owner can be written so that another's key comes out.
    assert once("a", "bc", "d", digest).key != once("ab", "c", "d", digest).key


@pytest.fixture
def known(redis: Redis) -> Idempotency:
    return Idempotency(redis, 3600)


ONE = Once("hemline:once:one", "a" * 32)


def test_a_claim_holds_until_it_is_settled(known: Idempotency) -> None:
    claim = known.claim(ONE, "batch:1")
    assert (claim.name, claim.again, claim.done) == ("batch:1", False, False)
    with pytest.raises(InFlight):
        known.claim(ONE, "batch:2")
    with pytest.raises(KeyReused):
        known.claim(ONE._replace(fingerprint="b" * 32), "batch:2")
    known.settle(claim)
    later = known.claim(ONE, "batch:2")
    assert (later.name, later.done) == ("batch:1", True)


def test_who_dies_leaves_the_name_to_the_next(known: Idempotency, redis: Redis) -> None:
    known.claim(ONE, "batch:1")
    fingerprint, _, name = redis.get(ONE.key).split(b"|")  # type: ignore[union-attr]
    redis.set(ONE.key, b"|".join([fingerprint, b"1", name]), keepttl=True)  # its lease is over
    claim = known.claim(ONE, "batch:2")
    assert (claim.name, claim.again, claim.done) == ("batch:1", True, False)
    with pytest.raises(InFlight):
        known.claim(ONE, "batch:3")
    known.fail(claim)
    assert known.claim(ONE, "batch:4").name == "batch:1"
    assert 0 < redis.ttl(ONE.key) <= 3600


def test_a_dropped_claim_leaves_nothing(known: Idempotency, redis: Redis) -> None:
    known.drop(known.claim(ONE, "batch:1"))
    assert not redis.exists(ONE.key)


def test_a_batch_that_was_made_just_before_its_process_died_is_found(
    http: Client, service: Service, key: str, tmp_path: Path
) -> None:
    body = {"images": [IMAGE]}
    first = send(http, "/v1/batches", body, key)
    name = once("", "/v1/batches", key, b"").key
    fingerprint, due, made = service.redis.get(name).split(b"|")  # type: ignore[union-attr]
    assert due == b"0"
    service.redis.set(name, b"|".join([fingerprint, b"1", made]), keepttl=True)  # as if it had not come to settle
    again = send(http, "/v1/batches", body, key)
    assert again.json()["id"] == first.json()["id"] and again.headers["Idempotency-Replayed"] == "true"
