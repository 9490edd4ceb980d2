"""What every artifact store must do; a further backend joins by a further parameter of the fixture."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml.artifacts import ArtifactNotFound, Artifacts, FileArtifacts, open_artifacts

OUTSIDE = ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "//x", ".hidden", "a/.hidden/b", "a/..", "a\0b"]


@pytest.fixture(params=["file"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return {"file": lambda: FileArtifacts(tmp_path / "store")}[request.param]()


def test_what_was_put_is_got(artifacts: Artifacts) -> None:
    artifacts.put("models/v1/model.tflite", bytes(range(256)))

    assert artifacts.get("models/v1/model.tflite") == bytes(range(256))


def test_no_bytes_are_bytes_too(artifacts: Artifacts) -> None:
    artifacts.put("empty", b"")

    assert artifacts.get("empty") == b""


def test_a_second_put_replaces_the_first(artifacts: Artifacts) -> None:
    artifacts.put("key", b"old and longer")
    artifacts.put("key", b"new")

    assert artifacts.get("key") == b"new"
    assert artifacts.list("") == ["key"]


def test_a_key_is_created_once(artifacts: Artifacts) -> None:
    assert artifacts.create("models/v1/card.json", b"first")
    assert not artifacts.create("models/v1/card.json", b"second")
    assert artifacts.get("models/v1/card.json") == b"first"

    artifacts.delete("models/v1/card.json")
    assert artifacts.create("models/v1/card.json", b"third")
    assert artifacts.list("") == ["models/v1/card.json"]


def test_of_many_that_create_one_key_one_succeeds(artifacts: Artifacts) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda i: artifacts.create("card", b"%d" % i), range(40)))

    assert created.count(True) == 1
    assert artifacts.get("card") == b"%d" % created.index(True)
    assert artifacts.list("") == ["card"]


@pytest.mark.parametrize("key", ["nothing", "models", "models/v1", "models/v1/card.json/x"])
def test_a_key_without_bytes_is_not_found(artifacts: Artifacts, key: str) -> None:
    artifacts.put("models/v1/card.json", b"{}")

    with pytest.raises(ArtifactNotFound):
        artifacts.get(key)


def test_a_store_that_holds_nothing_can_be_asked(artifacts: Artifacts) -> None:
    assert artifacts.list("models/") == []
    with pytest.raises(ArtifactNotFound):
        artifacts.get("key")
    artifacts.delete("key")


def test_keys_are_listed_by_prefix_and_sorted(artifacts: Artifacts) -> None:
    for key in ("models/v10/card.json", "models/v2/card.json", "models/v1/card.json", "aliases.json"):
        artifacts.put(key, b"{}")

    assert artifacts.list("models/v1") == ["models/v1/card.json", "models/v10/card.json"]
    assert artifacts.list("models/") == ["models/v1/card.json", "models/v10/card.json", "models/v2/card.json"]
    assert artifacts.list("unknown/") == []
    assert len(artifacts.list("")) == 4


def test_what_was_deleted_is_gone_and_deleting_again_is_no_error(artifacts: Artifacts) -> None:
    artifacts.put("models/v1/card.json", b"{}")
    artifacts.put("models/v1/model.keras", b"keras")
    artifacts.delete("models/v1/card.json")
    artifacts.delete("models/v1/card.json")

    assert artifacts.list("") == ["models/v1/model.keras"]
    with pytest.raises(ArtifactNotFound):
        artifacts.get("models/v1/card.json")


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_that_leaves_the_store_is_refused(artifacts: Artifacts, key: str) -> None:
    put, create = (lambda: artifacts.put(key, b"x")), (lambda: artifacts.create(key, b"x"))
    for use in (put, create, lambda: artifacts.get(key), lambda: artifacts.delete(key)):
        with pytest.raises(ValueError, match="not a key of this store"):
            use()


def test_readers_never_see_half_of_what_is_written(artifacts: Artifacts) -> None:
    versions = [bytes([letter]) * 2_000_000 for letter in b"ab"]
    artifacts.put("big", versions[0])
    done = threading.Event()

    def write() -> None:
        for i in range(20):
            artifacts.put("big", versions[i % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert artifacts.get("big") in versions
        assert artifacts.list("") == ["big"]
    writer.join()


def test_a_put_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = FileArtifacts(tmp_path)
    artifacts.put("models/key", b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        artifacts.put("models/key", b"new")

    assert artifacts.get("models/key") == b"old"
    assert os.listdir(tmp_path / "models") == ["key"]


def test_a_file_that_a_crash_left_unfinished_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".tmp1234").write_bytes(b"half")

    assert FileArtifacts(tmp_path).list("") == []


def test_a_url_opens_its_store_even_with_spaces_in_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    open_artifacts(folder.as_uri()).put("key", b"data")

    assert (folder / "key").read_bytes() == b"data"


def test_a_url_that_nobody_serves_is_refused() -> None:
    with pytest.raises(ValueError, match="ftp://x/y.*use file:///"):
        open_artifacts("ftp://x/y")
