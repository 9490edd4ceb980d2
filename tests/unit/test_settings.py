"""Settings come from the environment, and one that cannot be read is named with what it takes."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from settings import InvalidSetting, Settings, variable

_NUMBERS = [f for f in fields(Settings) if isinstance(f.default, (int, float))]
_LIMITED = [f for f in _NUMBERS if f.metadata["least"] is not None]


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_env({"HEMLINE_REDIS_URL": "", "PORT": " "}) == Settings()


def test_variables_of_others_are_ignored() -> None:
    assert Settings.from_env({"HOME": "/root", "HEMLINE_PORT": "9"}) == Settings()


def test_settings_are_read_as_the_type_of_their_default() -> None:
    given = {"PORT": "8123", "HEMLINE_LINGER": "0.5", "HEMLINE_HOME": "/srv/hem", "HEMLINE_HOST": "::"}
    read = Settings.from_env(given)

    assert (read.port, read.linger, read.home, read.host) == (8123, 0.5, Path("/srv/hem"), "::")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", [variable(f) for f in _NUMBERS])
def test_what_is_no_number_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.from_env({name: "many"})

    assert str(refused.value).startswith(f"{name} takes a")
    assert "number, not 'many'." in str(refused.value)


@pytest.mark.parametrize("name, least", [(variable(f), f.metadata["least"]) for f in _LIMITED])
def test_a_number_below_its_limit_is_refused_with_the_limit(name: str, least: float) -> None:
    with pytest.raises(InvalidSetting, match=rf"^{name} must be (at least|from) {least:g}.*, not -1\."):
        Settings.from_env({name: "-1"})


@pytest.mark.parametrize(("name", "text"), [
    ("PORT", "70000"), ("HEMLINE_LINGER", "nan"), ("HEMLINE_LEASE", "inf"), ("HEMLINE_REDIS_URL", "localhost:6379"),
    ("HEMLINE_REDIS_MEMORY", "lots"), ("HEMLINE_LOG_LEVEL", "loud"), ("HEMLINE_REDIS_FSYNC", "never"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must .*{text}"):
        Settings.from_env({name: text})


@pytest.mark.parametrize("name, least", [(variable(f), f.metadata["least"]) for f in _LIMITED])
def test_a_limit_itself_is_allowed(name: str, least: float) -> None:
    Settings.from_env({name: f"{least:g}"})


def test_every_setting_says_what_it_is_for() -> None:
    assert all(f.metadata["doc"].endswith(".") for f in fields(Settings))


def test_a_missing_redis_is_named_with_the_way_out() -> None:
    with pytest.raises(InvalidSetting, match="HEMLINE_REDIS_URL is not set: .*make run"):
        Settings().redis()


SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_on_loopback_nobody_needs_a_key_unless_told_to(host: str) -> None:
    assert not Settings(host=host).authenticates()
    assert not Settings(host=host, auth="off", admin_key=SECRET).authenticates()
    assert Settings(host=host, auth="keys").authenticates()
    assert Settings(host=host, admin_key=SECRET).authenticates()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "192.168.1.1", "fe80::1%eth0", "hemline.example", ""])
def test_elsewhere_somebody_has_to_say_who_may_come_in(host: str) -> None:
    with pytest.raises(InvalidSetting, match="HEMLINE_AUTH=keys.*HEMLINE_AUTH=off.*HEMLINE_HOST"):
        Settings(host=host).authenticates()
    assert Settings(host=host, auth="keys").authenticates()
    assert Settings(host=host, admin_key=SECRET).authenticates()
    assert not Settings(host=host, auth="off").authenticates()


@pytest.mark.parametrize("text", ["short", "a space in it, and long enough otherwise", f"{SECRET}\u00e9"])
def test_a_secret_is_in_no_message(text: str) -> None:
    with pytest.raises(InvalidSetting, match="HEMLINE_ADMIN_KEY must look like") as refused:
        Settings.from_env({"HEMLINE_ADMIN_KEY": text})

    assert text not in str(refused.value)
    assert SECRET not in repr(Settings.from_env({"HEMLINE_ADMIN_KEY": SECRET}))


def test_artifacts_live_at_home_unless_said_otherwise() -> None:
    assert Settings(home=Path("/srv/hem")).artifacts() == "file:///srv/hem/artifacts"
    assert Settings(artifacts_url="file:///mnt/models").artifacts() == "file:///mnt/models"
