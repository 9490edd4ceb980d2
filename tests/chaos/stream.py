"""Clients that do what the documentation says: what was not accepted they send again, what was they look for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import requests

from ml.artifacts import open_artifacts
from ml.datasets import read_idx_images
from ml.images import CLASS_NAMES
from ml.registry import Registry
from ml.runtime import Classifier
from processes import ROOT, Client, b64
from workers.aliases import RedisIndex
from workers.app import connect

SAMPLE: Final = ROOT / "tests" / "data" / "fashion-mnist-sample"
_CLIENTS: Final = 8
_PAUSE: Final = 0.15  # seconds between two requests of a client, about
_MODELS: Final = ("production", "production", "production", "accurate")
_FINAL: Final = ("succeeded", "failed", "canceled")
_PATIENCE: Final = 45  # seconds after which a client hangs up; a stopped web process holds it for 20


class Pictures:
    """A hundred pictures, and what each version says to them when nobody is in between."""

    def __init__(self, redis_url: str, artifacts: str) -> None:
        with (SAMPLE / "t10k-images-idx3-ubyte.gz").open("rb") as file:
            images = read_idx_images(file)
        self.bodies = [b64(cv2.imencode(".png", image)[1].tobytes()) for image in images]
        self._pixels = np.ascontiguousarray(images.reshape(len(images), -1))
        self._registry = Registry(open_artifacts(artifacts), RedisIndex(connect(redis_url)))
        self._labels: dict[str, list[str]] = {}

    def label(self, version: str, picture: int) -> str:
        """What a version says to a picture."""
        if version not in self._labels:
            classifier = Classifier(self._registry.card(version), lambda name: self._registry.find(version, name))
            classes = classifier.classify(self._pixels).probabilities.argmax(axis=1)
            self._labels[version] = [CLASS_NAMES[each] for each in classes]
        return self._labels[version][picture]


class Outcome(StrEnum):
    """What a client heard when it submitted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # 503 with Retry-After, or 409 where the request before goes on
    BROKEN = "broken"  # no connection, or no answer


class Attempt(NamedTuple):
    """A submission: when it ended (time.monotonic), how, and after how long."""

    ended: float
    outcome: Outcome
    seconds: float


@dataclass
class Accepted:
    """What was accepted: its pictures, and the first final answer that its client saw."""

    location: str
    pictures: list[int]
    first: dict[str, Any] | None = None


@dataclass
class Stream:
    """Clients at work, until `end`."""

    url: str
    pictures: Pictures
    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    repeated: int = 0  # of those, how many had been accepted before, and the answer was lost
    unheard: int = 0  # requests that may have been accepted, of which the stream's end kept the client from hearing
    wrong: list[str] = field(default_factory=list)  # answers that no client should ever get

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let every client finish what it does."""
        self._ended.set()
        for thread in self._threads:
            thread.join(4 * _PATIENCE)
            assert not thread.is_alive(), "a client hangs"

    def _client(self, number: int) -> None:
        random, http = Random(f"{self.seed}-{number}"), Client(self.url)
        ways: Sequence[Callable[[Client, Random], None]] = (self._waited, self._waited, self._polled, self._batch)
        while not self._ended.is_set():
            random.choice(ways)(http, random)
            self._ended.wait(random.uniform(0, 2 * _PAUSE))

    def _waited(self, http: Client, random: Random) -> None:
        self._predict(http, random, wait=10)

    def _polled(self, http: Client, random: Random) -> None:
        self._look_for(http, self._predict(http, random))

    def _predict(self, http: Client, random: Random, wait: int | None = None) -> Accepted | None:
        picture = random.randrange(len(self.pictures.bodies))
        body = {"image": self.pictures.bodies[picture], "model": random.choice(_MODELS)}
        return self._submit(http, random, "/v1/predictions", body, [picture], wait)

    def _batch(self, http: Client, random: Random) -> None:
        chosen = random.choices(range(len(self.pictures.bodies)), k=random.randint(2, 100))
        body = {"images": [self.pictures.bodies[each] for each in chosen], "model": random.choice(_MODELS)}
        self._look_for(http, self._submit(http, random, "/v1/batches", body, chosen))

    def _submit(
        self, http: Client, random: Random, path: str, body: dict[str, Any], pictures: list[int],
        wait: int | None = None,
    ) -> Accepted | None:
        """Send until it is accepted, or the stream ends: with the same key, as what is not heard of may be accepted."""
        broken = False
        key = {"Idempotency-Key": f"{random.getrandbits(128):032x}"}
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                answer = http.post(path, body, wait, timeout=_PATIENCE, headers=key)
            except requests.RequestException:
                broken = True
                self._note(Outcome.BROKEN, began)
                self._ended.wait(0.2)
                continue
            if answer.status_code in (201, 202):
                self._note(Outcome.ACCEPTED, began)
                found = Accepted(answer.headers["Location"], pictures)
                self.repeated += "Idempotency-Replayed" in answer.headers
                if answer.status_code == 201:
                    found.first = answer.json()
                self.accepted.append(found)
                return found
            goes_on = answer.status_code == 409 and answer.json()["type"].endswith("in-flight")
            if not (answer.status_code == 503 or goes_on) or "Retry-After" not in answer.headers:
                self.wrong.append(f"POST {path}: {answer.status_code} {answer.text[:300]}")
            self._note(Outcome.REFUSED, began)
            self._ended.wait(min(2.0, float(answer.headers.get("Retry-After", "1"))))
        self.unheard += broken
        return None

    def _look_for(self, http: Client, found: Accepted | None) -> None:
        """Ask a few times; what is not there by then is left to the audit."""
        for _ in range(3):
            if found is None or self._ended.is_set():
                return
            found.first = self.final(http, found.location)
            if found.first is not None:
                return

    def final(self, http: Client, location: str) -> dict[str, Any] | None:
        """A resource that has ended, by one request; nothing where it has not, or no word of it came."""
        try:
            answer = http.get(location, headers={"Prefer": "wait=5"}, timeout=_PATIENCE)
        except requests.RequestException:
            return None
        if answer.status_code == 200:
            body: dict[str, Any] = answer.json()
            return body if body["status"] in _FINAL else None
        if answer.status_code != 503:
            self.wrong.append(f"GET {location}: {answer.status_code} {answer.text[:300]}")
        return None

    def _note(self, outcome: Outcome, began: float) -> None:
        now = time.monotonic()
        self.attempts.append(Attempt(now, outcome, now - began))

    def answers(self, seconds: float) -> list[tuple[Accepted, dict[str, Any] | None]]:
        """Everything that was accepted with its final answer now, for which this waits so long at most."""
        deadline = time.monotonic() + seconds

        def ask(found: Accepted) -> tuple[Accepted, dict[str, Any] | None]:
            http = Client(self.url)
            while (body := self.final(http, found.location)) is None and time.monotonic() < deadline:
                time.sleep(0.2)
            http.session.close()
            return found, body

        with ThreadPoolExecutor(_CLIENTS) as pool:
            return list(pool.map(ask, self.accepted))


class Jobs:
    """Training jobs, one after the other: while the stream flows, one is always at work."""

    def __init__(self, http: Client) -> None:
        self._http = Client(http.url)
        self._dataset = _upload(http)
        self.accepted: list[str] = []
        self.wrong: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Begin no further job."""
        self._ended.set()
        self._thread.join(2 * _PATIENCE)
        self._http = Client(self._http.url)  # the old one may have a connection to a process that is no more

    def _run(self) -> None:
        spec = {"network": "tutorial_cnn", "dataset": self._dataset, "epochs": 20, "batch_size": 8,
                "learning_rate": 0.01, "ema": 0.9}  # fmt: skip
        while not self._ended.wait(0.5):
            try:
                if self.accepted and self.job(self.accepted[-1])["status"] not in _FINAL:
                    continue
                answer = self._http.post("/v1/training-jobs", spec, timeout=_PATIENCE)
            except (requests.RequestException, LookupError):
                continue
            if answer.status_code == 202:
                self.accepted.append(answer.json()["id"])
            elif answer.status_code != 503:
                self.wrong.append(f"POST /v1/training-jobs: {answer.status_code} {answer.text[:300]}")

    def job(self, job: str) -> dict[str, Any]:
        """A job as it stands. Raises LookupError where it is not shown, requests.RequestException."""
        answer = self._http.get(f"/v1/training-jobs/{job}", timeout=_PATIENCE)
        if answer.status_code != 200:
            raise LookupError(answer.text)
        return dict(answer.json())

    def final(self, job: str, seconds: float) -> dict[str, Any]:
        """A job when it has ended, or as it stands when nothing has moved for so many seconds."""
        found, moved = self.job(job), time.monotonic()
        while found["status"] not in _FINAL and time.monotonic() < moved + seconds:
            time.sleep(0.5)
            if (now := self.job(job)) != found:
                found, moved = now, time.monotonic()
        return found


def _upload(http: Client) -> str:
    def part(name: str) -> Path:
        return SAMPLE / f"train-{name}-ubyte.gz"

    with part("images-idx3").open("rb") as images, part("labels-idx1").open("rb") as labels:
        answer = http.request("POST", "/v1/datasets", files={"images": images, "labels": labels})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
