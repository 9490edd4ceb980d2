"""What is noticed of every request: its id, its count and time, and, where that is wanted, a log line and a trace.

Two hooks of Flask, which every answer passes, whichever thread or event loop it is made on; what they know of a request
is in its environment. A request costs about 5 µs (`make metrics-cost`).
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import secrets
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, has_request_context, request

from workers import logs
from workers.metrics import Metrics
from workers.tracing import Tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

UNMATCHED, PAGE = "unmatched", "page"  # in place of an operation: no such path, and what is for people
# In a request's environment: what lines about it name, when the server began with it, and its span.
ABOUT, BEGAN, _SPAN = "hemline.about", "hemline.began", "hemline.span"
# An id that a client or a proxy gave goes into records and log lines, so it has to be short and plain.
_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_log = logging.getLogger(__name__)


def observe(app: Flask, metrics: Metrics, access_log: float, tracing: Tracing | None) -> None:
    """Notice every request of an application, whose views are all there."""
    operations = {name: _operation(view) for name, view in app.view_functions.items()}
    observer = Observer(operations, metrics, access_log, tracing)
    app.before_request(observer.begin)
    app.after_request(observer.end)


def about() -> MutableMapping[str, Any]:
    """What lines about the current request name."""
    found: MutableMapping[str, Any] = _current().environ.get(ABOUT, {}) if has_request_context() else {}
    return found


def carried() -> dict[str, str]:
    """What a record keeps of the request that it came with, so that other processes can name it too."""
    named = about()
    return {name: named[name] for name in ("request_id", "traceparent") if name in named}


def _current() -> Request:
    """The request itself: each look through Flask's proxy costs as much as all that is counted."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


class Observer:
    """Notices the begin and the end of requests."""

    def __init__(
        self, operations: dict[str, str], metrics: Metrics, access_log: float, tracing: Tracing | None
    ) -> None:
        self._operations = operations
        self._metrics = metrics
        self._access_log = access_log
        self._tracing = tracing
        # Ids need not be secret, only unlike all others, and these cost a tenth of random ones.
        self._process, self._numbers = "", itertools.count()
        self._series: dict[tuple[str, int, str], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def begin(self) -> None:
        """Name a request."""
        asked = _current()
        environ = asked.environ
        environ.setdefault(BEGAN, time.perf_counter())
        given = environ.get("HTTP_X_REQUEST_ID")
        request_id = given if given and _ID.fullmatch(given) else self._id()
        operation = self._operations[asked.url_rule.endpoint] if asked.url_rule else UNMATCHED
        named = environ[ABOUT] = {"request_id": request_id, "operation": operation}
        if self._tracing:
            environ[_SPAN] = self._tracing.request(environ, named)

    def _id(self) -> str:
        if not self._process:
            self._process = secrets.token_hex(6)
        return f"{self._process}-{next(self._numbers):x}"

    def end(self, response: Response) -> Response:
        """Count a request whose answer is there."""
        environ = _current().environ
        named = environ[ABOUT]
        seconds = time.perf_counter() - environ[BEGAN]
        held = "no"
        for name, _ in response.headers:
            if name == "Preference-Applied":
                held = "yes"
        response.headers.add("X-Request-Id", named["request_id"])
        series = named["operation"], response.status_code, held
        count, observe_seconds = self._series.get(series) or self._new(*series)
        count()
        observe_seconds(seconds)
        if self._tracing:
            self._tracing.answered(environ[_SPAN], named["operation"], response.status_code, named["request_id"])
        if self._access_log and random.random() < self._access_log:
            _say(environ, response, seconds)
        return response

    def _new(self, operation: str, status: int, held: str) -> tuple[Callable[[], None], Callable[[float], None]]:
        """How this series is counted, remembered, as looking it up costs more than counting."""
        found = (
            self._metrics.requests.labels(operation, str(status)).inc,
            self._metrics.request_seconds.labels(operation, held).observe,
        )
        self._series[operation, status, held] = found
        return found


def _say(environ: WSGIEnvironment, response: Response, seconds: float) -> None:
    method, path, location = environ["REQUEST_METHOD"], request.path, response.headers.get("Location")
    said = logs.fields(method=method, path=path, status=response.status_code, duration_ms=round(seconds * 1e3, 1),
                       **({"location": location} if location else {}))  # fmt: skip
    _log.info("%s %s", method, path, extra=said)


def _operation(view: Any) -> str:
    """The operationId under which flask-smorest documents a view; pages have none."""
    found: str = getattr(view, "_apidoc", {}).get("manual_doc", {}).get("operationId", PAGE)
    return found
