"""Webhooks: what has ended is told once, signed, to who asked for it, whatever happens on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from redis import Redis
from standardwebhooks import Webhook, WebhookVerificationError

from processes import BIN, Client, Process, RedisServer, Web, assert_problem, b64, eventually, sample, worker
from test_groups import item
from test_observation import figures, value
from workers.batches import BatchStore
from workers.groups import Groups
from workers.ids import join, new_group
from workers.jobs import JobState, JobStore
from workers.records import Answer, Item
from workers.webhooks import Attempt, Deliveries

IMAGE = b64(sample("sneaker"))


@dataclass
class Receiver:
    """Who is told: what came, and the statuses that it gives, the last one again and again."""

    statuses: list[int] = field(default_factory=lambda: [204])
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    pause: float = 0.0

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append((dict(self.headers), body))
                time.sleep(receiver.pause)
                status = receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def about(self, resource: str) -> list[dict[str, Any]]:
        """The messages about a resource."""
        bodies = [json.loads(body) for _, body in self.came]
        return [body for body in bodies if body["data"]["id"] == resource]


@dataclass
class Site:
    http: Client
    redis: Redis
    start_worker: Callable[[], Process]
    webhooks: Process


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("webhooks")
    redis = RedisServer(folder / "redis")
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
               "HEMLINE_WEBHOOK_BACKOFF": "0.1", "HEMLINE_WEBHOOK_ATTEMPTS": "4"}  # fmt: skip

    def webhooks() -> Process:
        return Process([
            str(BIN / "celery"), "--quiet", "--app", "workers.webhook_worker", "worker", "--queues", "webhooks",
            "--pool", "threads", "--concurrency", "8", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ], folder / f"webhooks-{time.monotonic_ns()}.log", environ)  # fmt: skip

    started = [worker(folder / "worker.log", environ), webhooks()]
    web = Web(folder / "web.log", environ)
    eventually(lambda: web.http.answers("/health/ready"), "the service is ready")
    found = Site(web.http, redis.client, webhooks, started[1])
    yield found
    for process in (web, started[0], found.webhooks, redis):
        process.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def delivered(http: Client, message: str, status: str = "delivered") -> dict[str, Any]:
    return eventually(
        lambda: (found := http.get(f"/v1/webhook-deliveries/{message}")).status_code == 200
        and found.json()["status"] == status and found.json(), f"{message} is {status}",
    )  # fmt: skip


def message_of(resource: str) -> str:
    return "msg_" + resource.partition("_")[2]


def test_a_prediction_that_has_ended_is_told_once_and_signed(site: Site, receiver: Receiver) -> None:
    answer = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url, "metadata": {"sku": "A"}})
    prediction = answer.json()["id"]
    shown = delivered(site.http, message_of(prediction))
    (headers, body), = receiver.came
    secret = site.http.get("/v1/webhook-secret").json()["secret"]
    told = Webhook(secret).verify(body, headers)
    assert told["type"] == "prediction.succeeded" and told["timestamp"].endswith("Z")
    assert told["data"]["id"] == prediction and told["data"]["result"]["label"] == "Sneaker"
    assert told["data"]["metadata"] == {"sku": "A"} and told["data"]["model_version"] == "v1"
    assert headers["webhook-id"] == message_of(prediction) == shown["id"]
    assert shown["resource"] == prediction and shown["url"] == receiver.url and shown["type"] == "prediction.succeeded"
    assert [attempt["status"] for attempt in shown["attempts"]] == [204] and shown["completed_at"] > shown["created_at"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"Sneaker", b"Trouser"), headers)
    assert shown in list(site.http.pages("/v1/webhook-deliveries", status="delivered"))
    assert shown not in list(site.http.pages("/v1/webhook-deliveries", status="failed"))


def test_predictions_that_travel_together_are_told_one_by_one(site: Site, receiver: Receiver) -> None:
    def predict(number: int) -> str:
        more = {"webhook_url": receiver.url} if number % 2 else {}
        return str(Client(site.http.url).post("/v1/predictions", {"image": IMAGE, **more}, 20).json()["id"])

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(predict, range(32)))
    for number, prediction in enumerate(made):
        if number % 2:
            delivered(site.http, message_of(prediction))
        assert len(receiver.about(prediction)) == number % 2


def test_batches_are_told_when_all_of_them_has_ended(site: Site, receiver: Receiver) -> None:
    small = site.http.post("/v1/batches", {"images": [IMAGE, "no"], "webhook_url": receiver.url}).json()["id"]
    delivered(site.http, message_of(small))
    (told,) = receiver.about(small)
    assert told["type"] == "batch.succeeded"
    assert told["data"]["counts"]["succeeded"] == 1 and told["data"]["counts"]["failed"] == 1
    bad = site.http.post("/v1/batches", {"images": ["no"], "webhook_url": receiver.url}).json()["id"]
    delivered(site.http, message_of(bad))
    csv = "\n".join(",".join(["7"] * 784) for _ in range(30))
    form: dict[str, Any] = {"files": {"file": ("a.csv", csv)}, "data": {"webhook_url": receiver.url}}
    answer = site.http.request("POST", "/v1/batches", **form)
    delivered(site.http, message_of(answer.json()["id"]))
    (told,) = receiver.about(answer.json()["id"])
    assert told["type"] == "batch.succeeded" and told["data"]["counts"]["total"] == 30


def test_jobs_are_told_however_they_end(site: Site, receiver: Receiver) -> None:
    search = {"trials": 1, "search_space": {"batch_size": {"choices": [32]}}}
    asked = ("/v1/training-jobs", {"epochs": 1}, "training_job"), ("/v1/tuning-jobs", search, "tuning_job")
    for path, body, kind in asked:
        answer = site.http.post(path, {**body, "webhook_url": receiver.url})
        assert answer.json()["spec"]["webhook_url"] == receiver.url
        site.http.post(answer.headers["Location"] + "/cancel")
        delivered(site.http, message_of(answer.json()["id"]))
        (told,) = receiver.about(answer.json()["id"])
        assert told["type"] == f"{kind}.canceled" and told["data"]["status"] == "canceled"


def test_a_receiver_that_fails_is_asked_again_with_the_same_message(site: Site, receiver: Receiver) -> None:
    receiver.statuses = [500, 302, 204]
    prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
    shown = delivered(site.http, message_of(prediction))
    assert [attempt["status"] for attempt in shown["attempts"]] == [500, 302, 204]
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert len({body for _, body in receiver.came}) == 1


def test_what_cannot_be_delivered_stays_and_can_be_sent_again(site: Site, receiver: Receiver) -> None:
    receiver.statuses = [500]
    prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
    shown = delivered(site.http, message_of(prediction), "failed")
    assert len(shown["attempts"]) == 4 and "next_attempt_at" not in shown
    receiver.statuses = [200]
    again = site.http.post(f"/v1/webhook-deliveries/{shown['id']}/resend")
    assert again.status_code == 202 and again.json()["status"] in ("pending", "delivered")
    assert len(delivered(site.http, shown["id"])["attempts"]) == 5
    assert_problem(site.http.post("/v1/webhook-deliveries/msg_01KBQ8Z6J0V6M3Y8F5W2T4N700/resend"), 404)


def test_what_attempts_come_to_is_counted(site: Site, receiver: Receiver) -> None:
    def counted() -> list[float]:
        found, outcomes = figures(site.http), ("delivered", "pending", "failed")
        return [value(found, "hemline_webhook_attempts_total", outcome=outcome) for outcome in outcomes]

    receiver.statuses = [500, 204, 410]
    before = eventually(counted, "all are told")
    for state in ("delivered", "failed"):
        prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
        delivered(site.http, message_of(prediction), state)
    eventually(lambda: all(now > old for now, old in zip(counted(), before, strict=True)), "all are counted")
    assert value(figures(site.http), "hemline_workers_alive", kind="webhook") == 1


def test_who_wants_no_more_is_not_asked_again(site: Site, receiver: Receiver) -> None:
    receiver.statuses = [410]
    prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
    assert len(delivered(site.http, message_of(prediction), "failed")["attempts"]) == 1


def test_for_a_day_a_new_secret_and_the_old_one_are_good(site: Site, receiver: Receiver) -> None:
    old = site.http.get("/v1/webhook-secret").json()["secret"]
    rotated = site.http.post("/v1/webhook-secret/rotate").json()
    assert rotated["previous"] == old != rotated["secret"] and rotated["previous_until"].endswith("Z")
    prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
    delivered(site.http, message_of(prediction))
    (headers, body), = receiver.came
    for secret in (old, rotated["secret"]):
        assert Webhook(secret).verify(body, headers)


def test_a_worker_that_is_killed_while_it_sends_loses_nothing(site: Site, receiver: Receiver) -> None:
    receiver.pause = 5
    prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
    eventually(lambda: receiver.came, "the message is on its way")
    site.webhooks.kill()
    receiver.pause = 0
    assert site.http.get(f"/v1/webhook-deliveries/{message_of(prediction)}").json()["status"] == "pending"
    site.webhooks = site.start_worker()
    site.redis.zadd("hemline:due:msg", {message_of(prediction): 0}, xx=True)  # rather than wait for its lease to end
    delivered(site.http, message_of(prediction))
    assert {body["data"]["id"] for body in receiver.about(prediction)} == {prediction}


def test_a_slow_receiver_holds_nobody_else_up(site: Site, receiver: Receiver) -> None:
    slow = Receiver(pause=4)
    try:
        for _ in range(8):
            site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": slow.url})
        eventually(lambda: len(slow.came) >= 4, "the slow one is busy")
        prediction = site.http.post("/v1/predictions", {"image": IMAGE, "webhook_url": receiver.url}).json()["id"]
        delivered(site.http, message_of(prediction))
        assert len(slow.came) == 4  # no more than so many at a time
    finally:
        slow.close()


@pytest.mark.parametrize("path", ["/v1/predictions", "/v1/batches", "/v1/training-jobs", "/v1/tuning-jobs"])
@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "ftp://shop.example", "https://a@shop.example/"])
def test_a_url_that_leads_astray_is_refused(site: Site, path: str, url: str) -> None:
    bodies = {"/v1/predictions": {"image": IMAGE}, "/v1/batches": {"images": [IMAGE]},
              "/v1/tuning-jobs": {"search_space": {"batch_size": {"choices": [32]}}}}  # fmt: skip
    answer = site.http.post(path, {**bodies.get(path, {}), "webhook_url": url})
    assert assert_problem(answer, 422, "#/webhook_url")["errors"][0]["detail"].startswith("This ")


@pytest.fixture
def deliveries(redis: Redis) -> Deliveries:
    return Deliveries(redis, ttl=3600, attempts=3, backoff=0.1)


def hooked(number: int = 0) -> Item:
    made = item(number)
    return Item({**made.doc, "owner": "key_a"}, made.pixels, webhook="https://shop.example/")


def test_a_message_is_there_in_the_step_in_which_its_thing_ends(
    groups: Groups, deliveries: Deliveries, redis: Redis
) -> None:
    group = new_group("pred")
    groups.submit(group, "production", [hooked(), item(1), hooked(2)])
    piece = groups.slices(group, 3)[0]
    taken = groups.begin(piece)
    assert taken is not None and deliveries.due(10) == []
    answers = [Answer(place, "f", b'{"code": "x", "detail": "y"}') for place in taken.places]
    groups.finish(piece, answers)
    groups.finish(piece, answers)
    messages = [message_of(join(group, place)) for place in (0, 2)]
    assert sorted(deliveries.due(10)) == messages
    assert deliveries.due(10) == []  # leased
    found = deliveries.get(messages[1])
    assert found is not None and (found.type, found.owner) == ("prediction.failed", "key_a")
    assert redis.ttl(f"hemline:{messages[0]}") == -1
    assert deliveries.note(found, Attempt(1, 2.0, 200)) == "delivered"
    assert 0 < redis.ttl(f"hemline:{messages[1]}") <= 3600 and redis.zscore("hemline:due:msg", messages[1]) is None


def test_a_canceled_batch_is_told_to_be(groups: Groups, deliveries: Deliveries, redis: Redis) -> None:
    group = new_group("batch")
    groups.submit(group, "production", [item(), item(1)], None, "key_a", "https://shop.example/")
    groups.cancel(group)
    found = deliveries.get(message_of(join(group)))
    assert found is not None and (found.type, found.owner) == ("batch.canceled", "key_a")
    batches = BatchStore(redis, groups, ttl=3600, slice_size=4, lease=10, max_memory_share=0.8)
    with batches.draft("production", "key_b") as draft:
        draft.add([item()])
        batch = draft.submit(None, "https://shop.example/")
    batches.cancel(batch)
    found = deliveries.get(message_of(join(batch.name)))
    assert found is not None and (found.type, found.owner) == ("batch.canceled", "key_b")


def test_a_job_that_fails_is_told_to_have(deliveries: Deliveries, redis: Redis) -> None:
    jobs = JobStore(redis, "job", lease=10, max_waiting=10, max_attempts=2)
    job = jobs.submit({"training": {}, "dataset": "x", "webhook_url": "https://shop.example/", "owner": "key_a"})
    lease = jobs.claim(job.id)
    assert lease is not None
    jobs.update(lease, event="failed", state=JobState.FAILED)
    (message,) = deliveries.due(10)
    found = deliveries.get(message)
    assert found is not None and (found.type, found.resource) == ("training_job.failed", job.id)


def test_pauses_grow_and_a_receiver_may_ask_for_more(deliveries: Deliveries, redis: Redis, groups: Groups) -> None:
    group = new_group("pred")
    groups.submit(group, "production", [hooked()])
    piece = groups.slices(group, 1)[0]
    groups.begin(piece)
    groups.finish(piece, [Answer(0, "f", b'{"code": "x", "detail": "y"}')])
    message = message_of(join(group))
    for number in range(2):
        found = deliveries.get(message)
        assert found is not None
        assert deliveries.note(found, Attempt(1, 2.0, None, "no answer"), 3600.0 if number else None) == "pending"
    later = deliveries.get(message)
    assert later is not None and later.next is not None and later.tries == 2
    assert later.next - time.time() * 1e6 > 3500e6
    assert deliveries.note(later, Attempt(1, 2.0, 500)) == "failed"


def test_secrets_belong_to_owners(deliveries: Deliveries) -> None:
    assert deliveries.secret("key_a") == deliveries.secret("key_a") != deliveries.secret("key_b")
    assert deliveries.secret("").current.startswith("whsec_")


def test_messages_are_listed_for_their_owner_page_by_page(deliveries: Deliveries, groups: Groups) -> None:
    made = []
    for number in range(5):
        group = new_group("batch")
        groups.submit(group, "production", [item()], None, "key_a" if number % 2 else "key_b", "https://shop.example/")
        groups.cancel(group)
        made.append(message_of(join(group)))
    page, cursor = deliveries.page(None, 2, "key_b")
    assert [each.id for each in page] == [made[4], made[2]] and cursor is not None
    page, cursor = deliveries.page(cursor, 2, "key_b", "pending")
    assert [each.id for each in page] == [made[0]] and cursor is None
    assert deliveries.page(None, 10, None, "failed") == ([], None)


def test_a_message_that_is_not_there_is_not_found(deliveries: Deliveries) -> None:
    assert deliveries.get("msg_nonsense") is None and deliveries.get("msg_01KBQ8Z6J0V6M3Y8F5W2T4N700") is None
    assert not deliveries.resend("msg_01KBQ8Z6J0V6M3Y8F5W2T4N700")
