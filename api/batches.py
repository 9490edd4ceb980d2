"""Batches: many pictures with one model version, each answered or failed by itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, abort, request

from api import responses
from api.blueprints import Blueprint
from api.errors import problem
from api.parts import parts
from api.predictions import read_item, result
from api.schemas import BatchPageSchema, BatchRequestSchema, BatchSchema, PageArgumentsSchema
from ml.images import InvalidImage
from workers import ids
from workers.groups import Group, Item, Prediction, error
from workers.jobs import JobState

blueprint = Blueprint("batches", __name__, description="Many pictures in one request.")
_ID = responses.path_id("batch_id", "batch", "batch_01KBQ8Z6J0V6M3Y8F5W2T4N700")
_JSONL = "application/jsonl"
_CHUNK = 64  # items that are read from Redis at a time while results are streamed
_COLUMNS = ("index", "status", "label", "class_id", "confidence", "is_fashion", "novelty", "error")


@blueprint.post("/batches")
@blueprint.doc(operationId="createBatch", parameters=[responses.PREFER], summary="Classify many pictures")
@blueprint.arguments(BatchRequestSchema)
@blueprint.response(202, BatchSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll `Location`.")
@blueprint.alt_response(
    201, schema=BatchSchema, headers=responses.CREATED_HEADERS, success=True,
    description="Done within the time that `Prefer: wait` gave.",
)  # fmt: skip
@responses.problems(blueprint, 400, 413, 415, 422)
def create_batch(body: dict[str, Any]) -> Response:
    """Classify up to 1,024 pictures with one model version.

    Pictures that cannot be read fail by themselves; the others are answered.
    """
    items = [_read(image, body) for image in body["images"]]
    group = parts().queue.submit_batch(body["model"], items, body.get("metadata"))
    location = f"/v1/batches/{ids.join(group.name)}"
    return responses.created(
        location, group.name, group, lambda: parts().groups.group(group.name), document, responses.backlog
    )


@blueprint.get("/batches/<batch_id>")
@blueprint.doc(
    operationId="getBatch", parameters=[_ID, responses.PREFER, responses.IF_NONE_MATCH], summary="Get a batch"
)
@blueprint.response(200, BatchSchema, headers=responses.RESOURCE_HEADERS)
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_batch(batch_id: str) -> Response:
    """The state of a batch: how many pictures are done, and how many failed."""
    name = _name(batch_id)
    return responses.polled(name, lambda: parts().groups.group(name), document, responses.backlog)


@blueprint.get("/batches/<batch_id>/results")
@blueprint.doc(operationId="getBatchResults", parameters=[_ID], summary="Get a batch's results")
@blueprint.response(
    200, {"type": "string"}, content_type=_JSONL, description="A JSON document a line, in the order of the request.",
    example=orjson.dumps({"index": 0, "status": "failed", "error": error("not_an_image", "…")}).decode(),
)  # fmt: skip
@blueprint.alt_response(
    200, schema={"type": "string"}, content_type="text/csv", success=True, description="A row a picture.",
    example=",".join(_COLUMNS),
)  # fmt: skip
@responses.problems(blueprint, 404)
def get_batch_results(batch_id: str) -> Response:
    """Each picture's answer in the order of the request: JSON lines, or CSV with `Accept: text/csv`.

    A line is there for every picture from the start, with its own status; read again for what was not yet done.
    """
    group = parts().groups.group(_name(batch_id))
    if group is None:
        abort(404)
    items = _items(group)
    if request.accept_mimetypes.best_match([_JSONL, "text/csv"], _JSONL) == "text/csv":
        return Response(_rows(items), mimetype="text/csv")
    return Response((orjson.dumps(_line(item)) + b"\n" for item in items), mimetype=_JSONL)


@blueprint.get("/batches")
@blueprint.doc(operationId="listBatches", summary="List batches")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, BatchPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_batches(query: dict[str, Any]) -> Response:
    """Batches that are still kept, newest first."""
    groups, next_cursor = parts().groups.groups("batch", query["cursor"], query["limit"])
    return responses.page(map(document, groups), next_cursor)


@blueprint.post("/batches/<batch_id>/cancel")
@blueprint.doc(operationId="cancelBatch", parameters=[_ID], summary="Cancel a batch")
@blueprint.response(202, BatchSchema, description="What had not begun is canceled.")
@responses.problems(blueprint, 404, 409)
def cancel_batch(batch_id: str) -> Response:
    """Stop what has not begun. What is done already stays."""
    name = _name(batch_id)
    group = parts().groups.group(name)
    if group is not None and group.state.is_final:
        return problem(409, f"The batch is {group.state} already; there is nothing to cancel.", kind="already-final")
    if group is None or not parts().groups.cancel(name) or (group := parts().groups.group(name)) is None:
        abort(404)
    return responses.json(document(group), 202)


@blueprint.delete("/batches/<batch_id>")
@blueprint.doc(operationId="deleteBatch", parameters=[_ID], summary="Forget a batch")
@blueprint.response(204, description="It is forgotten, with all pictures and results.")
@responses.problems(blueprint, 404)
def delete_batch(batch_id: str) -> Response:
    """Cancel what has not begun, and forget all pictures and results now."""
    if not parts().groups.forget(_name(batch_id)):
        abort(404)
    return Response(status=204)


def document(group: Group) -> dict[str, Any]:
    """A batch as clients see it."""
    public, total, counts = ids.join(group.name), len(group.states), group.counts
    done = sum(count for state, count in counts.items() if state.is_final)
    shown: dict[str, Any] = {"id": public, "status": group.state.value, "model_version": group.version}
    times = {"created_at": group.created, "started_at": group.started, "completed_at": group.ended,
             "expires_at": group.ended and group.ended + group.ttl * 1_000_000}  # fmt: skip
    shown |= {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
    if group.metadata is not None:
        shown["metadata"] = group.metadata
    shown["counts"] = {"total": total, **{state.value: count for state, count in counts.items()}}
    shown["progress"] = {"done": done, "total": total, "fraction": round(done / total, 4)}
    if group.state is JobState.SUCCEEDED:
        shown["result"] = {
            "succeeded": counts[JobState.SUCCEEDED], "failed": counts[JobState.FAILED],
            "results_url": f"/v1/batches/{public}/results",
        }  # fmt: skip
    return shown


def _read(image: str, body: dict[str, Any]) -> Item:
    try:
        return read_item(image, {"top_k": body["top_k"]})
    except InvalidImage as invalid:
        return Item({"top_k": body["top_k"]}, error=error(invalid.code, str(invalid)))


def _name(batch_id: str) -> str:
    found = ids.split("batch", batch_id)
    if found is None or found[1]:
        abort(404)
    return found[0]


def _items(group: Group) -> Iterator[Prediction]:
    groups = parts().groups  # looked up now: the application's context is over when the body is streamed
    count = len(group.states)
    return (
        item
        for start in range(0, count, _CHUNK)
        for item in groups.items(group, range(start, min(start + _CHUNK, count)))
    )


def _line(item: Prediction) -> dict[str, Any]:
    line: dict[str, Any] = {"index": item.place, "status": item.state.value}
    if item.result is not None:
        line["result"] = result(item)
    if item.error is not None:
        line["error"] = item.error
    return line


def _rows(items: Iterator[Prediction]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for item in items:
        answer = result(item) if item.result is not None else {}
        detail = item.error["detail"] if item.error else ""
        yield _row((item.place, item.state.value, *(answer.get(name, "") for name in _COLUMNS[2:-1]), detail))


def _row(values: tuple[Any, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
