"""The service over HTTP, with a real worker behind it: everything that a client is promised in /v1."""

import csv
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from processes import SAMPLES, Client, RedisServer, Service, Web, assert_problem, b64, eventually, sample, worker
from test_groups import item
from workers.groups import Groups
from workers.ids import join, new_group


def done(http: Client, path: str) -> requests.Response:
    """A record once it is final."""
    return eventually(
        lambda: (answer := http.get(path, headers={"Prefer": "wait=5"})).json()["status"] not in ("queued", "running")
        and answer, f"{path} is final",
    )  # fmt: skip


def test_a_prediction_is_accepted_at_once_and_answered_where_its_location_says(http: Client) -> None:
    answer = http.predict("trouser", metadata={"sku": "A-17"})
    accepted = answer.json()

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/predictions/{accepted['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Preference-Applied" not in answer.headers
    assert accepted["status"] in ("queued", "running", "succeeded")
    assert accepted["metadata"] == {"sku": "A-17"}

    final = done(http, answer.headers["Location"])
    body = final.json()
    assert final.status_code == 200
    assert "Retry-After" not in final.headers
    assert body["status"] == "succeeded"
    assert body["id"] == accepted["id"]
    assert body["model_version"] == accepted["model_version"] == "v1"
    assert body["metadata"] == {"sku": "A-17"}
    assert body["created_at"] == accepted["created_at"]
    assert body["created_at"] <= body["started_at"] <= body["completed_at"] < body["expires_at"]
    assert all(body[f"{name}_at"].endswith("Z") for name in ("created", "started", "completed", "expires"))
    assert body["result"]["label"] == "Trouser" and body["result"]["class_id"] == 1
    assert body["result"]["is_fashion"] is True
    assert 0 <= body["result"]["novelty"] <= 1
    assert body["result"]["preview"].startswith("data:image/png;base64,")
    assert set(body["timings"]) == {"decode_ms", "queue_ms", "inference_ms", "batch_size"}
    assert [part.split(";")[0].strip() for part in final.headers["Server-Timing"].split(",")] == [
        "decode", "queue", "inference",
    ]  # fmt: skip
    assert "error" not in body and "null" not in final.text


def test_the_listed_probabilities_are_the_most_probable_ones_in_order(http: Client) -> None:
    whole = http.predict(wait=10).json()["result"]["probabilities"]
    three = http.predict(wait=10, top_k=3).json()["result"]["probabilities"]

    assert len(whole) == 10
    assert whole[:3] == three
    assert whole == sorted(whole, key=lambda p: -p["probability"])
    assert sum(p["probability"] for p in whole) == pytest.approx(1, abs=1e-4)
    assert sorted(p["class_id"] for p in whole) == list(range(10))


def test_who_waits_gets_the_finished_prediction(http: Client) -> None:
    answer = http.predict(wait=15)

    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait=15"
    assert answer.headers["Location"] == f"/v1/predictions/{answer.json()['id']}"
    assert answer.headers["Server-Timing"]
    assert answer.json()["status"] == "succeeded"
    assert http.get(answer.headers["Location"]).json() == answer.json()


def test_a_wait_is_capped_at_what_the_operator_allows(http: Client) -> None:
    assert http.predict(wait=100000).headers["Preference-Applied"] == "wait=20"


@pytest.mark.parametrize("prefer", ["", "wait", "wait=", "wait=x", "wait=-1", "wait=0", "wait=1.5", "respond-async"])
def test_a_preference_that_says_nothing_is_ignored(http: Client, prefer: str) -> None:
    answer = http.post("/v1/predictions", {"image": b64(sample("bag"))}, headers={"Prefer": prefer})

    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("prefer", ["respond-async, wait=9", "wait=9, respond-async", "WAIT=9", "wait = 9"])
def test_a_wait_is_found_among_other_preferences(http: Client, prefer: str) -> None:
    answer = http.post("/v1/predictions", {"image": b64(sample("bag"))}, headers={"Prefer": prefer})

    assert answer.headers["Preference-Applied"] == "wait=9"


def test_an_image_may_come_as_a_data_uri_or_in_lines(http: Client) -> None:
    text = b64(sample("dress"))
    lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    answers = [
        http.post("/v1/predictions", {"image": image}, wait=10).json()["result"]["label"]
        for image in (f"data:image/png;base64,{text}", f"DATA:;BASE64,{text}", lines)
    ]

    assert answers == ["Dress"] * 3


def test_a_record_that_did_not_change_need_not_be_sent_again(http: Client) -> None:
    path = http.predict(wait=10).headers["Location"]
    first = http.get(path)
    again = http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    other = http.get(path, headers={"If-None-Match": '"another"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert other.status_code == 200


def test_many_predictions_at_once_each_get_their_own_answer(http: Client) -> None:
    names = list(SAMPLES) * 10
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda name: (name, http.predict(name, wait=20, metadata={"name": name})), names))

    for name, answer in answers:
        assert answer.status_code == 201
        assert answer.json()["result"]["label"] == SAMPLES[name]
        assert answer.json()["metadata"] == {"name": name}


def test_a_deleted_prediction_is_as_if_it_had_never_been(http: Client, service: Service) -> None:
    answer = http.predict(wait=10)
    path = answer.headers["Location"]
    deleted = http.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_problem(http.get(path), 404)
    assert_problem(http.delete(path), 404)
    assert answer.json()["id"] not in [p["id"] for p in http.get("/v1/predictions").json()["items"]]
    group = answer.json()["id"].replace("_", ":", 1)[:-2]
    assert not service.redis.exists(f"hemline:{group}")


@pytest.mark.parametrize("kind, path", [("pred", "/v1/predictions"), ("batch", "/v1/batches")])
def test_an_id_that_was_never_given_out_is_not_found(http: Client, kind: str, path: str) -> None:
    for public in (join(new_group(kind)), f"{kind}_nonsense", "nonsense", join(new_group("job"))):
        assert_problem(http.get(f"{path}/{public}", headers={"Prefer": "wait=20"}), 404)
        assert_problem(http.delete(f"{path}/{public}"), 404)


def test_predictions_are_listed_newest_first_page_by_page(http: Client) -> None:
    made = [http.predict(wait=10, metadata={"n": str(n)}).json() for n in range(7)]
    listed = []
    for prediction in http.pages("/v1/predictions", limit=3):
        listed.append(prediction)
        if prediction["id"] == made[0]["id"]:
            break

    assert [p["id"] for p in listed] == sorted((p["id"] for p in listed), reverse=True)
    assert [p for p in listed if p["id"] in {m["id"] for m in made}] == made[::-1]


def test_a_list_keeps_its_filters_from_page_to_page(http: Client, service: Service) -> None:
    for _ in range(3):
        http.predict(wait=10)
    succeeded = list(http.pages("/v1/predictions", limit=2, status="succeeded", model_version="v1"))

    assert len(succeeded) >= 3
    assert {p["status"] for p in succeeded} == {"succeeded"}
    assert list(http.pages("/v1/predictions", limit=2, model_version="v999")) == []
    answer = http.get("/v1/predictions", params={"limit": 1, "status": "succeeded"})
    assert {"status=succeeded", "limit=1"} < set(urlsplit(answer.links["next"]["url"]).query.split("&"))


def test_an_unknown_model_is_refused_with_those_that_are_known(http: Client) -> None:
    body = assert_problem(http.predict(model="v999"), 422, "#/model")

    assert "production" in body["errors"][0]["detail"] and "v1" in body["errors"][0]["detail"]
    assert_problem(http.post("/v1/batches", {"images": [b64(sample("bag"))], "model": "none"}), 422, "#/model")


def test_a_body_in_chunks_is_read_and_its_limit_holds(http: Client) -> None:
    body = json.dumps({"image": b64(sample("bag"))}).encode()
    headers = {"Content-Type": "application/json"}
    assert http.request("POST", "/v1/predictions", data=iter([body[:9], body[9:]]), headers=headers).status_code == 202

    chunks = iter([b" " * 65536] * 160)
    try:
        answer = http.request("POST", "/v1/predictions", data=chunks, headers=headers)
    except requests.ConnectionError:
        return  # the service may stop listening to what it has refused already
    assert_problem(answer, 413)


def test_a_body_over_the_limit_is_refused_before_it_is_sent(http: Client) -> None:
    host = urlsplit(http.url)
    plain = HTTPConnection(str(host.hostname), host.port, timeout=30)
    plain.putrequest("POST", "/v1/predictions")
    plain.putheader("Content-Type", "application/json")
    plain.putheader("Content-Length", str(1 << 40))
    plain.endheaders()
    answer = plain.getresponse()

    assert answer.status == 413
    assert answer.getheader("Content-Type") == "application/problem+json"
    plain.close()


def test_a_batch_is_answered_line_by_line_in_the_order_of_the_request(http: Client) -> None:
    images = [b64(sample(name)) for name in SAMPLES]
    answer = http.post("/v1/batches", {"images": images, "top_k": 2, "metadata": {"a": "b"}}, wait=20)
    batch = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/batches/{batch['id']}"
    assert batch["status"] == "succeeded" and batch["metadata"] == {"a": "b"}
    assert batch["counts"] == {
        "total": 10, "queued": 0, "running": 0, "succeeded": 10, "failed": 0, "canceled": 0,
    }  # fmt: skip
    assert batch["progress"] == {"done": 10, "total": 10, "fraction": 1.0}
    assert batch["result"]["succeeded"] == 10
    results = http.get(batch["result"]["results_url"])
    assert results.headers["Content-Type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in results.text.splitlines()]
    assert [line["index"] for line in lines] == list(range(10))
    assert [line["result"]["label"] for line in lines] == list(SAMPLES.values())
    assert {len(line["result"]["probabilities"]) for line in lines} == {2}


def test_batch_results_come_as_csv_to_who_asks_for_it(http: Client) -> None:
    images = [b64(sample("coat")), "!", b64(sample("bag"))]
    batch = http.post("/v1/batches", {"images": images}, wait=20).json()
    answer = http.get(f"/v1/batches/{batch['id']}/results", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert [(row["index"], row["status"], row["label"]) for row in rows] == [
        ("0", "succeeded", "Coat"), ("1", "failed", ""), ("2", "succeeded", "Bag"),
    ]  # fmt: skip
    assert "base64" in rows[1]["error"]


def test_one_bad_image_fails_one_line(http: Client) -> None:
    images = [b64(sample("coat")), b64(b"no picture"), "", b64(sample("bag"))]
    batch = http.post("/v1/batches", {"images": images}, wait=20).json()
    lines = [json.loads(line) for line in http.get(f"/v1/batches/{batch['id']}/results").text.splitlines()]

    assert batch["status"] == "succeeded"
    assert (batch["counts"]["succeeded"], batch["counts"]["failed"]) == (2, 2)
    assert [line["status"] for line in lines] == ["succeeded", "failed", "failed", "succeeded"]
    assert all(line["error"]["code"] and line["error"]["detail"] for line in lines if line["status"] == "failed")


def test_a_batch_of_nothing_but_bad_images_ends_at_once(http: Client) -> None:
    batch = http.post("/v1/batches", {"images": ["x", "y"]}, wait=20).json()

    assert batch["status"] == "succeeded"
    assert batch["counts"]["failed"] == 2


def test_a_batch_of_the_largest_size_is_answered(http: Client) -> None:
    image = b64(sample("shirt"))
    location = http.post("/v1/batches", {"images": [image] * 1024}).headers["Location"]
    batch = done(http, location).json()
    lines = http.get(f"{location}/results").text.splitlines()

    assert batch["counts"]["succeeded"] == len(lines) == 1024
    assert {json.loads(line)["result"]["label"] for line in lines} == {"Shirt"}


def test_a_finished_batch_cannot_be_canceled_but_deleted(http: Client) -> None:
    path = http.post("/v1/batches", {"images": [b64(sample("bag"))]}, wait=20).headers["Location"]

    assert_problem(http.post(f"{path}/cancel"), 409)
    assert http.get(path).json()["status"] == "succeeded"
    assert http.delete(path).status_code == 204
    for answer in (http.get(path), http.get(f"{path}/results"), http.post(f"{path}/cancel"), http.delete(path)):
        assert_problem(answer, 404)


def test_batches_are_listed_newest_first_page_by_page(http: Client) -> None:
    made = [http.post("/v1/batches", {"images": [b64(sample("bag"))]}, wait=20).json() for _ in range(5)]
    listed = list(http.pages("/v1/batches", limit=2))

    assert [batch["id"] for batch in listed][:5] == [batch["id"] for batch in made][::-1]


def test_models_have_cards_and_files(http: Client) -> None:
    model = http.get("/v1/models").json()["items"][-1]
    answer = http.get(f"/v1/models/{model['version']}")
    card = answer.json()

    assert {"production", "small"} <= set(model["aliases"])
    assert card["version"] == model["version"] == "v1"
    assert 0.5 < card["test"]["accuracy"] <= 1
    assert http.get("/v1/models/v1", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    for name in ("keras", "litert"):
        file = http.get(f"/v1/models/v1/artifacts/{name}")
        assert file.headers["Content-Type"] == "application/octet-stream"
        assert len(file.content) > 10_000
        assert "attachment" in file.headers["Content-Disposition"]
    assert_problem(http.get("/v1/models/v1/artifacts/onnx"), 404)
    for version in ("v99", "v0", "nonsense", "%20"):
        assert_problem(http.get(f"/v1/models/{version}"), 404)


def test_aliases_have_a_history(http: Client) -> None:
    aliases = {alias["alias"]: alias for alias in http.get("/v1/aliases").json()["items"]}

    assert aliases["production"]["version"] == "v1"
    (move,) = http.get("/v1/aliases/production/history").json()["items"]
    assert move == {"at": aliases["production"]["updated_at"], "by": "release", "to_version": "v1"}
    assert_problem(http.get("/v1/aliases/nothing/history"), 404)


def test_a_message_that_was_never_sent_is_made_up_for(http: Client, service: Service) -> None:
    """The web process crashed after it had stored the record and before it sent the message."""
    store = Groups(service.redis, max_queued=1000, ttl=60, slice_size=64, lease=0)
    group = new_group("pred")
    store.submit(group, "production", [item()])

    assert done(http, f"/v1/predictions/{join(group)}").json()["status"] == "succeeded"


def test_readiness_names_each_part(http: Client) -> None:
    ready = http.get("/health/ready").json()

    assert ready["checks"] == {"redis": "ok", "prediction_worker": "ok", "production_model": "ok"}
    assert ready["workers"] == {"predictions": 1, "training": 0, "webhooks": 0}
    assert set(ready["queues"]) == {"predictions", "batches", "training", "webhooks"}


def test_nothing_is_lost_while_no_worker_is_there(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A service whose worker comes last: unready, but what it accepts is answered; a wait ends on time."""
    redis = RedisServer(tmp_path_factory.mktemp("r"))
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(tmp_path), "HEMLINE_MAX_QUEUED": "4"}
    first = worker(tmp_path / "worker.log", environ)
    web = Web(tmp_path / "web.log", environ)
    late = None
    try:
        eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
        first.stop()
        body = assert_problem(web.http.get("/health/ready"), 503)
        assert body["checks"]["prediction_worker"] != "ok" and body["checks"]["redis"] == "ok"
        assert body["workers"]["predictions"] == 0

        waited = web.http.predict(wait=1)
        assert (waited.status_code, waited.headers["Preference-Applied"]) == (202, "wait=1")
        assert waited.json()["status"] == "queued"
        deleted = web.http.predict().headers["Location"]
        assert web.http.delete(deleted).status_code == 204
        path = web.http.post("/v1/batches", {"images": [b64(sample("bag"))] * 3}).headers["Location"]
        full = web.http.predict()
        assert assert_problem(full, 503)["type"].endswith("queue-full")
        assert int(full.headers["Retry-After"]) >= 1
        assert web.http.post(f"{path}/cancel").status_code == 202
        canceled = web.http.get(path).json()
        assert canceled["status"] == "canceled" and canceled["counts"]["canceled"] == 3
        last = web.http.predict()
        assert last.status_code == 202
        polled: list[str] = []
        poller = threading.Thread(target=lambda: polled.append(done(web.http, last.headers["Location"]).text))
        poller.start()

        late = worker(tmp_path / "worker.log", environ)
        poller.join(60)
        assert json.loads(polled[0])["status"] == "succeeded"
        assert done(web.http, waited.headers["Location"]).json()["status"] == "succeeded"
        assert_problem(web.http.get(deleted), 404)
        assert {line["status"] for line in map(json.loads, web.http.get(f"{path}/results").text.splitlines())} == {
            "canceled"
        }
    finally:
        for process in (first, late, web, redis):
            if process:
                process.stop()
