"""Where bytes live: a protocol of five methods, so that models can be shared by machines.

Keys are relative paths with `/`. Writing is atomic: a reader sees the old bytes, the new ones, or none. This module
holds the protocol and the store of one machine; `ml.artifacts_s3` is the one that machines share.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

_S3_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*?))?/?")
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class ArtifactNotFound(LookupError):
    """No bytes are stored under this key."""


class Artifacts(Protocol):
    """A store of named bytes. Every method may raise OSError when the store cannot be reached."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there. Raises ValueError for what is no key, see `is_key`."""

    def create(self, key: str, data: bytes) -> bool:
        """Store `data` under a key that nothing is stored under; else change nothing and say False.

        Of several that create the same key at once, one succeeds. Raises ValueError as `put` does.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises ArtifactNotFound, and ValueError as `put` does."""

    def list(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted; an unknown prefix has none."""

    def delete(self, key: str) -> None:
        """Forget `key`; one that is not there is no error. Raises ValueError as `put` does."""


def is_key(text: str) -> bool:
    """Whether bytes can be stored under `text`: names with `/` between them, none of which starts with a dot.

    A name that does is either a way out of the store or somebody's unfinished file.
    """
    return "\0" not in text and all(name and not name.startswith(".") for name in text.split("/"))


def checked(key: str) -> str:
    """The same key. Raises ValueError if it is none."""
    if not is_key(key):
        raise ValueError(f"not a key of this store: {key!r}")
    return key


class FileArtifacts:
    """Artifacts as files under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _written_beside(path, data) as written:
            os.replace(written, path)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _written_beside(path, data) as written:
            try:
                os.link(written, path)  # which, unlike a rename, fails where the name is taken
            except FileExistsError:
                return False
        return True

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except _ABSENT as missing:
            raise ArtifactNotFound(key) from missing

    def list(self, prefix: str) -> list[str]:
        keys = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return sorted(key for key in keys if key.startswith(prefix) and is_key(key))

    def delete(self, key: str) -> None:
        with suppress(*_ABSENT):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self._root / checked(key)


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[str]:
    """A complete, durable file in the folder of `path`, to be given its name; so a crash leaves no half file there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            yield file.name
        finally:
            Path(file.name).unlink(missing_ok=True)
    # The name is durable only when the folder is.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_artifacts(url: str) -> Artifacts:
    """The store behind `url`. Raises ValueError for one that nobody serves, OSError for one that cannot be set up."""
    if url.startswith("file://"):
        return FileArtifacts(Path(unquote(urlsplit(url).path)))
    s3 = _S3_URL.fullmatch(url)
    if s3 is None or s3["prefix"] and not is_key(s3["prefix"]):
        raise ValueError(f"cannot store artifacts at {url!r}: use file:///absolute/path or s3://bucket/prefix")
    from ml import artifacts_s3  # boto3 takes memory that only those who asked for S3 should pay

    return artifacts_s3.S3Artifacts(artifacts_s3.connect(), s3["bucket"], s3["prefix"] or "")
