"""What every artifact store must do, and what only that of files can do wrong."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml.artifacts import ArtifactNotFound, Artifacts, FileArtifacts, open_artifacts
from processes import ROOT

OUTSIDE = [
    "", ".", "..", "../x", "a/../../x", "/etc/passwd", "//x", ".hidden", "a/.hidden/b", "a/..", "a\0b", "a//b", "a/",
    "./a",
]  # fmt: skip


def test_what_was_put_is_got(artifacts: Artifacts) -> None:
    artifacts.put("models/v1/model.tflite", bytes(range(256)))

    assert artifacts.get("models/v1/model.tflite") == bytes(range(256))


def test_no_bytes_are_bytes_too(artifacts: Artifacts) -> None:
    artifacts.put("empty", b"")

    assert artifacts.get("empty") == b""


def test_many_bytes_are_all_there(artifacts: Artifacts) -> None:
    data = os.urandom(1_000_003) * 20
    artifacts.put("datasets/big/data.npz", data)

    assert hashlib.sha256(artifacts.get("datasets/big/data.npz")).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("key", ["a b+c%20&=?#/ü/日本", "a" * 200, "models/v1/model.tflite.", "x/y..z", "-/~"])
def test_a_key_may_hold_any_letters(artifacts: Artifacts, key: str) -> None:
    artifacts.put(key, b"data")

    assert artifacts.get(key) == b"data"
    assert artifacts.list("") == artifacts.list(key[:3]) == [key]
    artifacts.delete(key)
    assert artifacts.list("") == []


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


def test_every_key_is_listed_however_many_there_are(artifacts: Artifacts) -> None:
    keys = [f"checkpoints/{i:02}" for i in range(25)]
    for key in keys:
        artifacts.put(key, b"")

    assert artifacts.list("checkpoints/") == keys


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
    for key in ("models/v1/card.json", "models/v1/card.json", "models/v1", "models", "models/v1/model.keras/x"):
        artifacts.delete(key)

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


@pytest.mark.parametrize("url", [
    "ftp://x/y", "", "/a/path", "s3://", "s3:///prefix", "s3://ab", "s3://Bucket/x", "s3://bucket.", "s3://bucket/../x",
    "s3://bucket//x", "s3://key:secret@bucket/x", "https://bucket.s3.amazonaws.com/x",
])  # fmt: skip
def test_a_url_that_nobody_serves_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="use file:///absolute/path or s3://bucket/prefix"):
        open_artifacts(url)


def test_only_who_stores_in_s3_pays_for_its_client(tmp_path: Path) -> None:
    code = (
        "import sys, api.asgi, workers.prediction_worker, workers.training_worker\n"
        f"from ml.artifacts import open_artifacts\nopen_artifacts({tmp_path.as_uri()!r})\n"
        "print({'boto3', 'botocore'} & set(sys.modules))"
    )
    environ = {**os.environ, "HEMLINE_REDIS_URL": "unix:///none", "HEMLINE_ARTIFACTS_URL": ""}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)

    assert ended.stdout.strip() == "set()", ended.stderr
