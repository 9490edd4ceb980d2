"""Versions exist whole or not at all, aliases have a history, and releases give way to operators."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ml import releases
from ml.artifacts import ArtifactNotFound, Artifacts
from ml.registry import (
    PRODUCTION, RELEASE, DamagedVersion, LocalIndex, Move, Registry, UnknownModel, VersionInUse, open_local,
)  # fmt: skip

FILES = {"model.keras": b"keras", "model.tflite": b"litert"}


@pytest.fixture
def registry(artifacts: Artifacts) -> Registry:
    return open_local(artifacts)


def ship(folder: Path, name: str = "small", network: bytes = b"keras") -> Path:
    """A release with this version in it."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "model.keras").write_bytes(network)
    (folder / name / "model.tflite").write_bytes(b"litert of " + network)
    (folder / name / "spec.json").write_text("{}")
    (folder / name / "card.json").write_text(json.dumps({"network": name}))
    return folder


def test_a_published_version_has_its_card_and_files(registry: Registry) -> None:
    version = registry.publish(FILES, {"network": "resnet"})

    assert version == "v1"
    assert registry.versions() == ["v1"]
    assert registry.card("v1")["network"] == "resnet"
    assert registry.card("v1")["version"] == "v1"
    assert set(registry.card("v1")["sha256"]) == set(FILES)
    assert registry.file("v1", "model.tflite") == b"litert"


def test_versions_count_up_and_are_listed_newest_first(registry: Registry) -> None:
    for _ in range(11):
        registry.publish(FILES, {})

    assert registry.versions() == [f"v{n}" for n in range(11, 0, -1)]


def test_a_number_that_the_artifacts_hold_is_not_given_again(registry: Registry, artifacts: Artifacts) -> None:
    registry.publish(FILES, {"network": "first"})
    other = Registry(artifacts, LocalIndex())

    assert other.publish(FILES, {"network": "second"}) == "v2"
    assert registry.card("v1")["network"] == "first"


def test_a_version_is_not_there_until_its_card_is(
    registry: Registry, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(key: str, data: bytes) -> bool:
        raise OSError("power cut")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="power cut"):
        broken.setattr(artifacts, "create", interrupted)
        registry.publish(FILES, {})

    assert len(artifacts.list("models/v1/")) == len(FILES)
    again = open_local(artifacts)
    assert again.versions() == []
    with pytest.raises(UnknownModel):
        again.card("v1")


def test_a_reserved_version_is_published_once_whoever_is_first(registry: Registry) -> None:
    version = registry.reserve()
    assert registry.reserve() != version
    assert registry.versions() == []

    registry.publish(FILES, {"network": "first"}, version)
    registry.publish({"model.keras": b"late"}, {"network": "second"}, version)

    assert registry.versions() == [version]
    assert registry.card(version)["network"] == "first"
    assert registry.file(version, "model.keras") == b"keras"


def test_a_deleted_version_is_gone_with_its_files(registry: Registry, artifacts: Artifacts) -> None:
    registry.publish(FILES, {})
    registry.publish(FILES, {})
    registry.delete("v1")

    assert registry.versions() == ["v2"]
    assert artifacts.list("models/v1/") == []
    for use in (registry.card, registry.resolve, registry.delete):
        with pytest.raises(UnknownModel):
            use("v1")
    assert open_local(artifacts).versions() == ["v2"]


def test_a_version_that_an_alias_points_at_cannot_be_deleted(registry: Registry) -> None:
    registry.publish(FILES, {})
    registry.publish(FILES, {})
    registry.point("production", "v1", by="me")

    with pytest.raises(VersionInUse, match="production points at v1"):
        registry.delete("v1")
    assert registry.file("v1", "model.keras") == b"keras"

    registry.point("production", "v2", by="me")
    registry.delete("v1")
    assert registry.versions() == ["v2"]


_NEVER = ["v2", "v0", "v01", "V1", "v", "", "production", "../v1", "v1/", "v1\n", "v9999999999"]


@pytest.mark.parametrize("name", _NEVER)
def test_a_version_that_was_never_published_is_unknown(registry: Registry, name: str) -> None:
    registry.publish(FILES, {})

    with pytest.raises(UnknownModel):
        registry.card(name)
    with pytest.raises(UnknownModel):
        registry.file(name, "model.keras")
    with pytest.raises(UnknownModel):
        registry.resolve(name)


def test_a_file_that_a_version_lacks_is_not_found(registry: Registry) -> None:
    registry.publish(FILES, {})

    for name in ("model.int8.tflite", "card.json", "../../aliases.json"):
        with pytest.raises(ArtifactNotFound):
            registry.file("v1", name)


def test_a_file_that_was_changed_is_not_handed_out(registry: Registry, artifacts: Artifacts) -> None:
    registry.publish(FILES, {})
    (key,) = (key for key in artifacts.list("models/v1/") if key.endswith("/model.tflite"))
    artifacts.put(key, b"another")

    with pytest.raises(DamagedVersion, match="model.tflite of v1 is not what was published"):
        registry.file("v1", "model.tflite")
    assert registry.file("v1", "model.keras") == b"keras"


def test_an_alias_resolves_to_the_version_that_it_was_last_pointed_at(registry: Registry) -> None:
    registry.publish(FILES, {})
    registry.publish(FILES, {})
    registry.point("production", "v1", by="me")
    registry.point("production", "v2", by="you")
    registry.point("shadow", "v1", by="you")

    assert registry.resolve("production") == "v2"
    assert registry.resolve("shadow") == "v1"
    assert registry.resolve("v1") == "v1"


def test_the_history_of_an_alias_names_every_move_newest_first(registry: Registry) -> None:
    for version in ("v1", "v2", "v1"):
        if version not in registry.versions():
            registry.publish(FILES, {})
        registry.point("production", version, by=f"someone with {version}")

    moves = [(move.from_version, move.to_version, move.by) for move in registry.history("production")]
    assert moves == [
        ("v2", "v1", "someone with v1"), ("v1", "v2", "someone with v2"), (None, "v1", "someone with v1"),
    ]  # fmt: skip
    assert all(move.at.endswith("Z") for move in registry.history("production"))


@pytest.mark.parametrize("alias", ["", "v1", "v12", "Production", "1st", "a b", "a/b", "a\n", "-a", "é", "a" * 64])
def test_a_name_that_no_alias_can_have_is_refused(registry: Registry, alias: str) -> None:
    registry.publish(FILES, {})

    with pytest.raises(ValueError, match="lower-case letters, digits and hyphens"):
        registry.point(alias, "v1", by="me")
    assert registry.aliases() == {}


def test_an_alias_cannot_point_at_what_is_not_there(registry: Registry) -> None:
    with pytest.raises(UnknownModel):
        registry.point("production", "v1", by="me")
    assert registry.aliases() == {}


def test_an_unknown_alias_has_no_history(registry: Registry) -> None:
    with pytest.raises(UnknownModel):
        registry.history("production")


def test_a_lost_index_comes_back_from_the_artifacts(registry: Registry, artifacts: Artifacts) -> None:
    registry.publish(FILES, {})
    registry.publish(FILES, {})
    for version in ("v1", "v2"):
        registry.point("production", version, by="me")
    registry.point("shadow", "v1", by="you")

    again = open_local(artifacts)

    assert again.versions() == ["v2", "v1"]
    assert again.aliases() == registry.aliases()
    assert again.history("production") == registry.history("production")
    assert again.publish(FILES, {}) == "v3"


def test_restoring_what_is_not_lost_changes_nothing(registry: Registry) -> None:
    registry.publish(FILES, {})
    registry.point("production", "v1", by="me")
    before = registry.history("production")
    registry.restore()

    assert registry.history("production") == before
    assert registry.versions() == ["v1"]


def test_the_first_start_publishes_what_ships_and_makes_it_production(registry: Registry, tmp_path: Path) -> None:
    release = ship(ship(tmp_path / "release"), "large", b"large")
    registry.install_shipped(release)

    small, large = registry.resolve("small"), registry.resolve("large")
    assert registry.resolve(PRODUCTION) == small != large
    assert registry.card(large)["network"] == "large"
    assert set(registry.card(small)["sha256"]) == {"model.keras", "model.tflite"}
    assert [move.by for move in registry.history(PRODUCTION)] == [RELEASE]


def test_a_second_start_of_the_same_release_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    release = ship(tmp_path / "release")
    registry.install_shipped(release)
    before = (registry.versions(), registry.history("small"), registry.history(PRODUCTION))
    registry.install_shipped(release)

    assert (registry.versions(), registry.history("small"), registry.history(PRODUCTION)) == before


@pytest.mark.parametrize("changed", ["model.keras", "model.tflite", "card.json", "../photos/photos.tflite"])
def test_a_release_in_which_any_file_is_another_is_a_newer_one(
    registry: Registry, tmp_path: Path, changed: str
) -> None:
    release = ship(ship(tmp_path / "release"), "photos")
    (release / "photos" / "photos.tflite").write_bytes(b"litert")
    registry.install_shipped(release)
    (release / "small" / changed).write_text(json.dumps({"network": "another"}))
    registry.install_shipped(release)

    assert registry.versions() == ["v2", "v1"]
    assert registry.resolve(PRODUCTION) == registry.resolve("small") == "v2"


def test_every_shipped_version_comes_with_the_network_for_photos(registry: Registry, tmp_path: Path) -> None:
    release = ship(ship(tmp_path / "release"), "accurate", b"accurate")
    (release / "photos").mkdir()
    (release / "photos" / "photos.tflite").write_bytes(b"photos")
    (release / "photos" / "card.json").write_text(json.dumps({"serving": {"artifact": "photos.tflite"}}))
    registry.install_shipped(release)

    assert {alias: move.to_version for alias, move in registry.aliases().items()} == {
        "small": "v1", "production": "v1", "accurate": "v2",
    }  # fmt: skip
    for version in ("v1", "v2"):
        assert registry.card(version)["photos"] == {"serving": {"artifact": "photos.tflite"}}
        assert registry.find(version, "photos.tflite") == b"photos"
        assert registry.find(version, "photos.npz") is None


def test_the_most_accurate_follows_releases_until_an_operator_moves_it(registry: Registry, tmp_path: Path) -> None:
    registry.install_shipped(ship(ship(tmp_path / "old"), "accurate", b"good"))
    registry.install_shipped(ship(ship(tmp_path / "new"), "accurate", b"better"))
    assert (registry.resolve("small"), registry.resolve("accurate")) == ("v1", "v3")
    registry.point("accurate", "v2", by="an operator")
    registry.install_shipped(ship(ship(tmp_path / "newest"), "accurate", b"best"))

    assert registry.resolve("accurate") == "v2"
    assert registry.resolve(PRODUCTION) == "v1"


def test_production_follows_a_newer_release_that_nobody_overruled(registry: Registry, tmp_path: Path) -> None:
    registry.install_shipped(ship(tmp_path / "old"))
    registry.install_shipped(ship(tmp_path / "new", network=b"better"))

    assert registry.versions() == ["v2", "v1"]
    assert registry.resolve(PRODUCTION) == registry.resolve("small") == "v2"


@pytest.mark.parametrize("back", [True, False])
def test_production_stays_where_an_operator_put_it(registry: Registry, tmp_path: Path, back: bool) -> None:
    registry.install_shipped(ship(tmp_path / "old"))
    registry.publish(FILES, {})
    registry.point(PRODUCTION, "v2", by="an operator")
    if back:  # an operator who went back to the release's version has decided, too
        registry.point(PRODUCTION, "v1", by="an operator")
    chosen = registry.resolve(PRODUCTION)
    registry.install_shipped(ship(tmp_path / "new", network=b"better"))

    assert registry.resolve(PRODUCTION) == chosen
    assert registry.resolve("small") == "v3"


def test_going_back_to_an_older_release_brings_its_version_back(registry: Registry, tmp_path: Path) -> None:
    registry.install_shipped(ship(tmp_path / "old"))
    registry.install_shipped(ship(tmp_path / "new", network=b"worse"))
    registry.install_shipped(tmp_path / "old")

    assert registry.versions() == ["v2", "v1"]
    assert registry.resolve(PRODUCTION) == "v1"


def test_a_release_without_models_installs_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.install_shipped(tmp_path / "nothing")

    assert registry.versions() == []


def test_what_really_ships_installs_and_has_what_serving_needs(registry: Registry) -> None:
    registry.install_shipped()
    assert registry.resolve(PRODUCTION) == registry.resolve("small") == "v1"
    for name in releases.names():
        card: Mapping[str, Any] = registry.card(registry.resolve(name))
        assert registry.file(card["version"], card["serving"]["artifact"])
        assert registry.file(card["version"], "model.keras")
        assert registry.file(card["version"], "model.tflite")
        assert {"network", "created_at", "metrics", "calibration", "novelty"} <= set(card)
        assert "photos" not in card or registry.file(card["version"], card["photos"]["serving"]["artifact"])


def test_a_move_knows_when_it_was_made() -> None:
    assert Move(alias="production", to_version="v1", by="me").at.endswith("Z")
