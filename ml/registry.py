"""Model versions and the aliases that point at them.

A version is a set of files and a card, both immutable. The card is stored last, so a version exists exactly when its
card does and nothing half-written is ever seen. Names that must move atomically between machines (the version
counter, aliases and their history) are kept by an `Index`; aliases are mirrored beside the versions, from where they
come back when the index is lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from ml import releases
from ml.artifacts import ArtifactNotFound, Artifacts

PRODUCTION = "production"
RELEASE = "release"  # who moved an alias, when it was the product itself that did
_VERSION = re.compile(r"v[1-9][0-9]{0,8}")
_ALIAS = re.compile(r"(?!v[0-9]+$)[a-z][a-z0-9-]{0,62}")

Card = dict[str, Any]


class UnknownModel(LookupError):
    """No version or alias has this name."""


class InvalidAlias(ValueError):
    """No alias can have this name."""


class DamagedVersion(Exception):
    """A file of a version is not the one that was published."""


class VersionInUse(Exception):
    """Aliases point at the version."""

    def __init__(self, version: str, aliases: list[str]) -> None:
        super().__init__(f"{', '.join(aliases)} points at {version}; move it to another version first.")


@dataclass(frozen=True, slots=True)
class Move:
    """An alias was pointed at a version: when (RFC 3339), by whom, from where (nothing the first time), to where."""

    alias: str
    to_version: str
    by: str
    from_version: str | None = None
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


class Index(Protocol):
    """What has to be agreed on between machines. Every method is atomic."""

    def next_number(self, floor: int) -> int:
        """A version number above `floor` that nobody was given before."""

    def add(self, version: str) -> None:
        """Let the version be found; adding it again changes nothing."""

    def remove(self, version: str) -> list[str]:
        """Let the version not be found any more, unless aliases point at it: then answer with them and do nothing."""

    def versions(self) -> list[str]:
        """Every version that can be found, in no order."""

    def move(self, move: Move) -> Move:
        """Point an alias at a version; the answer says from where it moved. Raises UnknownModel."""

    def adopt(self, alias: str, moves: list[Move]) -> None:
        """Take over the history of an alias, newest first, if the alias is not known yet."""

    def aliases(self) -> dict[str, Move]:
        """The last move of each alias."""

    def history(self, alias: str) -> list[Move]:
        """Every move of an alias, newest first; an unknown alias has none."""


class Registry:
    """Publish, find and name model versions."""

    def __init__(self, artifacts: Artifacts, index: Index) -> None:
        self._artifacts = artifacts
        self._index = index
        # Cards never change, so they are read once a process.
        self._read_card = lru_cache(maxsize=256)(self._load_card)

    def reserve(self) -> str:
        """The id of a version to be published; nobody else is given it."""
        return f"v{self._index.next_number(max(map(_number, self._stored()), default=0))}"

    def publish(self, contents: Mapping[str, bytes], card: Mapping[str, Any], version: str | None = None) -> str:
        """Store a new version of these files ("model.tflite", …) and its card; returns its id, "v7".

        Publishing a reserved version again changes nothing: the first to store the card has published it. Each file
        stands under its own digest, so that late writers cannot alter what the card speaks of.
        """
        version = version or self.reserve()
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        for name, data in contents.items():
            self._artifacts.put(_path(version, digests[name], name), data)
        full = {**card, "version": version, "sha256": digests}
        self._artifacts.create(f"models/{version}/card.json", json.dumps(full, indent=1).encode())
        self._index.add(version)
        return version

    def delete(self, version: str) -> None:
        """Forget a version and its files. Raises UnknownModel, and VersionInUse while an alias points at it."""
        card = self.card(self.resolve(version))
        pointing = self._index.remove(version)
        if pointing:
            raise VersionInUse(version, pointing)
        self._artifacts.delete(f"models/{version}/card.json")
        self._index.remove(version)  # a restore in between may have found the card
        for name, digest in card["sha256"].items():
            self._artifacts.delete(_path(version, digest, name))
        self._read_card.cache_clear()

    def versions(self) -> list[str]:
        """Ids of all versions, newest first."""
        return sorted(self._index.versions(), key=_number, reverse=True)

    def card(self, version: str) -> Card:
        """The card of a version. Raises UnknownModel."""
        return self._read_card(version)

    def cards(self) -> Iterator[Card]:
        """The cards of all versions, newest first; one that is deleted meanwhile is left out."""
        for version in self.versions():
            with suppress(UnknownModel):
                yield self.card(version)

    def file(self, version: str, name: str) -> bytes:
        """One file of a version. Raises UnknownModel, ArtifactNotFound for a file that the version lacks, and
        DamagedVersion for one whose digest is not the card's."""
        digest = self.card(version)["sha256"].get(name)
        if digest is None:
            raise ArtifactNotFound(f"{version} has no {name}")
        data = self._artifacts.get(_path(version, digest, name))
        if hashlib.sha256(data).hexdigest() != digest:
            raise DamagedVersion(f"{name} of {version} is not what was published: restore it from a backup")
        return data

    def find(self, version: str, name: str) -> bytes | None:
        """As `file`, but nothing for a file that the version lacks."""
        return self.file(version, name) if name in self.card(version)["sha256"] else None

    def resolve(self, name: str) -> str:
        """The version that an alias points at, or the version itself. Raises UnknownModel."""
        version = name if is_version(name) else getattr(self.aliases().get(name), "to_version", None)
        if version not in self._index.versions():
            raise UnknownModel(name)
        return str(version)

    def aliases(self) -> dict[str, Move]:
        """The last move of each alias."""
        return self._index.aliases()

    def history(self, alias: str) -> list[Move]:
        """Every move of an alias, newest first. Raises UnknownModel."""
        moves = self._index.history(alias)
        if not moves:
            raise UnknownModel(alias)
        return moves

    def point(self, alias: str, version: str, by: str) -> Move:
        """Point `alias` at `version`. Raises UnknownModel, or InvalidAlias for a name that no alias can have."""
        if not _ALIAS.fullmatch(alias):
            raise InvalidAlias("An alias is made of lower-case letters, digits and hyphens, and is no version's id.")
        moved = self._index.move(Move(alias=alias, to_version=version, by=by))
        self._mirror()
        return moved

    def restore(self) -> None:
        """Bring back into the index what the artifacts know and it does not: after its loss, or on a first start."""
        known = set(self._index.versions())
        for version in self._stored():
            if version not in known:
                self._index.add(version)
        for alias, moves in self._mirrored().items():
            self._index.adopt(alias, [Move(**move) for move in moves])

    def install_shipped(self, shipped: Traversable | None = None) -> None:
        """Publish the versions that come with this release, unless they are there already.

        Each gets an alias of its folder's name. Production follows a release only while nobody else has ever moved it.
        """
        origins = {card.get("origin"): card["version"] for card in self.cards()}
        for name, card, contents in releases.versions(shipped):
            origin = f"shipped:{name}:{_digest(card, contents)[:16]}"
            version = origins.get(origin) or self.publish(contents, {**card, "origin": origin})
            for alias in (name, PRODUCTION) if name == releases.PRODUCTION_MODEL else (name,):
                moves = self._index.history(alias)
                if all(m.by == RELEASE for m in moves) and not any(m.to_version == version for m in moves[:1]):
                    self.point(alias, version, by=RELEASE)

    def _mirror(self) -> None:
        written = None
        # Another may move an alias between our look and our writing; whoever writes last must have seen it.
        while written != (moves := self._all_moves()):
            self._artifacts.put("aliases.json", json.dumps(moves, indent=1).encode())
            written = moves

    def _all_moves(self) -> dict[str, list[dict[str, Any]]]:
        return {alias: [asdict(move) for move in self._index.history(alias)] for alias in self._index.aliases()}

    def _stored(self) -> list[str]:
        keys = self._artifacts.list("models/")
        return [key.split("/")[1] for key in keys if key.endswith("/card.json")]

    def _mirrored(self) -> dict[str, list[dict[str, Any]]]:
        try:
            mirrored: dict[str, list[dict[str, Any]]] = json.loads(self._artifacts.get("aliases.json"))
        except ArtifactNotFound:
            return {}
        return mirrored

    def _load_card(self, version: str) -> Card:
        if not is_version(version):
            raise UnknownModel(version)
        try:
            card: Card = json.loads(self._artifacts.get(f"models/{version}/card.json"))
        except ArtifactNotFound as missing:
            raise UnknownModel(version) from missing
        return card


class LocalIndex:
    """The index of one process without a server: what the artifacts say, kept in memory."""

    def __init__(self) -> None:
        self._number = 0
        self._versions: set[str] = set()
        self._moves: dict[str, list[Move]] = {}

    def next_number(self, floor: int) -> int:
        self._number = max(self._number, floor) + 1
        return self._number

    def add(self, version: str) -> None:
        self._versions.add(version)

    def remove(self, version: str) -> list[str]:
        pointing = [alias for alias, moves in self._moves.items() if moves[0].to_version == version]
        if not pointing:
            self._versions.discard(version)
        return pointing

    def versions(self) -> list[str]:
        return list(self._versions)

    def adopt(self, alias: str, moves: list[Move]) -> None:
        self._moves.setdefault(alias, list(moves))

    def move(self, move: Move) -> Move:
        if move.to_version not in self._versions:
            raise UnknownModel(move.to_version)
        moves = self._moves.setdefault(move.alias, [])
        made = Move(**{**asdict(move), "from_version": moves[0].to_version if moves else None})
        moves.insert(0, made)
        return made

    def aliases(self) -> dict[str, Move]:
        return {alias: moves[0] for alias, moves in self._moves.items()}

    def history(self, alias: str) -> list[Move]:
        return list(self._moves.get(alias, ()))


def is_version(name: str) -> bool:
    """Whether this could be the id of a version."""
    return _VERSION.fullmatch(name) is not None


def open_local(artifacts: Artifacts) -> Registry:
    """A registry for one process without a server, with what the artifacts hold."""
    registry = Registry(artifacts, LocalIndex())
    registry.restore()
    return registry


def _path(version: str, digest: str, name: str) -> str:
    return f"models/{version}/{digest[:16]}/{name}"


def _number(version: str) -> int:
    return int(version[1:])


def _digest(card: Card, contents: Mapping[str, bytes]) -> str:
    """Another one when the card or any file is another."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return hashlib.sha256(json.dumps([card, digests], sort_keys=True).encode()).hexdigest()
