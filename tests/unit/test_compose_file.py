"""docker-compose.yml: what its containers may do, what they are made of, and that Redis forgets nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from processes import ROOT
from settings import Settings, variable

FILE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & service.keys()
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_ends_and_is_started_anew(name: str) -> None:
    assert SERVICES[name]["init"] is True
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_cannot_take_the_whole_machine(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert limits["memory"] and limits["pids"]
    assert SERVICES[name]["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" not in service])
def test_an_image_of_others_is_of_an_exact_version_and_has_a_health_check(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", SERVICES[name]["image"])
    assert SERVICES[name]["healthcheck"]["test"]


def test_each_image_that_is_built_is_a_target_with_a_health_check() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    for name, service in SERVICES.items():
        if "build" in service:
            (stage,) = (stage for stage in stages if stage.split("\n")[0].endswith(f" AS {service['build']['target']}"))
            assert "HEALTHCHECK" in stage, name


def test_nothing_is_published_beyond_this_machine_unless_it_is_asked_for() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith(("127.0.0.1:", "${HEMLINE_PUBLISH:-127.0.0.1:")) for port in published)


def test_redis_keeps_what_it_was_given_and_asks_for_a_password() -> None:
    redis = SERVICES["redis"]
    (script,) = redis["command"]

    for option in ("--appendonly yes", "--maxmemory-policy noeviction", "requirepass $$REDISCLI_AUTH"):
        assert option in script
    assert script.startswith("exec redis-server"), "the shell would keep the signals"
    assert FILE["networks"]["store"]["internal"] is True and redis["networks"] == ["store"]


def test_parts_start_when_what_they_need_is_well() -> None:
    waits = {name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
             for name, service in SERVICES.items()}  # fmt: skip

    assert waits["web"] == {"redis": "service_healthy", "worker": "service_healthy"}
    assert waits["worker"] == waits["trainer"] == {"redis": "service_healthy"}


def test_a_setting_of_the_example_is_read_by_someone() -> None:
    example = re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    composed = re.findall(r"\$\{(\w+):", (ROOT / "docker-compose.yml").read_text("utf-8"))
    known = {variable(each) for each in Settings.__dataclass_fields__.values()}

    assert example and set(example) <= known | set(composed)
