"""Predictions: one picture, one answer."""

from __future__ import annotations

import asyncio
import binascii
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Response, abort, request
from werkzeug.exceptions import NotFound

from api import idempotency, responses, webhooks
from api.auth import caller, own
from api.blueprints import Blueprint
from api.observation import carried
from api.parts import Parts, parts
from api.responses import Later
from api.schemas import PredictionListArgumentsSchema, PredictionPageSchema, PredictionRequestSchema, PredictionSchema
from ml.explanations import Explanation
from ml.images import CLASS_NAMES, ContractImage, InvalidImage, read_plain_image, render_preview
from ml.overlays import render_overlay
from workers import ids
from workers.idempotency import Gone, Once, Repeated
from workers.records import Item, Prediction, Result
from workers.jobs import JobState
from workers.keys import Caller, Scope

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

blueprint = Blueprint("predictions", __name__, description="One picture in, one answer out.",
                      scopes=(Scope.PREDICT,))  # fmt: skip
_ID = responses.path_id("prediction_id", "prediction", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7RC")


@blueprint.post("/predictions")
@blueprint.doc(operationId="createPrediction", parameters=[responses.PREFER, idempotency.PARAMETER],
               summary="Classify a picture")  # fmt: skip
@blueprint.arguments(PredictionRequestSchema)
@blueprint.response(202, PredictionSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll `Location`.")
@blueprint.alt_response(
    201, schema=PredictionSchema, headers={**responses.CREATED_HEADERS, "Server-Timing": responses.TIMING},
    description="Done within the time that `Prefer: wait` gave.", success=True,
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 410, 413, 415, 422)
def create_prediction(body: dict[str, Any]) -> Later:
    """Classify a picture.

    Answers 202 at once, when the work is durable, with the place to poll in `Location`. With `Prefer: wait=N` the
    answer is held until the result is there (201), or N seconds are over (202).
    """
    carry = carried() | ({"owner": owner} if (owner := caller().owner) else {})
    webhook = webhooks.target(body) if "webhook_url" in body else ""
    return Later(_created(parts(), body, responses.preferred_wait(), carry, idempotency.of_body(), webhook))


async def _created(
    parts: Parts, body: dict[str, Any], preferred: float, carried: dict[str, str], once: Once | None, webhook: str
) -> Response:
    started = time.perf_counter()
    data = decode(body["image"])
    contract = read_plain_image(data)
    if contract is None:
        contract = await asyncio.wrap_future(parts.read_picture(data))
    decode_ms = round((time.perf_counter() - started) * 1e3, 3)
    doc = {"top_k": body["top_k"], "metadata": body.get("metadata"), "decode_ms": decode_ms, **carried}
    item = item_of(contract, doc, body["explain"], once, webhook)
    with parts.held.hold(preferred) as wait:
        try:
            accepted, place, prediction = await parts.queue.submit(body["model"], item, wait)
        except Repeated as earlier:
            return await _repeated(parts, earlier.name, wait)
    public = ids.join(accepted.group, place)
    headers = {"Location": f"/v1/predictions/{public}", **responses.applied(wait)}
    if prediction is not None:
        return responses.json(document(prediction), 201, headers | _server_timing(prediction))
    queued = {"id": public, "status": "queued", "created_at": responses.timestamp(accepted.created),
              "model_version": accepted.version, **_metadata(item.doc)}  # fmt: skip
    return responses.json(queued, 202, headers | {"Retry-After": str(parts.backlog.retry_after())})


async def _repeated(parts: Parts, name: str, wait: float) -> Response:
    """What an earlier request with the same key made, as it is now."""
    group, _, place = name.rpartition("/")
    prediction = await _final(parts, group, lambda: parts.queue.read(group, int(place)), wait)
    if prediction is None:
        raise Gone
    headers = {"Location": f"/v1/predictions/{prediction.id}", **responses.applied(wait), idempotency.REPLAYED: "true"}
    if prediction.state.is_final:
        return responses.json(document(prediction), 201, headers | _server_timing(prediction))
    return responses.json(document(prediction), 202, headers | {"Retry-After": str(parts.backlog.retry_after())})


@blueprint.get("/predictions/<prediction_id>")
@blueprint.doc(
    operationId="getPrediction", parameters=[_ID, responses.PREFER, responses.IF_NONE_MATCH], summary="Get a prediction"
)
@blueprint.response(200, PredictionSchema, headers={**responses.RESOURCE_HEADERS, "Server-Timing": responses.TIMING})
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_prediction(prediction_id: str) -> Later:
    """The state of a prediction, and its result once it is there.

    `Prefer: wait=N` holds the answer until the state is final or N seconds are over.
    """
    group, place = ids.split("pred", prediction_id) or abort(404)
    return Later(_got(parts(), group, place, responses.preferred_wait(), caller(), request.environ))


async def _got(
    parts: Parts, group: str, place: int, preferred: float, who: Caller, environ: WSGIEnvironment
) -> Response:
    async def read() -> Prediction | None:
        prediction = await parts.queue.read(group, place)
        return prediction if prediction is not None and who.sees(prediction.owner) else None

    with parts.held.hold(preferred) as wait:
        prediction = await _final(parts, group, read, wait) if wait else await read()
    if prediction is None:
        raise NotFound
    headers = responses.applied(wait) | _server_timing(prediction)
    if not prediction.state.is_final:
        headers["Retry-After"] = str(parts.backlog.retry_after())
    return responses.conditional(document(prediction), headers, environ)


async def _final(
    parts: Parts, group: str, read: Callable[[], Awaitable[Prediction | None]], wait: float
) -> Prediction | None:
    """A prediction when it is final or gone, or when so many seconds are over."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    deadline = loop.time() + wait

    def wake() -> None:
        loop.call_soon_threadsafe(changed.set)

    parts.announcements.add(group, wake)
    try:
        while True:
            prediction = await read()
            left = deadline - loop.time()
            if prediction is None or prediction.state.is_final or left <= 0:
                return prediction
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left, 1.0))  # an announcement may get lost
            changed.clear()
    finally:
        parts.announcements.remove(group, wake)


@blueprint.get("/predictions")
@blueprint.doc(operationId="listPredictions", summary="List predictions")
@blueprint.arguments(PredictionListArgumentsSchema, location="query")
@blueprint.response(200, PredictionPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_predictions(query: dict[str, Any]) -> Response:
    """Your predictions that are still kept, newest first; all of them for an admin."""

    def keep(state: JobState, version: str) -> bool:
        return query["status"] in (None, state) and query["model_version"] in (None, version)

    predictions, next_cursor = parts().groups.predictions(query["cursor"], query["limit"], keep, caller().sees_only)
    return responses.page(map(document, predictions), next_cursor)


@blueprint.delete("/predictions/<prediction_id>")
@blueprint.doc(operationId="deletePrediction", parameters=[_ID], summary="Forget a prediction")
@blueprint.response(204, description="It is forgotten: the picture, the result and that it ever was.")
@responses.problems(blueprint, 404)
def delete_prediction(prediction_id: str) -> Response:
    """Cancel a prediction if it still waits, and forget its picture and result now."""
    found = ids.split("pred", prediction_id)
    if found is None or own(parts().groups.prediction(*found)) is None or not parts().groups.forget(*found):
        abort(404)
    return Response(status=204)


def item_of(
    contract: ContractImage, doc: dict[str, Any], explain: bool = False, once: Once | None = None, webhook: str = "",
) -> Item:
    """A picture that was read, ready for the queue with what comes with it."""
    doc["warnings"] = [{"code": warning.code, "detail": warning.detail} for warning in contract.warnings]
    if contract.is_photo:
        doc["source"] = "photo"
    return Item(doc, contract.pixels, photo=contract.is_photo, explain=explain, once=once, webhook=webhook)


def document(prediction: Prediction) -> dict[str, Any]:
    """A prediction as clients see it."""
    shown: dict[str, Any] = {"id": prediction.id, "status": prediction.state.value, "model_version": prediction.version}
    times = {"created_at": prediction.created, "started_at": prediction.started,
             "completed_at": prediction.completed, "expires_at": prediction.expires}  # fmt: skip
    shown |= {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
    shown |= _metadata(prediction.doc)
    if prediction.error is not None:
        shown["error"] = prediction.error
    if prediction.result is not None:
        shown["result"] = result(prediction)
        shown["timings"] = _timings(prediction, prediction.result)
    return shown


def result(prediction: Prediction) -> dict[str, Any]:
    """What the model says, as clients see it; with a preview as long as the picture is there."""
    found = prediction.result
    assert found is not None
    order = sorted(range(len(CLASS_NAMES)), key=found.probabilities.__getitem__, reverse=True)
    ranked = [
        {"label": CLASS_NAMES[i], "class_id": i, "probability": round(found.probabilities[i], 6)}
        for i in order[: prediction.doc["top_k"]]
    ]
    best = ranked[0]
    shown = {
        "label": best["label"],
        "class_id": best["class_id"],
        "confidence": best["probability"],
        "probabilities": ranked,
        "is_fashion": found.is_fashion,
        "novelty": round(found.novelty, 6),
        "warnings": prediction.doc["warnings"],
        "source": prediction.doc.get("source", "contract"),  # written only where it is another
    }
    if prediction.pixels is not None:
        shown["preview"] = _png_uri(render_preview(prediction.pixels))
        if prediction.explanation is not None:
            shown["explanation"] = _explanation(prediction.explanation, prediction.pixels)
    return shown


def _explanation(explanation: Explanation, pixels: bytes) -> dict[str, Any]:
    return {
        "overlay": _png_uri(render_overlay(pixels, explanation.heat)),
        "neighbors": [
            {"index": each.index, "label": CLASS_NAMES[each.class_id], "class_id": each.class_id}
            for each in explanation.neighbors
        ],
    }


def _png_uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()


def decode(text: str) -> bytes:
    """Base64, or a data URI; line breaks are no error, as tools wrap lines. Raises InvalidImage."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidImage("not_base64", "A data: URI must be of the form data:image/png;base64,… .")
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(None, b" \t\r\n"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InvalidImage("not_base64", "This is not base64. Encode the bytes of the picture's file.") from None


def _timings(prediction: Prediction, result: Result) -> dict[str, Any]:
    return {
        "decode_ms": prediction.doc["decode_ms"],
        "queue_ms": round((result.started - prediction.created) / 1e3, 3),
        "inference_ms": round(result.inference_ms, 3),
        "batch_size": result.batch_size,
    }


def _server_timing(prediction: Prediction) -> dict[str, str]:
    if prediction.result is None:
        return {}
    spent = _timings(prediction, prediction.result)
    times = spent["decode_ms"], spent["queue_ms"], spent["inference_ms"]
    return {"Server-Timing": "decode;dur={:g}, queue;dur={:g}, inference;dur={:g}".format(*times)}


def _metadata(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: doc[name] for name in ("metadata", "request_id") if doc.get(name) is not None}
