"""The parts on machines of their own, and what they do when a machine cannot be reached for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from four_machines import PREFIX, Site
from processes import ROOT, assert_problem, eventually
from traffic import Stream

SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"
# Longer than any timeout of a connection and than the lease of a job.
OUTAGE = 18.0
SPEC = {"network": "tutorial_cnn", "batch_size": 8, "learning_rate": 0.01, "ema": 0.9}

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def dataset(site: Site) -> str:
    """A small data set, uploaded."""
    with (SAMPLE / "train-images-idx3-ubyte.gz").open("rb") as images, \
         (SAMPLE / "train-labels-idx1-ubyte.gz").open("rb") as labels:  # fmt: skip
        answer = site.http.request("POST", "/v1/datasets", files={"images": images, "labels": labels})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def submit_job(site: Site, dataset: str, epochs: int) -> str:
    answer = site.http.post("/v1/training-jobs", {**SPEC, "dataset": dataset, "epochs": epochs})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ended(site: Site, job: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        found: dict[str, Any] = site.http.get(f"/v1/training-jobs/{job}").json()
        return found if found["status"] in ("succeeded", "failed", "canceled") else None

    return eventually(final, "the job has ended", 300)


def made_by(site: Site, job: str) -> list[str]:
    """The versions that a job made."""
    versions = [model["version"] for model in site.http.get("/v1/models").json()["items"]]
    return [v for v in versions if site.http.get(f"/v1/models/{v}").json().get("origin") == job]


@contextmanager
def for_a_while() -> Iterator[None]:
    """The block, and then what is left of the time of an outage."""
    until = time.monotonic() + OUTAGE
    yield
    time.sleep(max(0.0, until - time.monotonic()))


def checks(site: Site) -> dict[str, str]:
    """What /health/ready says of each part."""
    return dict(site.http.get("/health/ready").json()["checks"])


def test_a_picture_is_classified_on_another_machine(site: Site) -> None:
    answer = site.http.predict("sneaker", wait=20)

    assert answer.status_code == 201, answer.text
    assert answer.json()["result"]["label"] == "Sneaker"


def test_a_version_trained_on_one_machine_is_served_by_another(site: Site, dataset: str) -> None:
    job = ended(site, submit_job(site, dataset, epochs=1))

    assert job["status"] == "succeeded", job
    version = job["result"]["model_version"]
    card = site.http.get(f"/v1/models/{version}").json()
    assert card["origin"] == job["id"]
    assert f"{PREFIX}/models/{version}/card.json" in site.stored()
    assert site.http.get(f"/v1/models/{version}/artifacts/litert").content[4:8] == b"TFL3"
    assert site.http.predict(model=version, wait=20).json()["model_version"] == version
    # All that the machines share went through Redis and the store.
    assert not list(site.folder.glob("*/artifacts"))


@pytest.mark.parametrize("outage", ["unplugged", "silent"])
def test_nothing_accepted_is_lost_while_redis_cannot_be_reached(site: Site, dataset: str, outage: str) -> None:
    job = submit_job(site, dataset, epochs=20)
    eventually(lambda: site.http.get(f"/v1/training-jobs/{job}").json().get("history"), "the job trains")
    stream = Stream(site.http.url)
    stream.after(200)
    with getattr(site.redis, outage)(), for_a_while():
        eventually(lambda: site.http.get("/health/ready").status_code == 503, "it is not ready")
        assert checks(site)["redis"] == "Redis cannot be reached"
        refused = site.http.predict()
        assert_problem(refused, 503)
        assert refused.headers["Retry-After"]
        assert site.http.answers("/health/live")
    eventually(lambda: site.http.answers("/health/ready"), "it is ready again")
    stream.after(200)
    stream.end()

    stream.check()
    assert ended(site, job)["status"] == "succeeded"
    assert len(made_by(site, job)) == 1


@pytest.mark.parametrize("outage", ["unplugged", "silent"])
def test_what_waits_for_a_worker_is_answered_when_its_machine_is_back(site: Site, outage: str) -> None:
    stream = Stream(site.http.url, threads=2)
    stream.after(100)
    with getattr(site.worker, outage)(), for_a_while():
        eventually(lambda: site.http.get("/health/ready").status_code == 503, "it is not ready")
        assert checks(site) == {
            "redis": "ok", "prediction_worker": "no prediction worker has a fresh heartbeat", "production_model": "ok",
        }  # fmt: skip
        stream.after(20)  # there is room: work is accepted, and waits
    stream.end()

    stream.check()
    eventually(lambda: site.http.answers("/health/ready"), "it is ready again")


def test_predictions_go_on_and_a_job_ends_later_when_the_store_cannot_be_reached(site: Site, dataset: str) -> None:
    job = submit_job(site, dataset, epochs=20)
    eventually(lambda: site.http.get(f"/v1/training-jobs/{job}").json().get("history"), "the job trains")
    with site.store.silent(), for_a_while():
        assert site.http.predict("coat", wait=20).json()["result"]["label"] == "Coat"
        assert_problem(site.http.get("/v1/datasets"), 503)
        assert site.http.answers("/health/ready")

    assert ended(site, job)["status"] == "succeeded"
    assert len(made_by(site, job)) == 1
