"""What comes with a release, in ml/shipped: model versions, and the one network for photographs that they share.

The network for photographs is no version of its own. Whoever publishes a version, or loads one from a folder, adds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

PRODUCTION_MODEL: Final = "small"
PHOTOS: Final = "photos"
_NOT_SERVED: Final = ("card.json", "spec.json")

Card = dict[str, Any]
Contents = dict[str, bytes]


def names(shipped: Traversable | None = None) -> list[str]:
    """The versions that ship: the one for production first, the others by name."""
    folder = _shipped(shipped)
    entries = [entry.name for entry in folder.iterdir() if is_model(entry)] if folder.is_dir() else []
    return sorted((name for name in entries if name != PHOTOS), key=lambda name: (name != PRODUCTION_MODEL, name))


def versions(shipped: Traversable | None = None) -> Iterator[tuple[str, Card, Contents]]:
    """Name, card and files of each version that ships, in the order of `names`."""
    for name in names(shipped):
        yield name, *with_photos(*read(_shipped(shipped) / name), shipped)


def is_model(folder: Traversable) -> bool:
    """Whether this is a folder with a model in it."""
    return (folder / "card.json").is_file()


def read(folder: Traversable) -> tuple[Card, Contents]:
    """Card and files of a model in a folder."""
    card: Card = json.loads((folder / "card.json").read_bytes())
    found = [entry for entry in folder.iterdir() if entry.is_file() and entry.name not in _NOT_SERVED]
    return card, {entry.name: entry.read_bytes() for entry in sorted(found, key=lambda entry: entry.name)}


def with_photos(
    card: Mapping[str, Any], contents: Mapping[str, bytes], shipped: Traversable | None = None
) -> tuple[Card, Contents]:
    """A version with the shipped network for photographs; without, where none ships or it is for other classes."""
    folder = _shipped(shipped) / PHOTOS
    if "photos" in card or not is_model(folder):
        return dict(card), dict(contents)
    photos, more = read(folder)
    if photos.get("classes", card.get("classes")) != card.get("classes"):
        return dict(card), dict(contents)
    return {**card, "photos": photos}, {**more, **contents}


def _shipped(folder: Traversable | None) -> Traversable:
    return files("ml") / "shipped" if folder is None else folder
