"""One file with all that the service knows: what Redis holds at one moment, and every artifact.

Redis goes first. What it speaks of is never changed and hardly ever deleted, so the artifacts that are copied after it
hold all of that; when a version is deleted in between, the copy begins anew. The snapshot is the one that Redis sends
to a replica, so the service goes on meanwhile. The file is a tar archive with the digest of each member in its last,
`manifest.json`, and has its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from redis import Redis, RedisError, SSLConnection
from redis.connection import parse_url

from ml.artifacts import ArtifactNotFound, Artifacts
from settings import Settings
from workers import embedded, sentinel
from workers.app import connect, wait_for_redis
from workers.groups import VERSIONS

FORMAT = 1
_MANIFEST, _SNAPSHOT, _ARTIFACTS = "manifest.json", "redis.rdb", "artifacts/"
_ATTEMPTS = 3
_PAGE = 500  # keys that travel together
_MINE = "hemline:*"


class NotRestored(Exception):
    """The backup is not whole, or there is something where it would be restored to. Nothing was changed."""


class NotBackedUp(Exception):
    """There is no backup: Redis did not hand its data over, or something is in the way."""


@dataclass(frozen=True)
class Backup:
    """What a file holds. `damaged` names files of versions that are not what was published."""

    created_at: str
    artifacts: int
    size: int
    damaged: list[str]


class _Changed(Exception):
    """A version was deleted while the copy was made."""


@contextmanager
def found(settings: Settings) -> Iterator[str]:
    """The URL of the service's Redis; one of its own that does not run is run for as long as the block lasts.

    Raises embedded.InUse, FileNotFoundError.
    """
    home = settings.home.absolute()
    if settings.redis_url:
        yield settings.redis_url
    elif (url := embedded.address(home)) and _answers(url):
        yield url
    else:
        with embedded.owned(home):
            url, command = embedded.server(settings, home)
            with _running(url, command):
                yield url


def save(redis_url: str, artifacts: Artifacts, path: Path) -> Backup:
    """Write everything into a new file, while the service runs. Raises NotBackedUp, RedisError, OSError."""
    if path.exists():
        raise NotBackedUp(f"{path} exists already. Name another file.")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
        draft = Path(folder) / "draft.tar"
        draft.touch(0o600)  # it is as secret as what it holds
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                backup = _draft(redis_url, artifacts, Path(folder), draft)
                break
            except _Changed as changed:
                if attempt == _ATTEMPTS:
                    raise NotBackedUp(f"{changed} was deleted meanwhile, the third time in a row. Try again.") from None
        _settle(draft)
        os.link(draft, path)  # which, unlike a rename, fails where the name is taken
    return backup


def _draft(redis_url: str, artifacts: Artifacts, folder: Path, draft: Path) -> Backup:
    with connect(redis_url) as redis:
        known: set[Any] = redis.smembers(VERSIONS)
    snapshot = folder / _SNAPSHOT
    _take_snapshot(redis_url, snapshot)
    with tarfile.open(draft, "w") as tar:
        digests = {_SNAPSHOT: _add(tar, _SNAPSHOT, snapshot.read_bytes())}
        cards: dict[str, dict[str, str]] = {}
        for key in artifacts.list(""):
            try:
                data = artifacts.get(key)
            except ArtifactNotFound:
                continue  # deleted meanwhile
            digests[_ARTIFACTS + key] = _add(tar, _ARTIFACTS + key, data)
            if key.startswith("models/") and key.endswith("/card.json"):
                cards[key.split("/")[1]] = json.loads(data)["sha256"]
        for version in {name.decode() for name in known} - cards.keys():
            raise _Changed(version)
        created_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        manifest = {"format": FORMAT, "created_at": created_at, "database": _address(redis_url).get("db", 0),
                    "sha256": digests}  # fmt: skip
        _add(tar, _MANIFEST, json.dumps(manifest, indent=1).encode())
    damaged = list(_damaged(artifacts, cards, digests))
    return Backup(created_at, len(digests) - 1, draft.stat().st_size, damaged)


def _damaged(artifacts: Artifacts, cards: Mapping[str, Mapping[str, str]], digests: Mapping[str, str]) -> Iterator[str]:
    """Files of versions that are not what their cards say. Raises _Changed for a version that is gone by now."""
    for version, files in cards.items():
        for name, digest in files.items():
            key = f"models/{version}/{digest[:16]}/{name}"
            if digests.get(_ARTIFACTS + key) != digest:
                if not artifacts.list(f"models/{version}/card.json"):
                    raise _Changed(version)
                yield key


def _take_snapshot(redis_url: str, to: Path) -> None:
    """What Redis would send to a replica: all of one moment, at the price of a fork."""
    address = _address(redis_url)
    place = ["-s", address["path"]] if "path" in address else ["-h", address.get("host", "localhost"),
                                                               "-p", str(address.get("port", 6379))]  # fmt: skip
    who = ["--user", address["username"]] if address.get("username") else []
    tls = ["--tls"] if address.get("connection_class") is SSLConnection else []
    # In the environment: every user of the machine may read command lines.
    secret = {"REDISCLI_AUTH": address["password"]} if address.get("password") else {}
    command = [embedded.program("redis-cli"), *place, *who, *tls, "--rdb", str(to)]
    done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True)
    if done.returncode or not to.exists():
        raise NotBackedUp(f"Redis sent no snapshot: {(done.stderr or done.stdout).strip()}")


def restore(path: Path, redis_url: str, artifacts: Artifacts) -> Backup:
    """Bring everything back into an empty Redis and an empty store. Raises NotRestored, RedisError, OSError."""
    with _opened(path) as tar, connect(redis_url) as redis:
        manifest = _verified(tar)
        if next(redis.scan_iter(_MINE, count=_PAGE), None) is not None:
            raise NotRestored("This Redis has data of the service. End the service, and restore into an empty one.")
        if artifacts.list(""):
            raise NotRestored("The artifact store is not empty. Restore into an empty one.")
        # Cards and sheets last: what they speak of has to be there when they are.
        names = sorted(manifest["sha256"], key=lambda name: (name.endswith("/card.json"), name.endswith("/sheet.json")))
        for name in names:
            if name.startswith(_ARTIFACTS):
                artifacts.put(name.removeprefix(_ARTIFACTS), _read(tar, name))
        with _loaded(_read(tar, _SNAPSHOT), manifest["database"]) as source:
            _copy(source, redis)
    return Backup(manifest["created_at"], len(names) - 1, path.stat().st_size, [])


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as tar:
            yield tar
    except tarfile.TarError as wrong:
        raise NotRestored(f"{path} is no backup, or its end is missing: {wrong}.") from None


def _verified(tar: tarfile.TarFile) -> dict[str, Any]:
    """The manifest of a backup whose every member is as it was written. Raises NotRestored."""
    members = {member.name: member for member in tar}
    if _MANIFEST not in members:
        raise NotRestored("This is no backup, or its end is missing: it has no manifest.")
    manifest: dict[str, Any] = json.loads(_read(tar, _MANIFEST))
    if manifest["format"] > FORMAT:
        raise NotRestored("This backup was made by a newer release. Restore it with that one.")
    for name, digest in manifest["sha256"].items():
        if name not in members or hashlib.sha256(_read(tar, name)).hexdigest() != digest:
            raise NotRestored(f"The backup is damaged: {name} is not what was written.")
    return manifest


@contextmanager
def _loaded(snapshot: bytes, database: int) -> Iterator[Redis]:
    """A Redis of our own that has loaded a snapshot."""
    with tempfile.TemporaryDirectory(prefix="hemline-") as folder:
        (Path(folder) / _SNAPSHOT).write_bytes(snapshot)
        options = {"--port": "0", "--unixsocket": f"{folder}/redis.sock", "--unixsocketperm": "700", "--dir": folder,
                   "--dbfilename": _SNAPSHOT, "--save": "", "--appendonly": "no"}  # fmt: skip
        command = [embedded.program("redis-server"), *(word for option in options.items() for word in option)]
        url = f"unix://{folder}/redis.sock?db={database}"
        with _running(url, command), Redis.from_url(url) as redis:
            yield redis


@contextmanager
def _running(url: str, command: list[str]) -> Iterator[None]:
    """A Redis, ready while the block lasts, with all of it on disk after that. Raises OSError where it cannot start."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            with Redis.from_url(url) as redis:
                wait_for_redis(redis, lambda: process.poll() is None)
            if process.poll() is not None:
                log.seek(0)
                raise OSError(f"Redis did not start: {log.read().strip()[-500:]}")
            yield
        finally:
            process.terminate()  # which writes what is not on disk yet
            process.wait()


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def _copy(source: Redis, target: Redis) -> None:
    """Every key of the service, with what is left of its time."""
    names = list(source.scan_iter(_MINE, count=_PAGE))
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        with source.pipeline(transaction=False) as reading, target.pipeline(transaction=False) as writing:
            for name in page:
                reading.dump(name)
                reading.pttl(name)
            values = reading.execute()
            for name, value, left in zip(page, values[0::2], values[1::2], strict=True):
                if value is not None:  # or it has expired since
                    writing.restore(name, max(left, 0), value)
            writing.execute()


def _address(redis_url: str) -> dict[str, Any]:
    """A URL as redis-py understands it; of a Redis behind Sentinels, where its master is now."""
    parse: Any = parse_url  # redis-py leaves it untyped
    if redis_url.startswith(sentinel.SCHEME):
        said = sentinel.SentinelUrl.parse(redis_url)
        with connect(redis_url) as redis:
            pool: Any = redis.connection_pool
            host, port = pool.get_master_address()
        return {"host": host, "port": port, "db": said.database, "username": said.username, "password": said.password}
    parsed: dict[str, Any] = parse(redis_url)
    return parsed


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> str:
    """Add a member; returns its digest."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))
    return hashlib.sha256(data).hexdigest()


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    content: IO[bytes] | None = tar.extractfile(name)
    assert content is not None
    return content.read()


def _settle(path: Path) -> None:
    """On disk, whatever happens next."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
