"""API keys: make, list and revoke them. `python -m workers keys` does the same where no admin's key is at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, abort

from api import idempotency, responses
from api.blueprints import Blueprint
from api.parts import parts
from api.schemas import KeyPageSchema, KeyRequestSchema, KeySchema, NewKeySchema, PageArgumentsSchema
from workers.keys import Key, Scope

blueprint = Blueprint("keys", __name__, description="API keys: who may do what.", scopes=(Scope.ADMIN,))
_ID = responses.path_id("key_id", "key", "key_01KBQ8Z6J0V6M3Y8F5W2T4N700")


@blueprint.post("/keys")
@blueprint.doc(operationId="createKey", parameters=[idempotency.PARAMETER], summary="Make an API key")
@blueprint.arguments(KeyRequestSchema)
@blueprint.response(
    201, NewKeySchema, headers={"Location": responses.CREATED_HEADERS["Location"]},
    description="Made. The token is in this answer and nowhere else.",
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 413, 415, 422)
def create_key(body: dict[str, Any]) -> Response:
    """Make a key, whose token is shown once: the service keeps only a digest of it."""
    scopes = [Scope(scope) for scope in body["scopes"]]
    return _made(*_once(lambda: parts().keys.create(body["name"], scopes, body.get("expires_in"))))


@blueprint.post("/keys/<key_id>/rotate")
@blueprint.doc(
    operationId="rotateKey", parameters=[_ID, idempotency.PARAMETER], summary="Make a key that replaces another"
)
@blueprint.response(
    201, NewKeySchema, headers={"Location": responses.CREATED_HEADERS["Location"]},
    description="Made. The token is in this answer and nowhere else; the old key is still valid.",
)  # fmt: skip
@responses.problems(blueprint, 400, 404, 409, 422)
def rotate_key(key_id: str) -> Response:
    """Make a key with the name, the scopes and the lifetime of another, which finds all that that one began.

    Bring its token to where the old one is used, and then delete the old key.
    """
    return _made(*_once(lambda: parts().keys.rotate(key_id) or abort(404)))


@blueprint.get("/keys")
@blueprint.doc(operationId="listKeys", summary="List API keys")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, KeyPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_keys(query: dict[str, Any]) -> Response:
    """All keys that are not revoked, newest first, expired ones among them; without their tokens."""
    keys, next_cursor = parts().keys.page(query["cursor"], query["limit"])
    return responses.page(map(document, keys), next_cursor)


@blueprint.get("/keys/<key_id>")
@blueprint.doc(operationId="getKey", parameters=[_ID], summary="Get an API key")
@blueprint.response(200, KeySchema)
@responses.problems(blueprint, 404)
def get_key(key_id: str) -> Response:
    """What a key is good for, and when it was used last."""
    key = parts().keys.get(key_id) or abort(404)
    return responses.json(document(key))


@blueprint.delete("/keys/<key_id>")
@blueprint.doc(operationId="deleteKey", parameters=[_ID], summary="Revoke an API key")
@blueprint.response(204, description="It is revoked. Within two seconds, no process takes it any more.")
@responses.problems(blueprint, 404)
def delete_key(key_id: str) -> Response:
    """Revoke a key, for ever. What it began goes on, and is an admin's to see."""
    if not parts().keys.revoke(key_id):
        abort(404)
    return Response(status=204)


def _once(make: Callable[[], tuple[Key, str]]) -> tuple[Key, str]:
    return idempotency.make(idempotency.of_body(), "key", lambda _: make(), idempotency.shown_once)


def _made(key: Key, token: str) -> Response:
    headers = {"Location": f"/v1/keys/{key.id}", "Cache-Control": "no-store"}
    return responses.json({**document(key), "token": token}, 201, headers)


def document(key: Key) -> dict[str, Any]:
    """A key as admins see it."""
    shown: dict[str, Any] = {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "owner": key.owner}
    times = {"created_at": key.created, "expires_at": key.expires, "last_used_at": key.used}
    return shown | {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
