"""Predictions: one picture, one answer."""

from __future__ import annotations

import binascii
import time
from base64 import b64encode
from contextlib import suppress
from typing import Any

import numpy as np
from flask import Response, abort
from redis import RedisError

from api import responses
from api.blueprints import Blueprint
from api.parts import parts
from api.schemas import PredictionListArgumentsSchema, PredictionPageSchema, PredictionRequestSchema, PredictionSchema
from ml.explanations import Explanation
from ml.images import CLASS_NAMES, ContractImage, InvalidImage, read_image, render_preview
from ml.overlays import render_overlay
from workers import ids
from workers.groups import Item, Prediction
from workers.jobs import JobState

blueprint = Blueprint("predictions", __name__, description="One picture in, one answer out.")
_ID = responses.path_id("prediction_id", "prediction", "pred_01KBQ8Z6J0V6M3Y8F5W2T4N7RC")


@blueprint.post("/predictions")
@blueprint.doc(operationId="createPrediction", parameters=[responses.PREFER], summary="Classify a picture")
@blueprint.arguments(PredictionRequestSchema)
@blueprint.response(202, PredictionSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll `Location`.")
@blueprint.alt_response(
    201, schema=PredictionSchema, headers={**responses.CREATED_HEADERS, "Server-Timing": responses.TIMING},
    description="Done within the time that `Prefer: wait` gave.", success=True,
)  # fmt: skip
@responses.problems(blueprint, 400, 413, 415, 422)
def create_prediction(body: dict[str, Any]) -> Response:
    """Classify a picture.

    Answers 202 at once, when the work is durable, with the place to poll in `Location`. With `Prefer: wait=N` the
    answer is held until the result is there (201), or N seconds are over (202).
    """
    item = read_item(body["image"], body)
    deadline = time.monotonic() + (wait := responses.hold(responses.preferred_wait()))
    try:
        accepted, place = parts().queue.submit(body["model"], item, wait)
        public = ids.join(accepted.group, place)
        headers = {"Location": f"/v1/predictions/{public}", **responses.applied(wait)}
        with suppress(RedisError):  # what is durable is said to be so, even when Redis cannot be read now
            prediction = _read_until(accepted.group, place, deadline) if wait else None
            if prediction is not None and prediction.state.is_final:
                return responses.json(document(prediction), 201, headers | _server_timing(prediction))
    finally:
        responses.release(wait)
    queued = {"id": public, "status": "queued", "created_at": responses.timestamp(accepted.created),
              "model_version": accepted.version, **_metadata(item.doc)}  # fmt: skip
    return responses.json(queued, 202, headers | {"Retry-After": str(parts().backlog.retry_after())})


@blueprint.get("/predictions/<prediction_id>")
@blueprint.doc(
    operationId="getPrediction", parameters=[_ID, responses.PREFER, responses.IF_NONE_MATCH], summary="Get a prediction"
)
@blueprint.response(200, PredictionSchema, headers={**responses.RESOURCE_HEADERS, "Server-Timing": responses.TIMING})
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_prediction(prediction_id: str) -> Response:
    """The state of a prediction, and its result once it is there.

    `Prefer: wait=N` holds the answer until the state is final or N seconds are over.
    """
    group, place = ids.split("pred", prediction_id) or abort(404)
    groups = parts().groups
    return responses.polled(
        group, lambda: groups.prediction(group, place), document, responses.backlog, _server_timing
    )


@blueprint.get("/predictions")
@blueprint.doc(operationId="listPredictions", summary="List predictions")
@blueprint.arguments(PredictionListArgumentsSchema, location="query")
@blueprint.response(200, PredictionPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_predictions(query: dict[str, Any]) -> Response:
    """Predictions that are still kept, newest first."""

    def keep(state: JobState, version: str) -> bool:
        return query["status"] in (None, state) and query["model_version"] in (None, version)

    predictions, next_cursor = parts().groups.predictions(query["cursor"], query["limit"], keep)
    return responses.page(map(document, predictions), next_cursor)


@blueprint.delete("/predictions/<prediction_id>")
@blueprint.doc(operationId="deletePrediction", parameters=[_ID], summary="Forget a prediction")
@blueprint.response(204, description="It is forgotten: the picture, the result and that it ever was.")
@responses.problems(blueprint, 404)
def delete_prediction(prediction_id: str) -> Response:
    """Cancel a prediction if it still waits, and forget its picture and result now."""
    found = ids.split("pred", prediction_id)
    if found is None or not parts().groups.forget(*found):
        abort(404)
    return Response(status=204)


def read_item(image: str, body: dict[str, Any]) -> Item:
    """A picture as text, made ready for the queue. Raises InvalidImage."""
    started = time.perf_counter()
    contract = read_image(_decode(image), parts().settings.max_pixels)
    decode_ms = round((time.perf_counter() - started) * 1e3, 3)
    doc = {"top_k": body["top_k"], "metadata": body.get("metadata"), "decode_ms": decode_ms}
    return item_of(contract, doc, body.get("explain", False))


def item_of(contract: ContractImage, doc: dict[str, Any], explain: bool = False) -> Item:
    """A picture that was read, ready for the queue with what comes with it."""
    warnings = [{"code": warning.code, "detail": warning.detail} for warning in contract.warnings]
    source = {"source": "photo"} if contract.is_photo else {}
    return Item({**doc, "warnings": warnings, **source}, contract.pixels, photo=contract.is_photo, explain=explain)


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
        shown["timings"] = _timings(prediction)
    return shown


def result(prediction: Prediction) -> dict[str, Any]:
    """What the model says, as clients see it; with a preview as long as the picture is there."""
    assert prediction.result is not None
    probabilities = prediction.result["probabilities"]
    order = np.argsort(-probabilities, kind="stable")[: prediction.doc["top_k"]].tolist()
    ranked = [
        {"label": CLASS_NAMES[i], "class_id": i, "probability": round(float(probabilities[i]), 6)} for i in order
    ]
    shown = {
        "label": ranked[0]["label"],
        "class_id": ranked[0]["class_id"],
        "confidence": ranked[0]["probability"],
        "probabilities": ranked,
        "is_fashion": bool(prediction.result["is_fashion"]),
        "novelty": round(float(prediction.result["novelty"]), 6),
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


def _decode(text: str) -> bytes:
    """Base64, or a data URI; line breaks are no error, as tools wrap lines."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidImage("not_base64", "A data: URI must be of the form data:image/png;base64,… .")
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(None, b" \t\r\n"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InvalidImage("not_base64", "This is not base64. Encode the bytes of the picture's file.") from None


def _read_until(group: str, place: int, deadline: float) -> Prediction | None:
    return responses.wait_until_final(group, lambda: parts().groups.prediction(group, place), deadline)


def _timings(prediction: Prediction) -> dict[str, Any]:
    assert prediction.result is not None
    return {
        "decode_ms": prediction.doc["decode_ms"],
        "queue_ms": round((int(prediction.result["started"]) - prediction.created) / 1e3, 3),
        "inference_ms": round(float(prediction.result["inference_ms"]), 3),
        "batch_size": int(prediction.result["batch_size"]),
    }


def _server_timing(prediction: Prediction) -> dict[str, str]:
    if prediction.result is None:
        return {}
    spent = _timings(prediction)
    return {"Server-Timing": ", ".join(f"{n};dur={spent[f'{n}_ms']:g}" for n in ("decode", "queue", "inference"))}


def _metadata(doc: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": doc["metadata"]} if doc.get("metadata") is not None else {}
