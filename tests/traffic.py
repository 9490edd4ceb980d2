"""Clients that send predictions one after the other while something goes wrong, and insist on the right answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count as numbers
from itertools import islice
from typing import Any

import requests

from processes import SAMPLES, Client, b64, eventually, sample

BODIES = [({"image": b64(sample(name))}, label) for name, label in SAMPLES.items()]


class Stream:
    """Clients that send so many predictions, or until they are told to end, and try again what was not accepted."""

    def __init__(self, url: str, count: int | None = None, threads: int = 8, **fields: str) -> None:
        self._url = url
        self._fields = fields  # of every request, beside the picture
        self._numbers: Iterator[int] = islice(numbers(), count)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.accepted: dict[str, str] = {}  # the label that each Location must come to
        self.refused = 0
        self.wrong: list[str] = []  # answers that are neither an acceptance nor a proper refusal
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        client = Client(self._url)
        while not self._ended.is_set():
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            body, label = BODIES[number % len(BODIES)]
            while (location := self._try(client, body | self._fields)) is None:
                if self._ended.wait(0.2):
                    return
            self.accepted[location] = label

    def _try(self, client: Client, body: dict[str, str]) -> str | None:
        try:
            answer = client.post("/v1/predictions", body)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # also in the middle of an answer
            return None
        if answer.status_code == 202:
            return answer.headers["Location"]
        if answer.status_code != 503 or not answer.headers.get("Retry-After"):
            self.wrong.append(f"{answer.status_code} {answer.text}")
        self.refused += 1
        return None

    def after(self, count: int) -> None:
        """Come back when this many more are accepted."""
        before = len(self.accepted)
        eventually(lambda: len(self.accepted) - before >= count, f"{count} more are accepted", 120)

    def end(self) -> None:
        """Send nothing more."""
        self._ended.set()

    def check(self) -> None:
        """Every accepted prediction succeeds, with the right answer."""
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        assert not self.wrong, f"{len(self.wrong)}: {self.wrong[:3]}"
        with ThreadPoolExecutor(len(self._threads)) as pool:
            answers = list(pool.map(self._final, self.accepted))
        wrong = [answer for answer in answers if answer.get("status") != "succeeded"]
        assert not wrong, f"{len(wrong)} of {len(answers)}: {wrong[:3]}"
        assert [a["result"]["label"] for a in answers] == list(self.accepted.values())

    def _final(self, location: str) -> dict[str, Any]:
        client = Client(self._url)
        deadline = time.monotonic() + 120
        while True:
            answer: dict[str, Any] = client.get(location, headers={"Prefer": "wait=10"}).json()
            if answer["status"] not in ("queued", "running") or time.monotonic() > deadline:
                return answer
