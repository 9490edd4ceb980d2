"""What ships is versions, each with the one network for photographs that ships beside them."""

import json
from pathlib import Path

import pytest

from ml import releases
from ml.releases import with_photos

CLASSES = ["T-shirt/top", "Trouser"]


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A release of three versions and a network for photos."""
    for name in ("small", "accurate", "tiny"):
        write(tmp_path / name, {"model.keras": name, "model.tflite": "litert", "novelty.npz": "novelty"})
    write(tmp_path / "photos", {"photos.keras": "keras", "photos.tflite": "litert", "photos.npz": "novelty"})
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"network": folder.name, "classes": CLASSES}))
    (folder / "spec.json").write_text("{}")
    for name, content in files.items():
        (folder / name).write_text(content)


def test_the_version_for_production_comes_first_and_the_network_for_photos_is_none(shipped: Path) -> None:
    (shipped / "notes").mkdir()

    assert releases.names(shipped) == ["small", "accurate", "tiny"]
    assert releases.names(shipped / "nothing") == []


def test_every_version_has_its_files_and_those_of_the_network_for_photos(shipped: Path) -> None:
    found = {name: (card, contents) for name, card, contents in releases.versions(shipped)}
    card, contents = found["accurate"]

    assert list(found) == releases.names(shipped)
    assert card["network"] == "accurate"
    assert card["photos"]["network"] == "photos"
    assert contents["model.keras"] == b"accurate"
    assert set(contents) == {
        "model.keras", "model.tflite", "novelty.npz", "photos.keras", "photos.tflite", "photos.npz",
    }  # fmt: skip


def test_a_version_that_was_trained_here_gets_the_same_network_for_photos(shipped: Path) -> None:
    card, contents = with_photos({"network": "mine", "classes": CLASSES}, {"model.tflite": b"mine"}, shipped)

    assert (card["network"], card["photos"]["network"]) == ("mine", "photos")
    assert (contents["model.tflite"], contents["photos.tflite"]) == (b"mine", b"litert")


@pytest.mark.parametrize("card", [{"classes": ["Cat", "Dog"]}, {"classes": CLASSES, "photos": {"network": "its own"}}])
def test_a_version_of_other_classes_or_with_a_network_of_its_own_stays_as_it_is(
    shipped: Path, card: dict[str, object]
) -> None:
    assert with_photos(card, {"model.tflite": b"mine"}, shipped) == (card, {"model.tflite": b"mine"})


def test_without_a_network_for_photos_versions_ship_all_the_same(shipped: Path) -> None:
    (shipped / "photos" / "card.json").unlink()
    _, card, contents = next(releases.versions(shipped))

    assert "photos" not in card
    assert set(contents) == {"model.keras", "model.tflite", "novelty.npz"}
