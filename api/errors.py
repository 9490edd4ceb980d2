"""Every error becomes one RFC 9457 problem document, here and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import flask_smorest
import orjson
from flask import Flask, Response, request
from redis import RedisError
from werkzeug.exceptions import HTTPException

from api.auth import Forbidden, ForeignName, ForeignPage, Unauthenticated
from api.idempotency import ShownOnce
from api.limits import RateLimited
from api.observation import about
from api.parts import parts
from api.schemas import ProblemSchema
from ml.artifacts import ArtifactNotFound
from ml.images import InvalidImage
from ml.registry import InvalidAlias, VersionInUse
from ml.registry import UnknownModel as UnknownVersion
from ml.spec import InvalidSpec
from workers.idempotency import Gone, InFlight, KeyReused
from workers.outbound import BadUrl
from workers.records import Overloaded, QueueFull, UnknownModel
from workers.jobs import TooManyJobs, TooMuchOpen

PROBLEM_JSON = "application/problem+json"
_log = logging.getLogger(__name__)

_DETAILS = {
    400: "The body is not JSON. Send a JSON object in UTF-8.",
    404: "There is nothing here. The id may be unknown, deleted or expired; the API is described at /docs.",
    405: "This path does not take {method}. The Allow header lists what it takes.",
    413: "The body is larger than {limit} bytes. Send a smaller picture, or fewer at once.",
    415: "The body must be JSON. Send it with Content-Type: application/json.",
    422: "The request was understood but cannot be processed. `errors` says what to change.",
    500: "Something went wrong on our side. Try again; if it happens again, report it with the request_id.",
}


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest, whose errors are ours."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def handle_http_exception(self, error: HTTPException) -> Response:
        """The document for anything that was aborted, by us, by Flask or by validation."""
        if error.code is not None and error.code < 400:
            return Response(status=error.code, headers=error.get_headers())  # a redirect is no error
        data: Mapping[str, Any] = getattr(error, "data", None) or {}
        errors = [{"pointer": p, "detail": d} for p, d in _flatten(data.get("messages", {}))]
        headers = {**dict(_kept_headers(error)), **(data.get("headers") or {})}
        return problem(error.code or 500, data.get("message"), errors=errors, headers=headers)


def problem(
    status: int, detail: str | None = None, *, kind: str | None = None, errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None, **extensions: Any,
) -> Response:
    """A problem document. `kind` names the type; without it, the status says all that there is to say."""
    title = HTTPStatus(status).phrase
    limit = parts().settings.max_body_bytes
    body = {
        "type": f"urn:hemline:problem:{kind}" if kind else "about:blank",
        "title": title,
        "status": status,
        "detail": detail or _DETAILS.get(status, title).format(method=request.method, limit=limit),
        "instance": request.path,
        "request_id": about().get("request_id", ""),
        **extensions,
    }
    if errors:
        body["errors"] = errors
    return Response(orjson.dumps(body), status, headers, content_type=PROBLEM_JSON)


def register(app: Flask) -> None:
    """Let each domain exception become its document."""

    @app.errorhandler(Unauthenticated)
    def unauthenticated(error: Unauthenticated) -> Response:
        if error.given:
            detail = "This key is unknown, expired or revoked. Send one that is valid, or ask an admin for it."
        else:
            detail = "This takes an API key. Send it with Authorization: Bearer hl_…; an admin makes them."
        challenge = 'Bearer realm="hemline"' + (', error="invalid_token"' if error.given else "")
        return problem(401, detail, kind="unauthenticated", headers={"WWW-Authenticate": challenge})

    @app.errorhandler(Forbidden)
    def forbidden(error: Forbidden) -> Response:
        detail = f"This takes a key with the scope {' or '.join(error.needed)}, which yours does not have."
        challenge = f'Bearer realm="hemline", error="insufficient_scope", scope="{" ".join(error.needed)}"'
        return problem(403, detail, kind="forbidden", headers={"WWW-Authenticate": challenge})

    @app.errorhandler(ForeignPage)
    def foreign_page(_: ForeignPage) -> Response:
        detail = "A page of another site sent this. Where no keys are asked for, only this service's own pages may."
        return problem(403, detail, kind="foreign-page")

    @app.errorhandler(ForeignName)
    def foreign_name(_: ForeignName) -> Response:
        detail = ("This service is for its own machine, and was asked for by another name. Ask for 127.0.0.1 or "
                  "localhost; behind a proxy, name its host in HEMLINE_TRUSTED_HOSTS, or ask for keys.")  # fmt: skip
        return problem(421, detail, kind="foreign-name")

    @app.errorhandler(InvalidImage)
    def invalid_image(error: InvalidImage) -> Response:
        return problem(422, kind="invalid-image", errors=[{"pointer": "#/image", "detail": str(error)}])

    @app.errorhandler(UnknownModel)
    def unknown_model(error: UnknownModel) -> Response:
        known = ", ".join([*sorted(parts().registry.aliases()), *parts().registry.versions()[:20]]) or "none yet"
        detail = f"There is no model {error.args[0]!r}. Known: {known}."
        return problem(422, kind="unknown-model", errors=[{"pointer": "#/model", "detail": detail}])

    @app.errorhandler(UnknownVersion)
    @app.errorhandler(ArtifactNotFound)
    def unknown_version(error: LookupError) -> Response:
        return problem(404, f"There is no model, alias or file {error.args[0]!r}. GET /v1/models lists the models.")

    @app.errorhandler(InvalidSpec)
    def invalid_spec(error: InvalidSpec) -> Response:
        errors = [{"pointer": f"#/{error.field.replace('.', '/')}", "detail": error.detail}]
        return problem(422, kind="invalid-spec", errors=errors)

    @app.errorhandler(BadUrl)
    def bad_url(error: BadUrl) -> Response:
        return problem(422, kind="invalid-webhook", errors=[{"pointer": "#/webhook_url", "detail": f"This {error}."}])

    @app.errorhandler(VersionInUse)
    def version_in_use(error: VersionInUse) -> Response:
        return problem(409, str(error), kind="version-in-use")

    @app.errorhandler(InvalidAlias)
    def invalid_alias(error: InvalidAlias) -> Response:
        return problem(422, str(error), kind="invalid-alias")

    @app.errorhandler(TooManyJobs)
    def too_many_jobs(error: TooManyJobs) -> Response:
        detail = f"{error}. Cancel some, or try again after the time in Retry-After."
        return problem(503, detail, kind="queue-full", headers={"Retry-After": "60"})

    @app.errorhandler(RateLimited)
    def rate_limited(error: RateLimited) -> Response:
        item, name = error.verdict.item, error.verdict.name
        whose = "This key" if name == "key" else "This address, without a valid key,"
        detail = f"{whose} may ask {item.amount} times in {item.get_expiry()} s. Wait as long as Retry-After says."
        return problem(429, detail, kind="rate-limited", headers={"Retry-After": str(error.verdict.reset)})

    @app.errorhandler(TooMuchOpen)
    def too_much_open(error: TooMuchOpen) -> Response:
        detail = f"{error}. Wait until some of that is done, or cancel some."
        headers = {"Retry-After": str(max(1, parts().backlog.retry_after()))}
        return problem(429, detail, kind="too-much-open", headers=headers)

    @app.errorhandler(Overloaded)
    def overloaded(error: Overloaded) -> Response:
        detail = f"{error}, and this one would be answered too late. Try again after the time in Retry-After."
        return problem(503, detail, kind="overloaded", headers={"Retry-After": str(parts().backlog.retry_after())})

    @app.errorhandler(QueueFull)
    def queue_full(error: QueueFull) -> Response:
        detail = f"{error}, which is all that there is room for. Try again after the time in Retry-After."
        return problem(503, detail, kind="queue-full", headers={"Retry-After": str(parts().backlog.retry_after())})

    @app.errorhandler(KeyReused)
    def key_reused(_: KeyReused) -> Response:
        detail = "This Idempotency-Key came with another body before. Send the body that it came with, or a new key."
        return problem(422, detail, kind="idempotency-key-reused")

    @app.errorhandler(InFlight)
    def in_flight(_: InFlight) -> Response:
        detail = "An earlier request with this Idempotency-Key goes on. Ask again after the time in Retry-After."
        return problem(409, detail, kind="in-flight", headers={"Retry-After": "1"})

    @app.errorhandler(Gone)
    def gone(_: Gone) -> Response:
        detail = "What this Idempotency-Key made has expired or was deleted. Send a new key to have it made again."
        return problem(410, detail, kind="gone")

    @app.errorhandler(ShownOnce)
    def shown_once(_: ShownOnce) -> Response:
        detail = ("An earlier request with this Idempotency-Key made a key, or may have, whose token is shown once. "
                  "GET /v1/keys tells; delete one whose token nobody has, and send a new Idempotency-Key.")  # fmt: skip
        return problem(409, detail, kind="shown-once")

    @app.errorhandler(RedisError)
    def redis_away(error: RedisError) -> Response:
        _log.warning("redis: %s", error)
        detail = "The store is away and nothing was accepted. Try again after the time in Retry-After."
        return problem(503, detail, kind="unavailable", headers={"Retry-After": "2"})

    @app.errorhandler(OSError)
    def artifacts_away(error: OSError) -> Response:
        _log.warning("artifacts: %s", error)
        detail = "The artifact store is away. Try again after the time in Retry-After."
        return problem(503, detail, kind="unavailable", headers={"Retry-After": "5"})

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        _log.exception("%s %s", request.method, request.path, exc_info=error)
        return problem(500)


def _flatten(messages: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Marshmallow's nested messages as pairs of a pointer and a detail: "#/image" in a body, "?limit" in a query."""
    if isinstance(messages, Mapping) and set(messages) <= {"key", "value"}:
        # How marshmallow tells a bad key of a free mapping from a bad value; both are at the same place.
        for inner in messages.values():
            yield from _flatten(inner, pointer)
    elif isinstance(messages, Mapping):
        for key, inner in messages.items():
            if not pointer:
                step = {"json": "#", "query": "?"}.get(key, f"{key}:")
            elif key == "_schema":
                step = ""
            else:
                step = str(key) if pointer == "?" else f"/{_escape(str(key))}"
            yield from _flatten(inner, pointer + step)
    elif isinstance(messages, str):
        yield pointer, messages
    else:
        for message in messages:
            yield from _flatten(message, pointer)


def _escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")  # RFC 6901


def _kept_headers(error: HTTPException) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After"))
