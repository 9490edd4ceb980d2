"""Photos and explanations on their way from a client through a real worker and back."""

import io
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml import releases
from ml.artifacts import FileArtifacts
from ml.images import read_image
from ml.registry import Registry
from ml.runtime import Classifier
from processes import PHOTOS, ROOT, SAMPLES, Client, Process, RedisServer, Web, b64, eventually, photo, sample, worker
from workers.aliases import RedisIndex


@dataclass
class Site:
    """A service whose workers a test starts, and a version with a network for photos that is known."""

    folder: Path
    http: Client
    environ: dict[str, str]
    version: str
    classifier: Classifier

    @contextmanager
    def worker(self) -> Iterator[Process]:
        process = worker(self.folder / "worker.log", self.environ)
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("explanations")
    with ExitStack() as stack:
        redis = RedisServer(folder / "redis")
        stack.callback(redis.stop)
        environ = {"HEMLINE_REDIS_URL": redis.url, "HEMLINE_HOME": str(folder), "HEMLINE_LEASE": "1"}
        web = Web(folder / "web.log", environ)
        stack.callback(web.stop)
        # The network for photos is the other one, but less sure of everything.
        card, contents = releases.read(ROOT / "ml" / "shipped" / "small")
        photos = {"serving": {"artifact": "photos.tflite"}, "calibration": {"temperature": 5.0},
                  "novelty": {**card["novelty"], "score": "energy"}}  # fmt: skip
        card, contents = {**card, "photos": photos}, {**contents, "photos.tflite": contents["model.tflite"]}
        version = Registry(FileArtifacts(folder / "artifacts"), RedisIndex(redis.client)).publish(contents, card)
        yield Site(folder, web.http, environ, version, Classifier(card, contents.get))


@pytest.fixture
def http(site: Site) -> Iterator[Client]:
    with site.worker():
        eventually(lambda: site.http.answers("/health/ready"), "the service is ready")
        yield site.http


def predict(http: Client, picture: bytes, **fields: Any) -> dict[str, Any]:
    answer = http.post("/v1/predictions", {"image": b64(picture), **fields}, wait=20)
    assert answer.status_code == 201, answer.text
    assert http.get(answer.headers["Location"]).json() == answer.json()
    found: dict[str, Any] = answer.json()["result"]
    return found


def opened(uri: str) -> Image.Image:
    head, _, text = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(b64decode(text)))


def test_photos_are_answered_by_the_network_for_photos_and_all_else_is_not(site: Site, http: Client) -> None:
    pictures = [("photo", photo(name)) for name in PHOTOS] + [("contract", sample(name)) for name in SAMPLES]
    for source, picture in pictures:
        result = predict(http, picture, model=site.version)
        pixels = np.frombuffer(read_image(picture).pixels, np.uint8)[None]
        expected = site.classifier.classify(pixels, np.array([source == "photo"]))
        assert result["source"] == source
        assert result["confidence"] == pytest.approx(expected.probabilities.max(), abs=1e-4)
        assert result["novelty"] == pytest.approx(expected.novelty[0], abs=1e-3)


def test_photos_and_other_pictures_of_one_batch_come_back_in_their_places(site: Site, http: Client) -> None:
    pictures = [picture for pair in zip(map(photo, PHOTOS), map(sample, SAMPLES)) for picture in pair]
    body = {"images": list(map(b64, pictures)), "model": site.version}
    answer = http.post("/v1/batches", body, wait=20)
    lines = http.get(f"{answer.headers['Location']}/results").text.splitlines()
    alone = [predict(http, picture, model=site.version) for picture in pictures]

    results = [json.loads(line)["result"] for line in lines]
    assert [result["source"] for result in results] == ["photo", "contract"] * len(PHOTOS)
    assert [result["label"] for result in results] == [result["label"] for result in alone]
    assert [r["confidence"] for r in results] == pytest.approx([r["confidence"] for r in alone], abs=1e-4)


@pytest.mark.parametrize("picture", [sample("coat"), photo("trouser")], ids=["contract", "photo"])
def test_an_answer_is_explained_when_asked_for(site: Site, http: Client, picture: bytes) -> None:
    plain, explained = (predict(http, picture, model=site.version, explain=each) for each in (False, True))
    explanation = explained.pop("explanation")
    overlay = opened(explanation["overlay"])

    assert "explanation" not in plain
    assert explained == plain
    assert (overlay.size, overlay.mode) == ((224, 224), "RGB")
    assert np.ptp(np.asarray(overlay), axis=2).max() > 100
    assert isinstance(explanation["neighbors"], list)


def test_explained_predictions_are_listed_with_their_explanation(http: Client) -> None:
    predict(http, sample("bag"), explain=True)
    newest = next(http.pages("/v1/predictions", limit=1))

    assert opened(newest["result"]["explanation"]["overlay"]).size == (224, 224)


def test_explained_predictions_are_answered_though_their_worker_is_killed(site: Site) -> None:
    bodies = [{"image": b64(sample(name)), "explain": True, "model": site.version} for name in SAMPLES]
    paths = [site.http.post("/v1/predictions", body).headers["Location"] for body in bodies * 3]
    with site.worker() as victim:
        begun = ("running", "succeeded")
        eventually(lambda: any(site.http.get(path).json()["status"] in begun for path in paths), "one has begun")
        victim.kill()
    with site.worker():
        for path, label in zip(paths, list(SAMPLES.values()) * 3, strict=True):
            prediction = eventually(
                lambda path=path: (  # type: ignore[misc]
                    found := site.http.get(path, headers={"Prefer": "wait=10"}).json()
                )["status"] == "succeeded" and found,
                "it is answered",
            )
            assert prediction["result"]["label"] == label
            assert opened(prediction["result"]["explanation"]["overlay"]).size == (224, 224)


def test_what_explain_takes_is_true_or_false(site: Site) -> None:
    answer = site.http.post("/v1/predictions", {"image": b64(sample("bag")), "explain": "yes"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/explain"
