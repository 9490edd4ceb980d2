"""What it costs to notice a request and a picture: `make metrics-cost`. Time of one core, the best of fifty rounds."""

from __future__ import annotations

import logging
import timeit
from collections.abc import Callable
from typing import Any

from flask import Response, request
from redis import Redis

from api.app import create_app
from api.observation import BEGAN, Observer, about, carried
from settings import Settings
from workers import logs
from workers.metrics import Metrics

_HEADERS = {"Content-Type": "application/json", "Content-Length": "150", "Location": "/v1/predictions/pred_1",
            "Retry-After": "1"}  # fmt: skip


def main() -> None:
    metrics = Metrics(Redis())  # which is never reached: counting asks nobody
    app = create_app(Settings(redis_url="unix:///nobody"))
    with app.test_request_context("/v1/predictions", method="POST"):
        operations = {"predictions.create_prediction": "createPrediction"}
        silent, said = (Observer(operations, metrics, share, None) for share in (0.0, 1.0))
        noticed = cost(notice(silent)) + cost(carried)
        print(f"a request: counted, timed, with an id          {noticed:6.2f} µs")
        for style in ("text", "json"):
            logging.root.handlers.clear()
            logs.configure("web", "INFO", style, about)
            with open("/dev/null", "w", encoding="utf-8") as nowhere:
                logging.root.handlers[0].setStream(nowhere)  # type: ignore[attr-defined]
                line = cost(notice(said)) - cost(notice(silent))
            print(f"a line of the access log, {style}                 {line:6.2f} µs")
    batch = cost(lambda: metrics.answered("predictions", "v1", 64, 0.01, 0.002))
    print(f"a batch in a worker                            {batch:6.2f} µs")
    print(f"a picture of a batch of 64                     {batch / 64:6.2f} µs")


def notice(observer: Observer) -> Callable[[], Any]:
    """A request from its begin to its end."""
    environ, response = request.environ, Response(b"", 202, _HEADERS)

    def noticed() -> None:
        environ.pop(BEGAN, None)
        observer.begin()
        observer.end(response).headers.pop()

    return noticed


def cost(call: Callable[[], Any], rounds: int = 2_000) -> float:
    """Microseconds that a call takes."""
    return min(timeit.repeat(call, number=rounds, repeat=50)) / rounds * 1e6


if __name__ == "__main__":
    main()
