"""Webhooks: where they go, how their delivery went, and what they are signed with. `workers.webhooks` sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort

from api import responses
from api.auth import caller, own
from api.blueprints import Blueprint
from api.parts import parts
from api.schemas import (
    WebhookDeliveryPageSchema, WebhookDeliverySchema, WebhookListArgumentsSchema, WebhookSecretSchema,
)  # fmt: skip
from workers import outbound
from workers.keys import Scope
from workers.webhooks import Delivery, Secret

blueprint = Blueprint("webhook-deliveries", __name__, description="What is told to webhooks, and how that goes.",
                      scopes=(Scope.PREDICT, Scope.TRAIN))  # fmt: skip
secret = Blueprint("webhook-secret", __name__, description="What your webhooks are signed with.",
                   scopes=(Scope.PREDICT, Scope.TRAIN))  # fmt: skip
_ID = responses.path_id("delivery_id", "message", "msg_01KBQ8Z6J0V6M3Y8F5W2T4N700")


def target(body: Mapping[str, Any]) -> str:
    """The webhook that a request asks for, or nothing. Raises outbound.BadUrl."""
    url = body.get("webhook_url")
    if url is None:
        return ""
    outbound.check(url, parts().reachable)
    return str(url)


@blueprint.get("/webhook-deliveries")
@blueprint.doc(operationId="listWebhookDeliveries", summary="List messages to webhooks")
@blueprint.arguments(WebhookListArgumentsSchema, location="query")
@blueprint.response(200, WebhookDeliveryPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_webhook_deliveries(query: dict[str, Any]) -> Response:
    """What was, is and will be sent to your webhooks, newest first; to all webhooks for an admin."""
    found, next_cursor = parts().deliveries.page(query["cursor"], query["limit"], caller().sees_only, query["status"])
    return responses.page(map(document, found), next_cursor)


@blueprint.get("/webhook-deliveries/<delivery_id>")
@blueprint.doc(operationId="getWebhookDelivery", parameters=[_ID], summary="Get a message to a webhook")
@blueprint.response(200, WebhookDeliverySchema)
@responses.problems(blueprint, 404)
def get_webhook_delivery(delivery_id: str) -> Response:
    """How the delivery of a message goes: every attempt, and when the next one is."""
    return responses.json(document(_own(delivery_id)))


@blueprint.post("/webhook-deliveries/<delivery_id>/resend")
@blueprint.doc(operationId="resendWebhookDelivery", parameters=[_ID], summary="Send a message again")
@blueprint.response(202, WebhookDeliverySchema, description="It is sent again, with the same id, as soon as may be.")
@responses.problems(blueprint, 404)
def resend_webhook_delivery(delivery_id: str) -> Response:
    """Send a message again, whatever became of it: one that has failed, or one that got lost on your side."""
    message = _own(delivery_id)
    if not parts().deliveries.resend(message.id):
        abort(404)
    return responses.json(document(_own(delivery_id)), 202)


@secret.get("/webhook-secret")
@secret.doc(operationId="getWebhookSecret", summary="Get the secret of your webhooks")
@secret.response(200, WebhookSecretSchema)
@responses.problems(secret)
def get_webhook_secret() -> Response:
    """What your webhooks are signed with. Libraries of Standard Webhooks verify a message with it."""
    return _shown(parts().deliveries.secret(caller().owner))


@secret.post("/webhook-secret/rotate")
@secret.doc(operationId="rotateWebhookSecret", summary="Make a new secret for your webhooks")
@secret.response(200, WebhookSecretSchema)
@responses.problems(secret)
def rotate_webhook_secret() -> Response:
    """Make a new secret. For a day, messages are signed with the old one as well: bring the new one along meanwhile."""
    return _shown(parts().deliveries.rotate(caller().owner))


def _own(delivery: str) -> Delivery:
    return own(parts().deliveries.get(delivery)) or abort(404)


def _shown(found: Secret) -> Response:
    shown = {"secret": found.current}
    if found.previous is not None and found.previous_until is not None:
        shown |= {"previous": found.previous, "previous_until": responses.timestamp(found.previous_until)}
    return responses.json(shown, headers={"Cache-Control": "no-store"})


def document(message: Delivery) -> dict[str, Any]:
    """A message as its owner sees it."""
    shown: dict[str, Any] = {name: getattr(message, name) for name in ("id", "type", "resource", "url", "status")}
    times = {"created_at": message.created, "completed_at": message.completed, "next_attempt_at": message.next}
    shown |= {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
    shown["attempts"] = [
        {"at": responses.timestamp(each.at), "duration_ms": each.duration_ms}
        | {name: value for name in ("status", "error") if (value := getattr(each, name)) is not None}
        for each in message.attempts
    ]
    return shown
