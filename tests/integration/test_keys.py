"""Keys in Redis, what is remembered of them, and processes that will not serve everybody unasked."""

import asyncio
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from api.app import create_app
from processes import ROOT, Process, RedisServer, Web, assert_problem, free_port
from settings import Settings
from workers import keys as keys_module
from workers.app import connect_async
from workers.groups import Groups
from workers.keys import ALL, FRESH, OPERATOR, Caller, Key, KeyStore, Scope, Verifier

TOKEN = "a-token-of-the-operators-own-choice"


@pytest.fixture
def store(redis: Redis) -> KeyStore:
    return KeyStore(redis)


def verified(server: RedisServer, *tokens: str, admin_key: str = "") -> list[Key | None]:
    """What a new process finds about tokens, one after another."""

    async def ask() -> list[Key | None]:
        redis = connect_async(server.url)
        verifier = Verifier(redis, admin_key)
        try:
            return [await verifier.verify(token) for token in tokens]
        finally:
            await asyncio.gather(*verifier._tasks)
            await redis.aclose()

    return asyncio.run(ask())


def test_a_token_is_good_for_what_its_key_was_made_for(store: KeyStore, redis_server: RedisServer) -> None:
    key, token = store.create("night", [Scope.PREDICT])

    (found,) = verified(redis_server, token)

    assert found is not None and (found.id, found.name, found.owner) == (key.id, "night", key.id)
    assert found.scopes == {Scope.PREDICT}
    assert store.create("all", [Scope.ADMIN])[0].scopes == ALL


def test_nothing_of_a_token_but_its_digest_is_stored(store: KeyStore, redis: Redis) -> None:
    _, token = store.create("x", [Scope.TRAIN])
    secret = token.split("_")[2].encode()

    assert len(secret) == 43
    for name in redis.scan_iter("hemline:key_*"):
        assert not any(secret in value for value in redis.hgetall(name).values())


def test_every_way_to_be_no_token_is_told(store: KeyStore, redis_server: RedisServer) -> None:
    _, token = store.create("x", [Scope.PREDICT])
    other = store.create("y", [Scope.PREDICT])[1]
    head, name, secret = token.split("_")
    wrong = ["", "x", "hl_", "hl__", token[:-1], f"{token}x", f"{head}_{other.split('_')[1]}_{secret}",
             f"{head}_{name.lower()}_{secret}", f"xx_{name}_{secret}", f"{head}_{name}", "é" * 80]  # fmt: skip

    assert verified(redis_server, *wrong) == [None] * len(wrong)


def test_digests_are_compared_in_constant_time(
    store: KeyStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    token = store.create("x", [Scope.PREDICT])[1]
    assert verified(redis_server, token)[0] and not verified(redis_server, token[:-1] + "!")[0]

    digests = [pair for pair in compared if all(len(each) == 32 for each in pair)]
    assert [left == right for left, right in digests] == [True, False]


def test_a_key_ends_when_its_time_is_over(store: KeyStore, redis: Redis, redis_server: RedisServer) -> None:
    key, token = store.create("short", [Scope.PREDICT], 3600)
    assert key.expires == key.created + 3600 * 1_000_000
    assert verified(redis_server, token)[0] is not None and store.holds(key.id)

    redis.hset(f"hemline:{key.id}", "expires", key.created)

    assert verified(redis_server, token) == [None] and not store.holds(key.id)
    assert [each.id for each in store.page(None, 10)[0]] == [key.id]  # so that one sees why


def test_a_key_that_replaces_another_finds_its_work(store: KeyStore, redis_server: RedisServer) -> None:
    first, old = store.create("x", [Scope.PREDICT], 60)
    second, new = store.rotate(first.id) or pytest.fail()
    third, _ = store.rotate(second.id) or pytest.fail()

    assert first.id != second.id and first.owner == second.owner == third.owner == first.id
    assert second.name == "x" and second.scopes == {Scope.PREDICT}
    assert second.expires is not None and second.expires - second.created == 60_000_000
    assert all(verified(redis_server, old, new))
    store.revoke(first.id)
    assert [bool(key) for key in verified(redis_server, old, new)] == [False, True]
    assert store.rotate(first.id) is None and store.rotate("key_x") is None


def test_keys_are_listed_newest_first_page_by_page(store: KeyStore) -> None:
    made = [store.create(str(i), [Scope.PREDICT])[0].id for i in range(5)]
    store.revoke(made[2])

    page, cursor = store.page(None, 2)
    rest, end = store.page(cursor, 10)

    assert [key.id for key in [*page, *rest]] == [made[4], made[3], made[1], made[0]]
    assert end is None and not store.revoke(made[2]) and not store.revoke("nonsense")


def test_the_last_use_is_noted_and_does_not_bring_a_revoked_key_back(
    store: KeyStore, redis: Redis, redis_server: RedisServer
) -> None:
    key, token = store.create("x", [Scope.PREDICT])
    verified(redis_server, token)
    used = (store.get(key.id) or pytest.fail()).used
    assert used is not None and used >= key.created
    verified(redis_server, token)
    assert (store.get(key.id) or pytest.fail()).used == used  # once a minute is enough

    async def note_late() -> None:
        connection = connect_async(redis_server.url)
        store.revoke(key.id)
        await Verifier(connection)._note_use(key, used)
        await connection.aclose()

    asyncio.run(note_late())
    assert not redis.exists(f"hemline:{key.id}")


def test_the_operators_token_needs_no_redis(tmp_path: Path) -> None:
    async def ask() -> list[Key | None]:
        redis = connect_async(f"unix://{tmp_path}/nobody")
        verifier = Verifier(redis, TOKEN)
        found = [await verifier.verify(TOKEN), verifier.recall(TOKEN)]
        await redis.aclose()
        return found

    found = asyncio.run(ask())
    assert [key and (key.id, key.scopes) for key in found] == [(OPERATOR, ALL)] * 2


def test_without_an_operators_token_the_empty_one_is_nobodys(store: KeyStore, redis_server: RedisServer) -> None:
    assert verified(redis_server, "", admin_key="") == [None]
    assert verified(redis_server, TOKEN, admin_key=TOKEN)[0] is not None
    assert verified(redis_server, TOKEN[:-1], admin_key=TOKEN) == [None]


class Clock:
    """Stands for the module `time`, and goes only when told."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_what_is_remembered_is_forgotten_before_a_revoked_key_could_be_used_on(
    store: KeyStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(keys_module, "time", clock)
    key, token = store.create("x", [Scope.PREDICT])

    async def use() -> None:
        redis = connect_async(redis_server.url)
        verifier = Verifier(redis)
        assert verifier.recall(token) is None
        assert await verifier.verify(token)
        store.revoke(key.id)
        clock.now += FRESH * 0.99
        assert verifier.recall(token)  # no Redis is asked on the hot path
        clock.now += FRESH * 0.01
        assert verifier.recall(token) is None and await verifier.verify(token) is None
        await redis.aclose()

    asyncio.run(use())


def test_an_expiring_key_is_remembered_no_longer_than_it_lives(
    store: KeyStore, redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(keys_module, "time", clock)
    _, token = store.create("x", [Scope.PREDICT], 1)

    async def use() -> None:
        connection = connect_async(redis_server.url)
        verifier = Verifier(connection)
        assert await verifier.verify(token)
        clock.now += 1
        assert verifier.recall(token) is None
        await connection.aclose()

    asyncio.run(use())


def test_many_requests_with_a_new_token_ask_redis_once(
    store: KeyStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = store.create("x", [Scope.PREDICT])
    asked: list[str] = []
    find = Verifier._find

    async def counted(self: Verifier, token: str, digest: bytes) -> Any:
        asked.append(token)
        return await find(self, token, digest)

    monkeypatch.setattr(Verifier, "_find", counted)

    async def use() -> list[Key | None]:
        redis: AsyncRedis = connect_async(redis_server.url)
        verifier = Verifier(redis)
        gone = asyncio.ensure_future(verifier.verify(token))
        others = [asyncio.ensure_future(verifier.verify(token)) for _ in range(50)]
        await asyncio.sleep(0)
        gone.cancel()  # takes nothing from the others
        found = await asyncio.gather(*others)
        await asyncio.gather(*verifier._tasks)
        await redis.aclose()
        return found

    assert all(asyncio.run(use())) and asked == [token]


def test_guesses_do_not_fill_the_memory(store: KeyStore, redis_server: RedisServer) -> None:
    async def use() -> int:
        redis = connect_async(redis_server.url)
        verifier = Verifier(redis)
        for number in range(keys_module._MOST_KNOWN + 5):
            await verifier.verify(f"guess-{number}")
        await redis.aclose()
        return len(verifier._known)

    assert asyncio.run(use()) <= keys_module._MOST_KNOWN


def test_a_caller_sees_his_own_work_and_an_admin_all() -> None:
    mine = Caller("key_2", "key_1", frozenset({Scope.PREDICT}), "::1")
    admin = Caller("key_3", "key_3", ALL, "::1")
    nobody = Caller("", "", ALL, "::1")

    assert mine.sees("key_1") and not mine.sees("key_2") and not mine.sees("") and mine.sees_only == "key_1"
    assert all(who.sees(owner) and who.sees_only is None for who in (admin, nobody) for owner in ("key_1", ""))


def command(server: RedisServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HEMLINE_REDIS_URL": server.url}
    return subprocess.run(
        [sys.executable, "-m", "workers", "keys", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True
    )


def test_keys_are_made_listed_rotated_and_revoked_by_hand(store: KeyStore, redis_server: RedisServer) -> None:
    scopes = ("--scope", "predict", "--scope", "train")
    made = command(redis_server, "create", "shop floor", *scopes, "--expires-in", "90d")
    token = made.stdout.strip()
    assert made.returncode == 0 and token.startswith("hl_") and "shown once" in made.stderr
    (key,), _ = store.page(None, 10)
    assert key.scopes == {Scope.PREDICT, Scope.TRAIN}
    assert key.expires is not None and key.expires - key.created == 90 * 86_400_000_000
    assert verified(redis_server, token)[0] is not None

    rotated = command(redis_server, "rotate", key.id)
    listed = command(redis_server, "list").stdout
    assert listed.count("shop floor\tpredict,train\t") == 2 and token.split("_")[2] not in listed
    assert verified(redis_server, rotated.stdout.strip())[0] is not None

    assert command(redis_server, "revoke", key.id).returncode == 0
    assert verified(redis_server, token) == [None]
    assert [command(redis_server, what, key.id).returncode for what in ("rotate", "revoke")] == [1, 1]


@pytest.mark.parametrize("arguments", [
    ["create", "x"], ["create", "x", "--scope", "root"], ["create", "x", "--scope", "admin", "--expires-in", "soon"],
    ["revoke"], [],
])  # fmt: skip
def test_a_command_that_makes_no_sense_is_refused(redis_server: RedisServer, arguments: list[str]) -> None:
    refused = command(redis_server, *arguments)

    assert refused.returncode == 2 and "usage:" in refused.stderr


def test_a_web_process_that_others_reach_does_not_start_without_a_word_on_keys(tmp_path: Path) -> None:
    server = Process([sys.executable, "-m", "api.server"], tmp_path / "log",
                     {"HEMLINE_REDIS_URL": "unix:///nowhere", "HEMLINE_HOME": str(tmp_path), "PORT": str(free_port()),
                      "HEMLINE_HOST": "0.0.0.0"})  # fmt: skip

    assert server.popen.wait(60) == os.EX_USAGE
    for way_out in ("HEMLINE_AUTH=keys", "python -m workers keys create", "HEMLINE_AUTH=off", "127.0.0.1"):
        assert way_out in server.output()


@pytest.mark.parametrize(("auth", "address", "status"), [
    ("", "127.0.0.1", 200), ("", "localhost", 200), ("", "10.0.0.1", 401), ("off", "10.0.0.1", 200),
])  # fmt: skip
def test_under_a_server_that_listens_elsewhere_than_the_settings_say_nobody_comes_in_unasked(
    store: KeyStore, redis_server: RedisServer, tmp_path: Path, auth: str, address: str, status: int
) -> None:
    client = create_app(Settings(redis_url=redis_server.url, home=tmp_path, auth=auth)).test_client()

    assert client.get("/v1/batches", base_url=f"http://{address}/").status_code == status


def test_make_run_does_not_start_where_others_reach_it_without_a_word_on_keys(tmp_path: Path) -> None:
    served = Process([sys.executable, "serve.py"], tmp_path / "log",
                     {"HEMLINE_HOST": "0.0.0.0", "PORT": "0", "HEMLINE_HOME": str(tmp_path / "home")})  # fmt: skip

    assert served.popen.wait(60) == 2
    assert "HEMLINE_AUTH=keys" in served.output() and not (tmp_path / "home").exists()


@pytest.fixture
def on_all_addresses(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Web]:
    environ = {"HEMLINE_REDIS_URL": "unix:///nowhere", "HEMLINE_HOME": str(tmp_path), **request.param}
    web = Web(tmp_path / "log", environ, host="0.0.0.0")
    yield web
    web.stop()


@pytest.mark.parametrize(
    "on_all_addresses", [{"HEMLINE_AUTH": "keys"}, {"HEMLINE_ADMIN_KEY": TOKEN}], indirect=True
)
def test_with_keys_it_serves_everywhere(on_all_addresses: Web) -> None:
    assert_problem(on_all_addresses.http.get("/v1/models"), 401)
    assert_problem(on_all_addresses.http.get("/v1/models", headers={"Authorization": "Bearer hl_x"}), 401)


@pytest.mark.parametrize("on_all_addresses", [{"HEMLINE_AUTH": "off"}], indirect=True)
def test_without_keys_it_serves_everywhere_only_when_told_to_and_says_so(on_all_addresses: Web) -> None:
    assert_problem(on_all_addresses.http.get("/v1/models"), 503)  # Redis is away, which is none of our business
    assert "everybody who reaches" in on_all_addresses.output()


def test_under_another_server_the_same_is_asked(store: KeyStore, redis_server: RedisServer, tmp_path: Path) -> None:
    """One without an event loop of its own."""
    client = create_app(Settings(redis_url=redis_server.url, home=tmp_path, auth="keys")).test_client()
    _, token = store.create("x", [Scope.PREDICT])
    headers = {"Authorization": f"Bearer {token}"}

    assert client.get("/v1/predictions").status_code == 401
    assert client.get("/v1/predictions", headers=headers).status_code == 200
    assert client.get("/v1/predictions/pred_01KBQ8Z6J0V6M3Y8F5W2T4N7RC", headers=headers).status_code == 404
    assert client.get("/v1/training-jobs", headers=headers).status_code == 403


@pytest.mark.parametrize(("address", "headers", "status"), [
    ("127.0.0.1", {}, 200), ("::1", {}, 200), ("10.0.0.1", {}, 401),
    ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, 401), ("127.0.0.1", {"Forwarded": "for=10.0.0.1"}, 401),
    ("10.0.0.1", {"Authorization": f"Bearer {TOKEN}"}, 200),
])  # fmt: skip
def test_figures_are_for_this_machine_and_for_admins(
    tmp_path: Path, address: str, headers: dict[str, str], status: int
) -> None:
    """Not for whoever comes through a proxy on it."""
    app = create_app(Settings(redis_url="unix:///nowhere", home=tmp_path, auth="keys", admin_key=TOKEN))

    answer = app.test_client().get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


@pytest.mark.parametrize(("auth", "site", "status"), [
    ("off", None, 202), ("off", "same-origin", 202), ("off", "none", 202), ("off", "cross-site", 403),
    ("off", "same-site", 403), ("keys", "cross-site", 202),
])  # fmt: skip
def test_without_keys_pages_of_other_sites_cannot_make_a_browser_send_work(
    groups: Groups, redis_server: RedisServer, tmp_path: Path, auth: str, site: str | None, status: int
) -> None:
    settings = Settings(redis_url=redis_server.url, home=tmp_path, auth=auth, admin_key=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Sec-Fetch-Site": site} if site else {})
    client = create_app(settings).test_client()

    assert client.post("/v1/batches", json={"images": ["x"]}, headers=headers).status_code == status
    assert client.get("/v1/batches", headers=headers).status_code == 200


def test_when_redis_is_away_nobody_is_let_in_and_pages_are_there(tmp_path: Path) -> None:
    environ = {"HEMLINE_REDIS_URL": "unix:///nowhere", "HEMLINE_HOME": str(tmp_path), "HEMLINE_AUTH": "keys"}
    web = Web(tmp_path / "log", environ)
    token = f"hl_01KBQ8Z6J0V6M3Y8F5W2T4N700_{'x' * 43}"
    answer = web.http.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
    page = web.http.get("/docs", headers={"Authorization": f"Bearer {token}"})
    web.stop()

    assert_problem(answer, 503)
    assert page.status_code == 200
