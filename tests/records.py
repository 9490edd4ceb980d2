"""Write what this release keeps, for later releases to read: `python tests/records.py tests/data/records/0.1`.

A backup with a record of each kind, and what the API says of each. Run it once for each release, before it is out, with
the oldest Redis that is promised (HEMLINE_TEST_REDIS=wheel); `tests/integration/test_older_records.py` reads all.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ml.artifacts import FileArtifacts  # noqa: E402
from ml.registry import PRODUCTION, RELEASE, Registry  # noqa: E402
from processes import ROOT, Client, RedisServer, Web, b64, sample  # noqa: E402
from settings import Settings  # noqa: E402
from workers import backup  # noqa: E402
from workers.aliases import RedisIndex  # noqa: E402
from workers.groups import Groups  # noqa: E402
from workers.jobs import JobState, JobStore  # noqa: E402
from workers.records import RESULT, Answer, error  # noqa: E402

LISTS = ("predictions", "batches", "training-jobs", "tuning-jobs", "models", "aliases", "datasets")
_YEARS = 30 * 365 * 86400  # what has expired can be read by nobody


@contextmanager
def served(redis: RedisServer, home: Path) -> Iterator[Client]:
    """A web process on this Redis and the artifacts of this home."""
    environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(home), "HEMLINE_RESULT_TTL": str(_YEARS)}
    web = Web(home / "web.log", environ)
    try:
        yield web.http
    finally:
        web.stop()


def said(http: Client) -> dict[str, Any]:
    """What the API says: each list, and each thing on it."""
    pages = {f"/v1/{name}": http.get(f"/v1/{name}").json() for name in LISTS}
    single = [f"{path}/{item['id']}" for path, page in pages.items() for item in page["items"] if "id" in item]
    single += [f"/v1/models/{item['version']}" for item in pages["/v1/models"]["items"]]
    return {**pages, **{path: http.get(path).json() for path in [*single, f"/v1/aliases/{PRODUCTION}/history"]}}


def write(folder: Path) -> None:
    """One record of each kind and state, through the code that writes them in service."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        server = RedisServer(Path(scratch) / "redis")
        try:
            artifacts = FileArtifacts(Path(scratch) / "artifacts")
            _publish(Registry(artifacts, RedisIndex(server.client)))
            with served(server, Path(scratch)) as http:
                _predict(http, Groups.from_settings(server.client, Settings()))
                _train(http, JobStore.training(server.client, Settings()))
                (folder / "said.json").write_text(json.dumps(said(http), indent=1) + "\n", "utf-8")
            backup.save(server.url, artifacts, folder / "backup.tar")
        finally:
            server.stop()


def _publish(registry: Registry) -> None:
    card = json.loads((ROOT / "ml" / "shipped" / "small" / "card.json").read_bytes())
    for content in (b"first", b"second"):
        registry.publish({"model.tflite": content, "model.keras": content}, card)
    registry.point(PRODUCTION, "v1", by=RELEASE)
    registry.point(PRODUCTION, "v2", by="api")


def _predict(http: Client, groups: Groups) -> None:
    image = {"image": b64(sample("sneaker"))}
    for states in ("s", "f", ""):
        answer = http.post("/v1/predictions", {**image, "metadata": {"becomes": states or "nothing"}})
        _answer(groups, answer.json()["id"], states)
    answer = http.post("/v1/batches", {"images": [image["image"]] * 2 + ["no picture"]})
    _answer(groups, answer.json()["id"], "sf")
    http.post("/v1/batches", {"images": [image["image"]], "metadata": {"becomes": "nothing"}})


def _answer(groups: Groups, public: str, states: str) -> None:
    """Answer the first places of a group with these states."""
    group = public[:-2].replace("_", ":")
    taken = groups.begin(groups.slices(group, len(states))[0]) if states else None
    if taken is None:
        return
    values = np.zeros(1, RESULT)
    values["probabilities"][0, 7], values["batch_size"] = 1, len(states)
    values["started"] = values["completed"] = taken.now
    failure = json.dumps({**error("inference_failed", "It could not."), "completed": taken.now}).encode()
    answers = [Answer(place, state, values.tobytes() if state == "s" else failure)
               for place, state in zip(taken.places, states, strict=False)]  # fmt: skip
    groups.finish(groups.slices(group, len(states))[0], answers)


def _train(http: Client, jobs: JobStore) -> None:
    folder = ROOT / "tests" / "data" / "fashion-mnist-sample"
    with (folder / "t10k-images-idx3-ubyte.gz").open("rb") as images, \
         (folder / "t10k-labels-idx1-ubyte.gz").open("rb") as labels:  # fmt: skip
        dataset = http.request("POST", "/v1/datasets", files={"images": images, "labels": labels}).json()["id"]
    for ending in (JobState.SUCCEEDED, JobState.FAILED, None):
        job = http.post("/v1/training-jobs", {"dataset": dataset, "epochs": 2}).json()["id"]
        if ending is None or (lease := jobs.claim(job)) is None:
            continue
        row = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7, "learning_rate": 0.1,
               "seconds": 1.0}  # fmt: skip
        jobs.update(lease, {"epoch1": row}, event="epoch", data=row, new="epoch1")
        if ending is JobState.SUCCEEDED:
            result = {"model_version": "v2", "promoted": True, "metrics": {"test": {"accuracy": 0.9}}}
            jobs.update(lease, {"version": "v2", "result": result}, event="succeeded", data=result, state=ending)
        else:
            why = error("diverged", "The loss is not a number any more.")
            jobs.update(lease, {"error": why}, event="failed", data=why, state=ending)
    space = {"hyperparameters": {"dense": {"choices": [32, 64]}}}
    tuning = {"network": "tutorial_cnn", "dataset": dataset, "trials": 2, "search_space": space}
    answer = http.post("/v1/tuning-jobs", tuning)
    assert answer.status_code == 202, answer.text


if __name__ == "__main__":
    write(Path(sys.argv[1]))
