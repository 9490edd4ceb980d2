"""What the rendered overlays of `iac/kubernetes` promise, whatever else is changed in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from redis import AuthenticationError, Redis, RedisError

from processes import ROOT, Process, RedisServer, free_port, redis_binary
from settings import Settings, variable
from workers.app import KEY_PREFIX, connect, make_celery
from workers.queue import BATCHES, PREDICTIONS, TRAINING, queue_length, send_job
from workers.sentinel import SentinelUrl

KUBERNETES = ROOT / "iac" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
PARTS = {"web", "worker", "trainer", "webhooks"}
Thing = dict[str, Any]


def rendered(overlay: str) -> list[Thing]:
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl: apt install kubernetes-client")
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)]
    return list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True).stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def things(request: pytest.FixtureRequest) -> list[Thing]:
    """Every object of an overlay."""
    return rendered(request.param)


@pytest.fixture(scope="module")
def production() -> list[Thing]:
    return rendered("production")


def of(things: list[Thing], *kinds: str) -> list[Thing]:
    return [thing for thing in things if thing["kind"] in kinds]


def pods(things: list[Thing]) -> dict[str, Thing]:
    """The templates of all pods, by what makes them."""
    made = {}
    for thing in things:
        if "template" in (owner := thing.get("spec", {}).get("jobTargetRef", thing.get("spec", {}))):
            made[f"{thing['kind']} {thing['metadata']['name']}"] = owner["template"]
    return made


def containers(things: list[Thing]) -> Iterator[tuple[str, Thing, Thing]]:
    """Every container, with its pod."""
    for name, template in pods(things).items():
        for container in template["spec"].get("initContainers", []) + template["spec"]["containers"]:
            yield name, template["spec"], container


def matches(selector: Thing, labels: dict[str, str]) -> bool:
    among = selector.get("matchExpressions", [])
    assert all(said["operator"] == "In" for said in among)
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(labels.get(said["key"]) in said["values"] for said in among)


def test_every_part_is_there_once(things: list[Thing]) -> None:
    parts = [template["metadata"]["labels"]["app.kubernetes.io/component"] for template in pods(things).values()]

    assert len(set(parts)) == len(parts)
    assert set(parts) >= PARTS


def test_no_container_is_root_or_can_become_it_or_writes_where_it_should_not(things: list[Thing]) -> None:
    (namespace,) = of(things, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod, container in containers(things):
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] >= 10_000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }, name  # fmt: skip
        assert not any("hostPath" in volume for volume in pod["volumes"]), name


def test_every_container_has_probes_and_limits(things: list[Thing]) -> None:
    for name, _, container in containers(things):
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name
        for which in ("requests", "limits"):
            assert container["resources"][which].keys() == {"cpu", "memory", "ephemeral-storage"}, name


def test_what_is_mounted_is_there_and_may_not_grow_for_ever(things: list[Thing]) -> None:
    claims = {thing["metadata"]["name"] for thing in of(things, "PersistentVolumeClaim")}
    for thing in of(things, "StatefulSet"):
        claims |= {claim["metadata"]["name"] for claim in thing["spec"]["volumeClaimTemplates"]}
    for name, pod, container in containers(things):
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes | claims, name
        for volume in pod["volumes"]:
            assert volume.get("emptyDir", {}).get("sizeLimit") or volume["persistentVolumeClaim"]["claimName"] in claims


def test_selectors_find_their_pods_and_no_others(things: list[Thing]) -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods(things).items()}
    for thing in of(things, "Deployment", "StatefulSet", "Service", "PodDisruptionBudget"):
        selector = thing["spec"]["selector"]
        selector = {"matchLabels": selector} if thing["kind"] == "Service" else selector
        found = {name.split()[1] for name, each in labels.items() if matches(selector, each)}
        assert found == {thing["metadata"]["name"]}, thing["kind"]
    for name, template in pods(things).items():
        for spread in template["spec"].get("topologySpreadConstraints", []):
            assert matches(spread["labelSelector"], labels[name]), name


def test_names_lead_somewhere(things: list[Thing]) -> None:
    """What is referred to is rendered, or is the Secret that the operator makes."""
    there = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
    for _, pod, container in containers(things):
        sources = container.get("envFrom", [])
        assert {("ConfigMap", said["configMapRef"]["name"]) for said in sources if "configMapRef" in said} <= there
        secrets = [said["secretRef"] for said in sources if "secretRef" in said]
        assert all(said["optional"] for said in secrets)
        assert ("ServiceAccount", pod.get("serviceAccountName", "hemline")) in there
    for thing in of(things, "HorizontalPodAutoscaler"):
        target = thing["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in there
    for thing in of(things, "ScaledObject"):
        assert ("Deployment", thing["spec"]["scaleTargetRef"]["name"]) in there
    for thing in of(things, "ScaledObject", "ScaledJob"):
        names = {trigger["authenticationRef"]["name"] for trigger in thing["spec"]["triggers"]}
        assert {("TriggerAuthentication", name) for name in names} <= there
    assert {thing["metadata"].get("namespace", "hemline") for thing in things} == {"hemline"}


def test_no_secret_is_in_the_repository(things: list[Thing]) -> None:
    assert of(things, "Secret") == []


def test_settings_are_settings_of_the_product(things: list[Thing]) -> None:
    known = {variable(f) for f in fields(Settings)}
    given = {name: value for thing in of(things, "ConfigMap") for name, value in thing["data"].items()}
    elsewhere = {"url": "sentinel://host?master=name", "admin-key": "k" * 64, "password": "p", "limits.cpu": "2"}
    for _, _, container in containers(things):
        for said in container.get("env", []):
            (source,) = said.get("valueFrom", {"": {}}).values()
            given[said["name"]] = said.get("value") or elsewhere[source.get("key") or source["resource"]]

    ours = {name: value for name, value in given.items() if name.startswith("HEMLINE_")}
    assert ours.keys() <= known
    Settings.from_env(ours)


def test_the_web_ends_after_the_longest_request_that_it_may_hold(things: list[Thing]) -> None:
    (pod, web), = [(pod, container) for _, pod, container in containers(things) if container["name"] == "web"]
    (pause,) = [int(word) for word in web["lifecycle"]["preStop"]["exec"]["command"] if word.isdigit()]

    assert web["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert web["livenessProbe"]["httpGet"]["path"] == web["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert pause + Settings().max_wait < pod["terminationGracePeriodSeconds"]


def test_a_probe_of_a_worker_fails_when_its_file_is_old_or_missing(things: list[Thing], tmp_path: Path) -> None:
    file = tmp_path / "alive"
    for name, _, container in containers(things):
        if container["name"] in ("worker", "trainer"):
            probes = [container[f"{kind}Probe"]["exec"]["command"] for kind in ("startup", "readiness", "liveness")]
            assert probes[0] == probes[1] == probes[2], name
            (path,) = [said["value"] for said in container["env"] if said["name"] == "HEMLINE_ALIVE_FILE"]
            command = [word.replace(path, str(file)) for word in probes[0]]

            file.unlink(missing_ok=True)
            assert subprocess.run(command, capture_output=True).returncode != 0, name
            file.touch()
            assert subprocess.run(command).returncode == 0, name
            os.utime(file, (time.time() - 60,) * 2)
            assert subprocess.run(command).returncode != 0, name


def test_the_redis_of_one_node_keeps_what_it_has_and_asks_for_the_password(tmp_path: Path) -> None:
    (redis,) = [container for _, _, container in containers(rendered("small")) if container["name"] == "redis"]
    *shell, script = redis["command"]
    port = free_port()
    script = script.replace("/data", str(tmp_path)).replace("redis-server -", f"{redis_binary()} - --port {port}")
    server = Process([*shell, script], tmp_path / "log", {"PASSWORD": "0123abcd"})
    client = connect(f"redis://:0123abcd@127.0.0.1:{port}")
    try:
        server.await_(partial(answers, client), "Redis answers")
        with pytest.raises(AuthenticationError), connect(f"redis://127.0.0.1:{port}") as stranger:
            stranger.ping()
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert server.popen.args[0] == "sh" and "redis-server" in psutil.Process(server.popen.pid).name()
    finally:
        client.close()
        server.stop()


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def test_nothing_is_allowed_on_the_network_but_what_is_named(things: list[Thing]) -> None:
    policies = {thing["metadata"]["name"]: thing["spec"] for thing in of(things, "NetworkPolicy")}
    assert policies["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    open_to_all = [
        (name, port["port"])
        for name, policy in policies.items()
        for rule in policy.get("egress", [])
        if {"ipBlock": {"cidr": "0.0.0.0/0"}} in rule["to"]
        for port in rule["ports"]
    ]
    assert open_to_all == [("artifacts-and-data", 443)]
    for name, template in pods(things).items():
        labels = template["metadata"]["labels"]
        inwards = [
            rule for policy in policies.values() if matches(policy["podSelector"], labels)
            for rule in policy.get("ingress", [])
        ]  # fmt: skip
        listens = any("ports" in container for container in template["spec"]["containers"])
        assert bool(inwards) == listens, name
        assert all(rule["from"] and rule["ports"] for rule in inwards)


def test_what_is_counted_is_what_celery_writes(production: list[Thing], redis_server: RedisServer) -> None:
    """KEDA takes the length of lists that the product really fills."""
    lists = {
        thing["metadata"]["name"]: [trigger["metadata"]["listName"] for trigger in thing["spec"]["triggers"]]
        for thing in of(production, "ScaledObject", "ScaledJob")
    }
    assert lists == {"worker": [KEY_PREFIX + PREDICTIONS, KEY_PREFIX + BATCHES], "trainer": [KEY_PREFIX + TRAINING]}

    with connect(redis_server.url) as redis:
        redis.flushall()
        send_job(make_celery(redis_server.url), "job_1")
        assert redis.llen(lists["trainer"][0]) == queue_length(redis, TRAINING) == 1


def test_training_is_a_job_that_ends_and_is_not_tried_twice_by_two(production: list[Thing]) -> None:
    (scaled,) = of(production, "ScaledJob")
    pod = scaled["spec"]["jobTargetRef"]["template"]["spec"]
    settings = {said["name"]: said.get("value", "") for said in pod["containers"][0]["env"]}

    assert float(settings["HEMLINE_TRAINING_IDLE"]) > 0
    assert pod["restartPolicy"] == "Never"
    assert scaled["spec"]["jobTargetRef"]["backoffLimit"] == 0
    assert not [thing for thing in of(production, "Deployment") if thing["metadata"]["name"] == "trainer"]


def test_an_autoscaler_is_not_contradicted(production: list[Thing]) -> None:
    for thing in of(production, "Deployment"):
        assert "replicas" not in thing["spec"]


def test_no_disruption_takes_all_pods_of_a_part(production: list[Thing]) -> None:
    fewest = {
        thing["spec"]["scaleTargetRef"]["name"]: thing["spec"].get("minReplicas", thing["spec"].get("minReplicaCount"))
        for thing in of(production, "HorizontalPodAutoscaler", "ScaledObject")
    }
    budgets = {
        thing["metadata"]["name"]: thing["spec"]["maxUnavailable"] for thing in of(production, "PodDisruptionBudget")
    }

    assert fewest.keys() == budgets.keys() == {"web", "worker"}
    assert all(budgets[part] < fewest[part] for part in budgets)


def test_what_the_overlay_says_of_redis_is_the_same_for_the_product_and_for_keda(production: list[Thing]) -> None:
    text = (KUBERNETES / "overlays" / "production" / "kustomization.yaml").read_text()
    literals = dict(word.partition("=")[::2] for word in re.findall(r"--from-literal=(\S+)", text))
    url = SentinelUrl.parse(literals["url"].strip("'"))
    triggers = [trig for thing in of(production, "ScaledObject", "ScaledJob") for trig in thing["spec"]["triggers"]]
    (authentication,) = of(production, "TriggerAuthentication")

    assert literals["addresses"] == ",".join(f"{host}:{port}" for host, port in url.sentinels)
    assert (literals["master"], literals["password"]) == (url.master, url.password)
    assert {trigger["metadata"]["databaseIndex"] for trigger in triggers} == {str(url.database)}
    assert {said["key"] for said in authentication["spec"]["secretTargetRef"]} == literals.keys() - {"url", "admin-key"}
