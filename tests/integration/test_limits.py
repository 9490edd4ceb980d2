"""Limits: how often one may ask, how much one may have open, and what happens when there is too much of anything."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from redis import Redis

from api.asgi import _address
from api.limits import network_of
from processes import Client, RedisServer, Web, assert_problem, b64, eventually, sample, worker
from test_groups import item
from workers.backlog import Backlog
from workers.batches import BatchStore
from workers.groups import SUBMIT, Groups, accepted, source
from workers.ids import new_group
from workers.jobs import JobState, JobStore, TooMuchOpen
from workers.keys import KeyStore, Scope
from workers.records import Accepted, Answer, Item, Overloaded, Patience

IMAGE = b64(sample("sneaker"))
OPEN = "hemline:open"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a worker, where the models are."""
    return tmp_path_factory.mktemp("publishing")


@pytest.fixture(scope="module")
def store(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Redis alone: what is accepted waits."""
    redis = RedisServer(tmp_path_factory.mktemp("limits") / "redis")
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(published)}
    first = worker(published / "worker.log", environ)  # publishes what ships
    eventually(lambda: redis.client.hget("hemline:aliases", "production")
               and not redis.client.exists("hemline:install"), "there are models")  # fmt: skip
    first.stop()
    yield redis
    redis.stop()


@pytest.fixture
def start(store: RedisServer, tmp_path: Path) -> Iterator[Any]:
    """Starts web processes with these settings."""
    with ExitStack() as stack:

        def web(**settings: str) -> Client:
            environ = {"HEMLINE_REDIS_URL": store.url, "HEMLINE_HOME": str(tmp_path), "HEMLINE_AUTH": "keys"}
            log = tmp_path / f"web-{time.monotonic_ns()}.log"
            started = Web(log, {**environ, **{f"HEMLINE_{name.upper()}": value for name, value in settings.items()}})
            stack.callback(started.stop)
            return started.http

        yield web


@pytest.fixture
def token(store: RedisServer) -> str:
    return KeyStore(store.client).create("tester", list(Scope))[1]


def with_key(http: Client, token: str) -> Client:
    client = Client(http.url)
    client.session.headers["Authorization"] = f"Bearer {token}"
    return client


def statuses(answers: list[requests.Response]) -> dict[int, int]:
    found = [answer.status_code for answer in answers]
    return {status: found.count(status) for status in set(found)}


def test_a_key_may_ask_so_often_of_all_processes_together(start: Any, token: str, store: RedisServer) -> None:
    processes = [with_key(start(rate_limit="20/hour"), token) for _ in range(2)]
    answers = [processes[number % 2].get("/v1/models") for number in range(24)]
    assert statuses(answers) == {200: 20, 429: 4}
    problem = assert_problem(answers[-1], 429)
    assert problem["type"].endswith("rate-limited") and "20 times in 3600 s" in problem["detail"]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=20;w=3600'
    assert answers[0].headers["RateLimit"].startswith('"key";r=19;t=')
    assert answers[-1].headers["RateLimit"].startswith('"key";r=0;t=')
    other = KeyStore(store.client).create("other", [Scope.PREDICT])[1]
    assert with_key(processes[0], other).get("/v1/models").status_code == 200


def test_of_several_limits_each_holds(start: Any, token: str) -> None:
    http = with_key(start(rate_limit="1000/second;5/hour"), token)
    assert statuses([http.get("/v1/models") for _ in range(7)]) == {200: 5, 429: 2}


def test_an_address_without_a_valid_key_may_guess_so_often(start: Any, token: str) -> None:
    http = start(address_rate_limit="10/hour")
    guesses = [with_key(http, f"hl_guess_{number}").get("/v1/models") for number in range(12)]
    assert statuses(guesses) == {401: 10, 429: 2}
    assert "This address" in guesses[-1].json()["detail"]
    # Whoever has a key is not to blame for it, and probes go on.
    assert with_key(http, token).get("/v1/models").status_code == 200
    assert http.get("/health/live").status_code == 200


def test_a_limit_may_be_off(start: Any, token: str) -> None:
    answer = with_key(start(rate_limit="off"), token).get("/v1/models")
    assert answer.status_code == 200 and "RateLimit" not in answer.headers


def test_loopback_without_keys_has_no_limit(start: Any) -> None:
    http = start(auth="", rate_limit="1/hour", address_rate_limit="1/hour", max_queued_per_key="1")
    answers = [http.post("/v1/predictions", {"image": IMAGE}) for _ in range(5)]
    assert statuses(answers) == {202: 5} and "RateLimit" not in answers[0].headers


def test_without_redis_what_needs_it_says_so_and_nothing_is_called_too_much(start: Any, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    http = with_key(start(redis_url=redis.url), KeyStore(redis.client).create("tester", list(Scope))[1])
    assert http.get("/v1/keys").status_code == 200
    redis.stop()
    assert_problem(http.get("/v1/keys"), 503)
    assert http.get("/health/live").status_code == 200


def test_what_waits_of_a_key_has_a_limit_that_others_do_not_feel(
    start: Any, token: str, store: RedisServer
) -> None:
    http = with_key(start(max_queued_per_key="5"), token)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: with_key(http, token).post("/v1/predictions", {"image": IMAGE}), range(8)))
    assert statuses(answers) == {202: 5, 429: 3}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert assert_problem(refused, 429)["type"].endswith("too-much-open") and int(refused.headers["Retry-After"]) >= 1
    assert_problem(http.post("/v1/batches", {"images": [IMAGE]}), 429)
    other = with_key(http, KeyStore(store.client).create("other", [Scope.PREDICT])[1])
    assert other.post("/v1/batches", {"images": [IMAGE] * 5}).status_code == 202
    # What is canceled or forgotten makes room.
    accepted = next(answer for answer in answers if answer.status_code == 202)
    assert http.delete(accepted.headers["Location"]).status_code == 204
    assert http.post("/v1/predictions", {"image": IMAGE}).status_code == 202
    assert_problem(http.post("/v1/predictions", {"image": IMAGE}), 429)


def test_jobs_of_a_key_have_a_limit_too(start: Any, token: str) -> None:
    http = with_key(start(max_jobs_per_key="2"), token)
    job = http.post("/v1/training-jobs", {"epochs": 1})
    search = {"trials": 1, "search_space": {"batch_size": {"choices": [32]}}}
    assert http.post("/v1/tuning-jobs", search).status_code == 202
    assert_problem(http.post("/v1/training-jobs", {"epochs": 1}), 429)
    assert_problem(http.post("/v1/tuning-jobs", search), 429)
    http.post(job.headers["Location"] + "/cancel")
    assert http.post("/v1/training-jobs", {"epochs": 1}).status_code == 202


def test_what_would_wait_too_long_is_refused_and_a_burst_is_not(groups: Groups, redis: Redis) -> None:
    def submit(patience: Patience) -> Accepted:
        group = new_group("pred")
        keys, arguments = groups.submission(group, "production", [item()], patience=patience)
        return accepted(group, "production", redis.register_script(source(*SUBMIT))(keys, arguments))

    first = submit(Patience(2, 0))
    submit(Patience(2, 0))
    assert submit(Patience(2, 60_000_000)).queued == 3  # the next in line has not waited for long
    with pytest.raises(Overloaded, match="3 predictions"):
        submit(Patience(2, 0))
    groups.submit(new_group("batch"), "production", [item()])  # batches have a queue of their own, and time
    groups.forget(first.group)
    assert submit(Patience(4, 0)).queued == 4  # there is room again
    redis.delete("hemline:celery:predictions")  # all that waits is in the workers' hands
    assert submit(Patience(2, 0)).queued == 5


def test_patience_ends_by_what_single_predictions_were_answered_when_there_was_most_to_do(redis: Redis) -> None:
    backlog = Backlog(redis)
    backlog._count()
    assert backlog.patience(10) is None  # nothing is known yet
    window = int(time.time()) // 5
    redis.set(f"hemline:drained:{window - 2}:pred", 5000)
    redis.set(f"hemline:drained:{window - 1}:pred", 5)
    redis.set(f"hemline:drained:{window - 1}", 90_000)  # those of batches are another matter
    backlog._count()
    assert backlog.patience(10) == Patience(10_000, 2_500_000) and backlog.patience(0) is None
    assert backlog.patience(0.1) == Patience(1000, 25_000)  # so few are never too many


def test_under_overload_what_is_refused_says_when_to_come_and_what_is_accepted_is_answered(
    store: RedisServer, start: Any, published: Path
) -> None:
    http = start(auth="", max_delay="1", home=str(published))
    working = worker(published / "again.log", {"HEMLINE_REDIS_URL": store.url, "HEMLINE_HOME": str(published)})
    try:
        eventually(lambda: http.answers("/health/ready"), "the worker is there")
        assert http.post("/v1/predictions", {"image": IMAGE}, wait=20).status_code == 201  # something was measured
        working.popen.send_signal(signal.SIGSTOP)
        http.post("/v1/batches", {"images": [IMAGE] * 1024})

        def submitted() -> list[requests.Response]:
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(lambda _: Client(http.url).post("/v1/predictions", {"image": IMAGE}), range(40)))

        answers = submitted()
        while all(answer.status_code == 202 for answer in answers[-40:]):
            answers += submitted()
        found = statuses(answers)
        assert set(found) == {202, 503}, found
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert assert_problem(refused, 503)["type"].endswith("overloaded") and int(refused.headers["Retry-After"]) >= 1
        working.popen.send_signal(signal.SIGCONT)
        for answer in (each for each in answers if each.status_code == 202):
            assert http.get(answer.headers["Location"], headers={"Prefer": "wait=20"}).json()["status"] == "succeeded"
        assert http.post("/v1/predictions", {"image": IMAGE}, wait=20).status_code == 201
    finally:
        working.popen.send_signal(signal.SIGCONT)
        working.stop()


def owned(owner: str, number: int = 0) -> Item:
    made = item(number)
    return replace(made, doc={**made.doc, **({"owner": owner} if owner else {})})


def counts(redis: Redis, kind: str) -> dict[bytes, int]:
    found: dict[bytes, bytes] = redis.hgetall(f"{OPEN}:{kind}")  # type: ignore[assignment]
    return {owner: int(count) for owner, count in found.items()}


def test_counts_of_owners_who_share_a_group_come_back_to_nothing(groups: Groups, redis: Redis) -> None:
    group = new_group("pred")
    groups.submit(group, "production", [owned("key_a"), owned("key_b"), owned(""), owned("key_a")])
    assert counts(redis, "pred") == {b"key_a": 2, b"key_b": 1}
    groups.forget(group, 1)
    assert counts(redis, "pred") == {b"key_a": 2}
    taken = groups.begin(groups.slices(group, 4)[0])
    assert taken is not None
    answers = [Answer(place, "f", b'{"code": "x", "detail": "y"}') for place in taken.places]
    groups.finish(groups.slices(group, 4)[0], answers)
    groups.finish(groups.slices(group, 4)[0], answers)  # twice, as after a crash
    assert counts(redis, "pred") == {}


def test_a_batch_in_json_counts_until_it_is_canceled(groups: Groups, redis: Redis) -> None:
    group = new_group("batch")
    groups.submit(group, "production", [item(), item(1)], None, "key_a")
    assert counts(redis, "pred") == {b"key_a": 2}
    groups.cancel(group)
    assert counts(redis, "pred") == {}


def test_files_count_by_themselves(groups: Groups, redis: Redis) -> None:
    batches = BatchStore(redis, groups, ttl=3600, slice_size=4, lease=10, max_memory_share=0.8, most_of_one=5)
    with batches.draft("production", "key_a") as draft:
        draft.add([item(), item(1), item(2)])
        batch = draft.submit(None)
    assert counts(redis, "bulk") == {b"key_a": 3} and counts(redis, "pred") == {}
    with pytest.raises(TooMuchOpen), batches.draft("production", "key_a") as draft:
        draft.add([item(), item(1), item(2)])
        draft.submit(None)
    part = batch.name + ".0000"
    piece = groups.slices(part, 3)[0]
    taken = groups.begin(piece)
    assert taken is not None
    groups.finish(piece, [Answer(0, "f", b'{"code": "x", "detail": "y"}')])
    assert counts(redis, "bulk") == {b"key_a": 2}
    batches.forget(batch.name)
    assert counts(redis, "bulk") == {}


def test_a_job_counts_until_it_has_ended_however_it_does(redis: Redis) -> None:
    jobs = JobStore(redis, "job", lease=10, max_waiting=10, max_attempts=2, most_of_one=2)
    spec = {"training": {}, "dataset": "fashion-mnist", "owner": "key_a"}
    first, _ = jobs.submit(spec), jobs.submit(spec)
    with pytest.raises(TooMuchOpen):
        jobs.submit(spec)
    lease = jobs.claim(first.id)
    assert lease is not None and counts(redis, "jobs") == {b"key_a": 2}
    jobs.update(lease, event="failed", state=JobState.FAILED)
    assert counts(redis, "jobs") == {b"key_a": 1}
    jobs.cancel(jobs.submit(spec).id)
    assert counts(redis, "jobs") == {b"key_a": 1}


@pytest.mark.parametrize(("name", "status"), [
    ("127.0.0.1", 200), ("localhost", 200), ("[::1]", 200), ("LOCALHOST:8000", 200), ("rebound.example", 421),
    ("rebound.example:8000", 421), ("127.0.0.1.evil.example", 421), ("our.example", 200), ("[", 421),
])  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_refused(
    own_machine: Client, name: str, status: int
) -> None:
    answer = own_machine.get("/v1/models", headers={"Host": name})
    assert answer.status_code == status, answer.text
    if status == 421:
        assert "HEMLINE_TRUSTED_HOSTS" in assert_problem(answer, 421)["detail"]


@pytest.fixture(scope="module")
def own_machine(store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A service without keys, for this machine alone and for who asks for our.example."""
    folder = tmp_path_factory.mktemp("own")
    web = Web(folder / "web.log", {"HEMLINE_REDIS_URL": store.url, "HEMLINE_HOME": str(folder),
                                   "HEMLINE_TRUSTED_HOSTS": "our.example"})  # fmt: skip
    yield web.http
    web.stop()


def test_with_keys_any_name_will_do(start: Any, token: str) -> None:
    assert with_key(start(), token).get("/v1/models", headers={"Host": "shop.example"}).status_code == 200


def test_more_requests_than_a_process_takes_are_refused_unread(start: Any, token: str) -> None:
    http = with_key(start(max_requests="8"), token)
    with ThreadPoolExecutor(24) as pool:
        held = [
            pool.submit(with_key(http, token).post, "/v1/predictions", {"image": IMAGE}, 2) for _ in range(24)
        ]
        answers = [each.result() for each in held]
    found = statuses(answers)
    assert found[202] >= 8 and found[503] >= 1 and set(found) == {202, 503}
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert busy.headers["Content-Type"] == "application/problem+json"
    assert busy.json()["type"].endswith("busy") and int(busy.headers["Retry-After"]) >= 1
    assert http.get("/v1/models").status_code == 200


def test_slow_clients_hold_nobody_up_and_are_let_go(start: Any, token: str) -> None:
    http = with_key(start(max_connections="40"), token)
    place = urlsplit(http.url)
    address = (place.hostname or "", place.port or 0)
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address)) for _ in range(30)]
        for number, each in enumerate(slow):  # a head, and a body, that do not come
            each.sendall(b"GET / HTTP/1.1\r\n" if number % 2 else
                         b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")  # fmt: skip
        assert http.get("/v1/models").status_code == 200
        more = [stack.enter_context(socket.create_connection(address)) for _ in range(20)]
        for each in more:
            each.settimeout(10)
        assert sum(_is_closed(each) for each in more[-5:]) == 5  # there are too many by then
        assert http.get("/v1/models").status_code == 200  # on its own connection, which was there before


def _is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", "192.0.2.7"),
    ("fe80::1%eth0", "fe80::/64"), ("unknown", "unknown"), ("", ""),
])  # fmt: skip
def test_an_address_stands_for_whoever_has_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(("proxies", "said", "address"), [
    (1, "198.51.100.9", "198.51.100.9"), (1, "made up, 198.51.100.9", "198.51.100.9"),
    (2, "made up, 198.51.100.9, 10.0.0.1", "198.51.100.9"), (2, "198.51.100.9", "10.0.0.2"), (1, "", "10.0.0.2"),
])  # fmt: skip
def test_of_what_proxies_say_only_what_ours_saw_counts(proxies: int, said: str, address: str) -> None:
    assert _address({"HTTP_X_FORWARDED_FOR": said, "REMOTE_ADDR": "10.0.0.2"}, proxies) == address
