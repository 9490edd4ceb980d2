"""What is in a backup, and what is refused, with a real Redis."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ml.artifacts import FileArtifacts
from ml.registry import Registry
from processes import RedisServer
from workers import backup
from workers.aliases import RedisIndex
from workers.groups import VERSIONS


@pytest.fixture
def other_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Where a backup is restored to."""
    server = RedisServer(tmp_path_factory.mktemp("other"))
    yield server
    server.stop()


@pytest.fixture
def artifacts(tmp_path: Path) -> FileArtifacts:
    return FileArtifacts(tmp_path / "artifacts")


@pytest.fixture
def registry(redis: Redis, artifacts: FileArtifacts) -> Registry:
    """A registry with two versions, of which production is the first."""
    made = Registry(artifacts, RedisIndex(redis))
    for content in (b"one", b"two"):
        made.publish({"model.tflite": content}, {"network": "any"})
    made.point("production", "v1", by="test")
    return made


def test_keys_of_every_type_come_back_with_what_is_left_of_their_time(
    redis: Redis, redis_server: RedisServer, other_redis: RedisServer, registry: Registry, artifacts: FileArtifacts,
    tmp_path: Path,
) -> None:
    redis.hset("hemline:a:hash", mapping={"field": b"\0\xff"})
    redis.zadd("hemline:a:zset", {"member": 1.5})
    redis.xadd("hemline:a:stream", {"type": "x"})
    redis.set("hemline:a:fleeting", 1, ex=1000)
    redis.set("of:somebody:else", 1)
    backup.save(redis_server.url, artifacts, tmp_path / "file.tar")
    elsewhere = FileArtifacts(tmp_path / "elsewhere")
    backup.restore(tmp_path / "file.tar", other_redis.url, elsewhere)

    assert (tmp_path / "file.tar").stat().st_mode & 0o077 == 0
    there = other_redis.client
    names = set(redis.scan_iter("hemline:*"))
    assert set(there.scan_iter("*")) == names
    ordered = {name for name in names if redis.type(name) != b"set"}
    assert {name: there.dump(name) for name in ordered} == {name: redis.dump(name) for name in ordered}
    assert there.smembers(VERSIONS) == {b"v1", b"v2"}
    assert 0 < there.ttl("hemline:a:fleeting") <= 1000 and there.ttl("hemline:a:hash") == -1
    assert elsewhere.list("") == artifacts.list("")
    assert all(elsewhere.get(key) == artifacts.get(key) for key in artifacts.list(""))
    restored = Registry(elsewhere, RedisIndex(there))
    assert restored.file(restored.resolve("production"), "model.tflite") == b"one"
    assert restored.history("production") == registry.history("production")


def test_a_version_that_is_deleted_while_it_is_copied_is_in_neither_half(
    redis_server: RedisServer, other_redis: RedisServer, registry: Registry, artifacts: FileArtifacts, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = backup._take_snapshot
    taken = []

    def then_delete(url: str, to: Path) -> None:
        take(url, to)
        taken.append(to)
        if len(taken) == 1:
            registry.delete("v2")

    monkeypatch.setattr(backup, "_take_snapshot", then_delete)
    backup.save(redis_server.url, artifacts, tmp_path / "file.tar")
    elsewhere = FileArtifacts(tmp_path / "elsewhere")
    backup.restore(tmp_path / "file.tar", other_redis.url, elsewhere)

    assert len(taken) == 2
    assert Registry(elsewhere, RedisIndex(other_redis.client)).versions() == ["v1"]
    assert not elsewhere.list("models/v2/")


def test_a_damaged_version_is_copied_and_named(
    redis_server: RedisServer, registry: Registry, artifacts: FileArtifacts, tmp_path: Path
) -> None:
    (key,) = [key for key in artifacts.list("models/v1/") if key.endswith(".tflite")]
    artifacts.put(key, b"another")

    assert backup.save(redis_server.url, artifacts, tmp_path / "file.tar").damaged == [key]


@pytest.mark.parametrize("harm", ["cut", "altered", "another", "text"])
def test_what_is_no_whole_backup_changes_nothing(
    redis_server: RedisServer, other_redis: RedisServer, registry: Registry, artifacts: FileArtifacts, tmp_path: Path,
    harm: str,
) -> None:
    file = tmp_path / "file.tar"
    backup.save(redis_server.url, artifacts, file)
    content = file.read_bytes()
    match harm:
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "altered":
            file.write_bytes(content.replace(b"one", b"One", 1))
        case "text":
            file.write_text("no archive")
        case "another":
            with tarfile.open(file, "w") as tar:
                tar.add(__file__, "redis.rdb")
    elsewhere = FileArtifacts(tmp_path / "elsewhere")
    with pytest.raises(backup.NotRestored):
        backup.restore(file, other_redis.url, elsewhere)

    assert not other_redis.client.dbsize() and not elsewhere.list("")


def test_a_store_or_a_redis_that_is_in_use_is_not_written_to(
    redis: Redis, redis_server: RedisServer, other_redis: RedisServer, registry: Registry, artifacts: FileArtifacts,
    tmp_path: Path,
) -> None:
    file, empty = tmp_path / "file.tar", FileArtifacts(tmp_path / "empty")
    backup.save(redis_server.url, artifacts, file)
    with pytest.raises(backup.NotRestored, match="This Redis has data"):
        backup.restore(file, redis_server.url, empty)
    with pytest.raises(backup.NotRestored, match="store is not empty"):
        backup.restore(file, other_redis.url, artifacts)

    assert not other_redis.client.dbsize() and not empty.list("")


def test_a_redis_that_does_not_answer_leaves_no_file(artifacts: FileArtifacts, redis: Redis, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nothing.sock"
    with pytest.raises(backup.NotBackedUp):
        backup._take_snapshot(url, tmp_path / "redis.rdb")

    assert not list(tmp_path.glob("*.tar"))
