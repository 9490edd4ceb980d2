"""Batches: many pictures with one model version, each answered or failed by itself."""

from __future__ import annotations

import csv
import io
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import orjson
from flask import Response, abort, request

from api import idempotency, responses, uploads, webhooks
from api.auth import caller, own
from api.blueprints import Blueprint
from api.errors import PROBLEM_JSON, problem
from api.observation import carried
from api.parts import parts
from api.predictions import decode, item_of, result
from api.schemas import (
    BatchPageSchema, BatchRequestSchema, BatchSchema, BatchUploadSchema, PageArgumentsSchema, ProblemSchema,
)  # fmt: skip
from ml.batch_files import Entry, Limits, read_entries
from ml.dataset_files import read_idx_labels
from ml.images import CLASS_NAMES, InvalidImage, read_plain_image
from workers import ids
from workers.batches import Batch, Draft
from workers.records import Item, Prediction, error
from workers.jobs import JobState
from workers.keys import Scope

blueprint = Blueprint("batches", __name__, description="Many pictures in one request.", scopes=(Scope.PREDICT,))
_ID = responses.path_id("batch_id", "batch", "batch_01KBQ8Z6J0V6M3Y8F5W2T4N700")
_log = logging.getLogger(__name__)
_JSONL = "application/jsonl"
_COLUMNS = (
    "index", "status", "label", "class_id", "confidence", "is_fashion", "novelty", "error", "name", "expected",
)  # fmt: skip
_UNPACKING = 4  # the pictures of a ZIP may unpack to so many times the largest upload
_FORMS = {
    "application/json": {"schema": BatchRequestSchema}, "multipart/form-data": {"schema": BatchUploadSchema},
}  # fmt: skip

_LINES = 256  # of results that are sent together

_one_upload = threading.Lock()


@blueprint.post("/batches")
@blueprint.doc(
    operationId="createBatch", parameters=[responses.PREFER, idempotency.PARAMETER], summary="Classify many pictures",
    requestBody={"required": True, "content": _FORMS},
)  # fmt: skip
@blueprint.response(202, BatchSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll `Location`.")
@blueprint.alt_response(
    201, schema=BatchSchema, headers=responses.CREATED_HEADERS, success=True,
    description="Done within the time that `Prefer: wait` gave.",
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 410, 422)
@blueprint.alt_response(413, schema=ProblemSchema, content_type=PROBLEM_JSON, description="The body is too large.")
@blueprint.alt_response(
    415, schema=ProblemSchema, content_type=PROBLEM_JSON, description="The body is neither JSON nor a form with a file."
)
def create_batch() -> Response:
    """Classify pictures with one model version: up to 1,024 in JSON, or a file of them in a form.

    Pictures that cannot be read fail by themselves; the others are answered. A file is a CSV, an IDX file or a ZIP;
    with labels in it, the result tells how many answers were right. It is refused as a whole only when it is none of
    these, or too large.
    """
    if request.mimetype == "multipart/form-data":
        limit = parts().settings.max_batch_bytes
        return uploads.answer(BatchUploadSchema(), limit, _one_upload, _store, _created)
    if not request.is_json:
        return problem(415, "The body must be JSON (Content-Type: application/json), or a form with a file "
                            "(multipart/form-data).")  # fmt: skip
    body = blueprint.ARGUMENTS_PARSER.parse(BatchRequestSchema(), request, location="json")
    carry = carried()
    items = [_read(image, body["top_k"], carry) for image in body["images"]]
    metadata, owner, groups, webhook = body.get("metadata"), caller().owner, parts().groups, webhooks.target(body)

    def create(name: str) -> Batch:
        accepted = groups.submit(name, body["model"], items, metadata, owner, webhook)
        return Batch.of_group(groups.as_accepted(accepted, items, metadata, owner))

    return _created(idempotency.make(idempotency.of_body(), ids.new_group("batch"), create, parts().batches.batch))


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
    return responses.polled(name, lambda: own(parts().batches.batch(name)), document, _retry_after)


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

    A line is there for every picture from the start, with its own status; read again for what was not yet done. Lines
    of a batch from a file have no `preview`, as its pictures are not kept once they are answered; they have the `name`
    of the entry of a ZIP, and what was `expected` where the picture came with a label.
    """
    batch = own(parts().batches.batch(_name(batch_id)))
    if batch is None:
        abort(404)
    items = enumerate(parts().batches.items(batch))
    if request.accept_mimetypes.best_match([_JSONL, "text/csv"], _JSONL) == "text/csv":
        return Response(_together(_rows(items)), mimetype="text/csv")
    return Response(_together(orjson.dumps(_line(*item)) + b"\n" for item in items), mimetype=_JSONL)


@blueprint.get("/batches")
@blueprint.doc(operationId="listBatches", summary="List batches")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, BatchPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_batches(query: dict[str, Any]) -> Response:
    """Your batches that are still kept, newest first; all of them for an admin."""
    batches, next_cursor = parts().batches.batches(query["cursor"], query["limit"], caller().sees_only)
    return responses.page(map(document, batches), next_cursor)


@blueprint.post("/batches/<batch_id>/cancel")
@blueprint.doc(operationId="cancelBatch", parameters=[_ID], summary="Cancel a batch")
@blueprint.response(202, BatchSchema, description="What had not begun is canceled.")
@responses.problems(blueprint, 404, 409)
def cancel_batch(batch_id: str) -> Response:
    """Stop what has not begun. What is done already stays."""
    name = _name(batch_id)
    batch = own(parts().batches.batch(name))
    if batch is not None and batch.state.is_final:
        return problem(409, f"The batch is {batch.state} already; there is nothing to cancel.", kind="already-final")
    if batch is None or not parts().batches.cancel(batch) or (batch := parts().batches.batch(name)) is None:
        abort(404)
    return responses.json(document(batch), 202)


@blueprint.delete("/batches/<batch_id>")
@blueprint.doc(operationId="deleteBatch", parameters=[_ID], summary="Forget a batch")
@blueprint.response(204, description="It is forgotten, with all pictures and results.")
@responses.problems(blueprint, 404)
def delete_batch(batch_id: str) -> Response:
    """Cancel what has not begun, and forget all pictures and results now."""
    name = _name(batch_id)
    if own(parts().batches.batch(name)) is None or not parts().batches.forget(name):
        abort(404)
    return Response(status=204)


def document(batch: Batch) -> dict[str, Any]:
    """A batch as clients see it."""
    public, total, counts = ids.join(batch.name), sum(batch.counts.values()), batch.counts
    done = sum(count for state, count in counts.items() if state.is_final)
    shown: dict[str, Any] = {"id": public, "status": batch.state.value, "model_version": batch.version}
    times = {"created_at": batch.created, "started_at": batch.started, "completed_at": batch.ended,
             "expires_at": batch.ended and batch.ended + batch.ttl * 1_000_000}  # fmt: skip
    shown |= {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
    if batch.metadata is not None:
        shown["metadata"] = batch.metadata
    shown["counts"] = {"total": total, **{state.value: count for state, count in counts.items()}}
    shown["progress"] = {"done": done, "total": total, "fraction": round(done / total, 4)}
    if batch.state is JobState.SUCCEEDED:
        shown["result"] = {
            "succeeded": counts[JobState.SUCCEEDED], "failed": counts[JobState.FAILED],
            "results_url": f"/v1/batches/{public}/results", **_judgement(batch),
        }  # fmt: skip
    return shown


def _judgement(batch: Batch) -> dict[str, Any]:
    if batch.confusion is None:
        return {}
    judged = sum(map(sum, batch.confusion))
    right = sum(row[label] for label, row in enumerate(batch.confusion))
    accuracy = {"accuracy": round(right / judged, 6)} if judged else {}
    return {"judged": judged, **accuracy, "confusion_matrix": batch.confusion}


def _created(batch: Batch) -> Response:
    location = f"/v1/batches/{ids.join(batch.name)}"
    return responses.created(
        location, batch.name, batch, lambda: parts().batches.batch(batch.name), document, _retry_after
    )


def _retry_after(batch: Batch) -> int:
    return parts().backlog.retry_after(bulk=batch.parts > 0)


def _read(image: str, top_k: int, carry: dict[str, str]) -> Item:
    started = time.perf_counter()
    try:
        data = decode(image)
        contract = read_plain_image(data) or parts().read_picture(data).result()
    except InvalidImage as invalid:
        return Item({"top_k": top_k}, error=error(invalid.code, str(invalid)))
    decode_ms = round((time.perf_counter() - started) * 1e3, 3)
    return item_of(contract, {"top_k": top_k, "decode_ms": decode_ms, **carry})


def _store(form: dict[str, Any]) -> Batch:
    """The batch of an uploaded file. Raises ValidationError, UnknownModel, QueueFull."""
    settings = parts().settings
    limits = Limits(settings.max_batch_items, settings.max_pixels, _UNPACKING * settings.max_batch_bytes)
    labels = None
    if "labels" in form:
        labels = uploads.part(form, "labels", partial(read_idx_labels, max_items=limits.items))
    webhook = webhooks.target(form)

    def create(name: str) -> Batch:
        with parts().batches.draft(form["model"], caller().owner, name) as draft:
            uploads.part(form, "file", lambda source: _fill(draft, read_entries(source, labels, limits), form["top_k"]))
            batch = draft.submit(form.get("metadata"), webhook)
        _log.info("%s is accepted", ids.join(batch.name))
        return batch

    return idempotency.make(idempotency.of_form(form), ids.new_group("batch"), create, parts().batches.batch)


def _fill(draft: Draft, entries: Iterator[Entry], top_k: int) -> None:
    while items := [_entry_item(entry, top_k) for entry in islice(entries, ids.GROUP_LIMIT)]:
        draft.add(items)


def _entry_item(entry: Entry, top_k: int) -> Item:
    doc: dict[str, Any] = {"top_k": top_k}
    if entry.name is not None:
        doc["name"] = entry.name
    if entry.label is not None:
        doc["expected_class_id"] = entry.label
    if isinstance(entry.picture, InvalidImage):
        return Item(doc, error=error(entry.picture.code, str(entry.picture)))
    return item_of(entry.picture, doc)


def _name(batch_id: str) -> str:
    found = ids.split("batch", batch_id)
    if found is None or found[1]:
        abort(404)
    return found[0]


def _together(lines: Iterator[bytes]) -> Iterator[bytes]:
    """A few lines at a time: to hand on each by itself takes longer than to make it."""
    while block := b"".join(islice(lines, _LINES)):
        yield block


def _line(index: int, item: Prediction) -> dict[str, Any]:
    line: dict[str, Any] = {"index": index, "status": item.state.value, **_said(item)}
    if item.result is not None:
        line["result"] = result(item)
    if item.error is not None:
        line["error"] = item.error
    return line


def _said(item: Prediction) -> dict[str, Any]:
    """What the file said of a picture: the name of its entry, its label."""
    said: dict[str, Any] = {name: item.doc[name] for name in ("name", "expected_class_id") if name in item.doc}
    if "expected_class_id" in said:
        said["expected"] = CLASS_NAMES[said["expected_class_id"]]
    return said


def _rows(items: Iterator[tuple[int, Prediction]]) -> Iterator[bytes]:
    yield _row(_COLUMNS)
    for index, item in items:
        answer = {**(result(item) if item.result is not None else {}), **_said(item)}
        answer |= {"index": index, "status": item.state.value, "error": item.error["detail"] if item.error else ""}
        yield _row(tuple(answer.get(name, "") for name in _COLUMNS))


def _row(values: tuple[Any, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue().encode()
