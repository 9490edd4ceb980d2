"""How resources travel: timestamps, pages, ETags, `Prefer: wait` (RFC 7240), and the documentation of all that."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import orjson
from flask import Response, abort, request
from redis import RedisError
from werkzeug.http import parse_list_header

from api import idempotency
from api.errors import PROBLEM_JSON
from api.parts import parts
from api.schemas import ProblemSchema
from workers.batches import Batch
from workers.records import Prediction
from workers.jobs import Job

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Record = TypeVar("Record", Prediction, Batch, Job)
View = TypeVar("View", bound=Callable[..., Any])

_RETRY_AFTER = {"description": "Seconds after which asking again is worth it.", "schema": {"type": "integer"}}
_APPLIED = {"description": "`wait=N` where the preference was honoured.", "schema": {"type": "string"}}
_LOCATION = {"description": "Where the resource is.", "schema": {"type": "string"}}
ETAG = {"description": "Changes when the resource does.", "schema": {"type": "string"}}
LINK = {"description": 'The next page, as `<…>; rel="next"` (RFC 8288).', "schema": {"type": "string"}}
TIMING = {"description": "`decode`, `queue` and `inference` of what is done, in ms.", "schema": {"type": "string"}}
CREATED_HEADERS = {"Location": _LOCATION, "Preference-Applied": _APPLIED, **idempotency.HEADER}
ACCEPTED_HEADERS = {**CREATED_HEADERS, "Retry-After": _RETRY_AFTER}
RESOURCE_HEADERS = {"ETag": ETAG, "Retry-After": _RETRY_AFTER, "Preference-Applied": _APPLIED}

PREFER = {
    "in": "header", "name": "Prefer", "schema": {"type": "string"}, "example": "wait=5",
    "description": "`wait=N` holds the answer until the work is done or N seconds are over (RFC 7240). Under load the "
    "service may answer at once.",
}  # fmt: skip
IF_NONE_MATCH = {
    "in": "header", "name": "If-None-Match", "schema": {"type": "string"},
    "description": "An `ETag` seen before; 304 is the answer while it still holds.",
}  # fmt: skip


def path_id(name: str, of: str, example: str) -> dict[str, Any]:
    """The documentation of an id in the path."""
    return {"in": "path", "name": name, "required": True, "schema": {"type": "string"}, "example": example,
            "description": f"The id of the {of}."}  # fmt: skip


def problems(blueprint: Any, *statuses: int) -> Callable[[View], View]:
    """Document these errors of an operation, and those that any operation may end with."""
    reasons = {
        400: "The body is not JSON.", 404: "There is none; it may have expired or been deleted.",
        409: "It is too late for that, or too early: an earlier request with the `Idempotency-Key` has not ended.",
        410: "What the `Idempotency-Key` made is gone.", 413: "The body is too large.",
        415: "The body is not sent as JSON.",
        422: "Something in the request has to change; `errors` says what.",
        429: "Too many requests, or too much work that waits, of this key or address.", 500: "An error on our side.",
        503: "Too much is waiting, or Redis is away; nothing was accepted.",
    }  # fmt: skip

    def document(view: View) -> View:
        for status in sorted({*statuses, 429, 500, 503}):
            headers = {"Retry-After": _RETRY_AFTER} if status in (429, 503) else None
            view = blueprint.alt_response(
                status, schema=ProblemSchema, content_type=PROBLEM_JSON, description=reasons[status], headers=headers
            )(view)
        return view

    return document


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that is not there yet: the coroutine `answer`, of the event loop of predictions, returns it.

    The server waits for it without a thread (`api.asgi`); elsewhere the thread of the request waits (`api.app`).
    """

    answer: Coroutine[Any, Any, Response]


def timestamp(microseconds: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{rest // 1000:03d}Z"


@lru_cache(64)  # what is answered now was mostly asked in these seconds
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(document), status, headers, mimetype="application/json")


def conditional(
    document: Mapping[str, Any], headers: Mapping[str, str] | None = None, environ: WSGIEnvironment | None = None
) -> Response:
    """A JSON answer with an ETag, or 304 where the client (of this or the current request) has it already."""
    response = json(document, headers=headers)
    response.add_etag()
    response.make_conditional(environ or request)
    return response


def page(items: Iterable[Mapping[str, Any]], next_cursor: str | None) -> Response:
    """A page of a list, with the next one in the body and in the Link header."""
    body: dict[str, Any] = {"items": list(items)}
    headers = {}
    if next_cursor is not None:
        body["next_cursor"] = next_cursor
        query = request.args.copy()
        query["cursor"] = next_cursor
        headers["Link"] = f'<{request.path}?{urlencode(list(query.items()))}>; rel="next"'
    return json(body, headers=headers)


def preferred_wait() -> float:
    """Seconds that the client prefers to wait, at most what is allowed; 0 where it does not, or says it wrongly."""
    for preference in parse_list_header(request.environ.get("HTTP_PREFER", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isascii() and seconds.isdecimal():
            return min(float(seconds[:9]), parts().settings.max_wait)
    return 0.0


def applied(wait: float) -> dict[str, str]:
    """The header that says that waiting was honoured."""
    return {"Preference-Applied": f"wait={wait:g}"} if wait else {}


def hold(seconds: float) -> float:
    """Seconds that this request may hold its thread: none when too many do already. End it with `release`."""
    return seconds if seconds and parts().threads.acquire(blocking=False) else 0.0


def release(held: float) -> None:
    """The request is not held any more."""
    if held:
        parts().threads.release()


def created(
    location: str, name: str, accepted: Record, read: Callable[[], Record | None],
    document: Callable[[Record], Mapping[str, Any]], retry_after: Callable[[Record], int],
) -> Response:
    """The answer to a POST whose work is durable: 201 when it ended while the client preferred to wait, else 202.

    `accepted` is the record as it was stored: what is durable is said to be so, even when Redis cannot be read now.
    """
    try:
        record, wait = _settled(name, read)
    except RedisError:
        return json(document(accepted), 202, {"Location": location, "Retry-After": "2"})
    record = record or accepted
    repeats = idempotency.headers()
    headers = {"Location": location, **applied(wait), **repeats}
    if (wait or repeats) and record.state.is_final:
        return json(document(record), 201, headers)
    return json(document(record), 202, headers | {"Retry-After": str(retry_after(record))})


def polled(
    name: str, read: Callable[[], Record | None], document: Callable[[Record], Mapping[str, Any]],
    retry_after: Callable[[Record], int], more: Callable[[Record], dict[str, str]] = lambda _: {},
) -> Response:
    """The answer to a GET, held as long as the client prefers and the record is not final."""
    record, wait = _settled(name, read)
    if record is None:
        abort(404)
    headers = applied(wait) | more(record)
    if not record.state.is_final:
        headers["Retry-After"] = str(retry_after(record))
    return conditional(document(record), headers)


def _settled(name: str, read: Callable[[], Record | None]) -> tuple[Record | None, float]:
    wait = hold(preferred_wait())
    try:
        return wait_until_final(name, read, time.monotonic() + wait), wait
    finally:
        release(wait)


def wait_until_final(group: str, read: Callable[[], Record | None], deadline: float) -> Record | None:
    """Read a record until it is final, it is gone, or the deadline (`time.monotonic`) is over."""
    with parts().announcements.watch(group) as changed:
        while True:
            record = read()
            left = deadline - time.monotonic()
            if record is None or record.state.is_final or left <= 0:
                return record
            changed.wait(min(left, 1.0))  # an announcement may get lost
            changed.clear()
