"""The registry's index: whatever keeps it, nothing is lost when many change it at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from ml.artifacts import FileArtifacts
from ml.registry import Index, LocalIndex, Move, Registry, VersionInUse
from processes import RedisServer
from workers.aliases import RedisIndex
from workers.app import connect
from workers.groups import Groups
from workers.records import Item
from workers.ids import new_group


@pytest.fixture(params=["local", "redis"])
def index(request: pytest.FixtureRequest, redis: Redis) -> Index:
    """The contract of an index, over all that implement it."""
    makers: dict[str, Callable[[], Index]] = {"local": LocalIndex, "redis": lambda: RedisIndex(redis)}
    return makers[request.param]()


def move(to: str, alias: str = "production") -> Move:
    return Move(alias=alias, to_version=to, by="a test")


def test_numbers_rise_above_what_is_taken(index: Index) -> None:
    assert [index.next_number(0), index.next_number(0), index.next_number(7), index.next_number(3)] == [1, 2, 8, 9]


def test_an_empty_index_knows_nothing(index: Index) -> None:
    assert index.versions() == []
    assert index.aliases() == {}
    assert index.history("production") == []


def test_versions_are_found_once_added_and_until_removed(index: Index) -> None:
    for version in ("v1", "v2", "v2"):
        index.add(version)
    assert sorted(index.versions()) == ["v1", "v2"]
    assert index.remove("v1") == []
    assert index.remove("v1") == []
    assert index.versions() == ["v2"]


def test_a_version_that_aliases_point_at_is_not_removed(index: Index) -> None:
    index.add("v1")
    index.move(move("v1"))
    index.move(move("v1", "staging"))

    assert sorted(index.remove("v1")) == ["production", "staging"]
    assert index.versions() == ["v1"]


def test_a_move_says_from_where_and_its_history_is_newest_first(index: Index) -> None:
    index.add("v1")
    index.add("v2")
    first, second = move("v1"), move("v2")

    assert index.move(first) == first
    assert index.move(second) == replace(second, from_version="v1")
    assert index.aliases() == {"production": replace(second, from_version="v1")}
    assert index.history("production") == [replace(second, from_version="v1"), first]


def test_numbers_are_given_once_however_many_ask(redis: Redis, redis_server: RedisServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        indices = [RedisIndex(connect(redis_server.url)) for _ in range(8)]
        numbers = list(pool.map(lambda i: indices[i % 8].next_number(0), range(200)))

    assert sorted(numbers) == list(range(1, 201))


def test_moves_at_once_make_one_unbroken_history(redis: Redis, redis_server: RedisServer) -> None:
    index = RedisIndex(redis)
    for n in range(8):
        index.add(f"v{n + 1}")
    with ThreadPoolExecutor(8) as pool:
        indices = [RedisIndex(connect(redis_server.url)) for _ in range(8)]
        list(pool.map(lambda i: indices[i % 8].move(move(f"v{i % 8 + 1}")), range(200)))
    history = index.history("production")

    assert len(history) == 200
    assert history[-1].from_version is None
    assert [m.from_version for m in history[:-1]] == [m.to_version for m in history[1:]]
    assert index.aliases()["production"] == history[0]


def test_what_the_index_names_is_what_predictions_are_accepted_with(groups: Groups, redis: Redis) -> None:
    index = RedisIndex(redis)
    index.add("v9")
    index.move(move("v9", "staging"))

    assert groups.submit(new_group("pred"), "staging", [Item({}, bytes(784))]).version == "v9"


def test_an_index_that_redis_lost_comes_back_with_its_aliases(redis: Redis, tmp_path: Path) -> None:
    registry = Registry(FileArtifacts(tmp_path), RedisIndex(redis))
    for _ in range(2):
        registry.publish({"model.keras": b"k"}, {})
    for version in ("v1", "v2"):
        registry.point("production", version, by="me")
    before = registry.history("production")
    redis.flushall()
    registry.restore()

    assert registry.versions() == ["v2", "v1"]
    assert registry.history("production") == before
    assert registry.publish({"model.keras": b"k"}, {}) == "v3"


def test_a_version_is_never_deleted_under_an_alias_that_moves_to_it(redis: Redis, tmp_path: Path) -> None:
    registry = Registry(FileArtifacts(tmp_path), RedisIndex(redis))
    keep = registry.publish({"model.keras": b"k"}, {})
    with ThreadPoolExecutor(2) as pool:
        for _ in range(30):
            registry.point("production", keep, by="me")
            version = registry.publish({"model.keras": b"k"}, {})
            deleted = pool.submit(registry.delete, version)
            pointed = pool.submit(registry.point, "production", version, "me")
            outcomes = {type(deleted.exception()), type(pointed.exception())}
            assert registry.resolve("production") in registry.versions(), outcomes
            assert isinstance(deleted.exception(), (VersionInUse, type(None)))
