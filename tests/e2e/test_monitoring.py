"""The dashboard, the alerts and the guide speak of what the running product really tells."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from processes import ROOT, Client, b64, eventually, sample
from product import Hemline, Start

MONITORING = ROOT / "iac" / "monitoring"
SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "hemline.json").read_bytes())
(GROUP,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
ALERTS = GROUP["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {
    **{panel["title"] + target["refId"]: target["expr"] for panel in PANELS for target in panel["targets"]},
    **{rule["alert"]: rule["expr"] for rule in ALERTS},
}
# A name of ours, and what may be chosen of it.
_SELECTOR = re.compile(r"\b(hemline_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\bby \(([^)]*)\)")
# Labels that Prometheus and its client add by themselves.
_OTHERS = {"le", "instance", "job"}


class Told:
    """What one scrape told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: list[Metric] = list(parse(text))
        self.samples = [each for family in self.families for each in family.samples]

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of every series of a name."""
        return [each.labels for each in self.samples if each.name == name]


@pytest.fixture(scope="module")
def product(start: Start) -> Iterator[Hemline]:
    settings = {"TRAINING_WORKERS": "1", "LOG_FORMAT": "json", "ACCESS_LOG": "1", "MAX_QUEUED": "8"}
    started = start(**{f"HEMLINE_{name}": value for name, value in settings.items()}).until_ready()
    yield started
    started.interrupt()


def train(http: Client) -> str:
    """A training job on a few pictures, asked for by a request with an id of its own."""
    parts = {"images": "t10k-images-idx3-ubyte.gz", "labels": "t10k-labels-idx1-ubyte.gz"}
    pictures = {part: (SAMPLE / name).read_bytes() for part, name in parts.items()}
    uploaded = http.request("POST", "/v1/datasets", files=pictures, data={"name": "few"})
    assert uploaded.status_code == 201, uploaded.text
    spec = {"network": "tutorial_cnn", "dataset": uploaded.json()["id"], "epochs": 40, "batch_size": 8}
    answer = http.post("/v1/training-jobs", spec, headers={"X-Request-Id": "who-trains"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def told(product: Hemline) -> Told:
    """What the product tells while a job trains, after everything was asked of it that leaves a trace."""
    job = train(product.http)
    assert product.http.predict(wait=20).status_code == 201
    assert product.http.predict(model="nothing").status_code == 422
    for pictures, status in ((3, 201), (9, 503)):
        answer = product.http.post("/v1/batches", {"images": [b64(sample("coat"))] * pictures}, wait=20)
        assert answer.status_code == status

    def everything() -> Told | None:
        found = Told(product.http.get("/metrics").text)
        there = found.labels("hemline_training_val_accuracy") and found.labels("hemline_batch_size_sum")
        return found if there else None

    found = eventually(everything, "a job has ended an epoch", seconds=120)
    product.http.post(f"/v1/training-jobs/{job}/cancel")
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_every_expression_speaks_of_what_is_told(told: Told, expression: str) -> None:
    selectors = _SELECTOR.findall(expression)
    assert selectors or expression.startswith("up{")
    for name, chosen in selectors:
        series = told.labels(name)
        assert series, f"{name} is not told"
        for label, operator, value in _MATCHER.findall(chosen):
            assert label in series[0], f"{name} has no label {label}"
            if operator == "=":
                assert value in {each[label] for each in series}, f"no {name} has {label}={value}"
        for label in ",".join(_BY.findall(expression)).replace(" ", "").split(","):
            assert not label or label in _OTHERS or label in {key for each in series for key in each}


def test_no_label_is_one_that_prometheus_gives_to_targets(told: Told) -> None:
    assert not {"job", "instance"} & {label for each in told.samples for label in each.labels}


def test_the_guide_lists_every_metric_with_its_type_and_its_labels(told: Told) -> None:
    text = (ROOT / "docs" / "guide" / "observe.md").read_text("utf-8")
    listed = re.findall(r"^\| `(hemline_\w+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE)
    real = []
    for family in told.families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = sorted({key for each in family.samples for key in each.labels if key != "le"})
        real.append((name, family.type, ", ".join(f"`{label}`" for label in labels)))

    assert sorted(listed) == sorted(real)


def test_every_alert_is_in_the_guide_and_has_a_test() -> None:
    text = (ROOT / "docs" / "guide" / "observe.md").read_text("utf-8")
    tested = (MONITORING / "alerts.test.yml").read_text("utf-8")
    for rule in ALERTS:
        assert f"| `{rule['alert']}` |" in text
        assert f"alertname: {rule['alert']}\n" in tested
        assert rule["labels"]["severity"] in ("critical", "warning") and rule["annotations"]["summary"]


def test_prometheus_finds_nothing_to_improve(told: Told) -> None:
    promtool = environ.get("PROMTOOL")
    if not promtool:
        pytest.skip("PROMTOOL is not set: make metrics-check sets it")
    ended = subprocess.run([promtool, "check", "metrics"], input=told.text, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_panels_have_places_of_their_own() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_is_provisioned_with_the_data_source_that_it_asks_for() -> None:
    folder = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "hemline.yml").read_text())["providers"]
    (variable,) = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "datasource"]

    assert variable["query"] == source["type"] and provider["type"] == "file"
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {"${datasource}"}


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"time"')]


def test_a_request_id_goes_from_the_answer_to_the_lines_of_the_training_worker(product: Hemline, told: Told) -> None:
    named = [line for line in lines(product.log) if line.get("request_id") == "who-trains"]
    accepted, asked, *trained = named

    assert accepted["part"] == asked["part"] == "web" and accepted["message"].endswith("is accepted")
    assert asked["operation"] == "createTrainingJob" and asked["status"] == 202
    shown = re.search(r"^{\"time\".*}$", (ROOT / "docs" / "guide" / "observe.md").read_text("utf-8"), re.MULTILINE)
    assert shown and list(json.loads(shown[0])) == list(asked), "the guide shows such a line"
    assert trained and {line["part"] for line in trained} == {"training"}
    assert {line["job"] for line in trained} == {asked["location"].rpartition("/")[2]}
