"""Where bytes live: a protocol of five methods, so that models can be shared by machines.

Keys are relative paths with `/`. Writing is atomic: a reader sees the old bytes, the new ones, or none.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit


class ArtifactNotFound(LookupError):
    """No bytes are stored under this key."""


class Artifacts(Protocol):
    """A store of named bytes. Every method may raise OSError when the store cannot be reached."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what was there. Raises ValueError for a key that leaves the store."""

    def create(self, key: str, data: bytes) -> bool:
        """Store `data` under a key that nothing is stored under; else change nothing and say False.

        Of several that create the same key at once, one succeeds. Raises ValueError as `put` does.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises ArtifactNotFound."""

    def list(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted; an unknown prefix has none."""

    def delete(self, key: str) -> None:
        """Forget `key`; one that is not there is no error."""


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
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as missing:
            raise ArtifactNotFound(key) from missing

    def list(self, prefix: str) -> list[str]:
        files = (path for path in self._root.rglob("*") if path.is_file() and not path.name.startswith("."))
        keys = (path.relative_to(self._root).as_posix() for path in files)
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        # A part that starts with a dot is either a way out or one of our unfinished files.
        if not parts or key.startswith("/") or "\0" in key or any(part.startswith(".") for part in parts):
            raise ValueError(f"not a key of this store: {key!r}")
        return self._root.joinpath(*parts)


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
    """The store behind `url`; only `file://` so far. Raises ValueError for a scheme that nobody serves."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise ValueError(f"cannot store artifacts at {url!r}: use file:///absolute/path")
    return FileArtifacts(Path(unquote(parts.path)))
