"""Data sets: labelled pictures of the users' own, to train on."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import IO, Any

import numpy as np
from flask import Response, abort, request
from marshmallow import ValidationError

from api import idempotency, responses, uploads
from api.auth import caller
from api.blueprints import Blueprint
from api.errors import PROBLEM_JSON, problem
from api.parts import parts
from api.schemas import DatasetPageSchema, DatasetSchema, DatasetUploadSchema, PageArgumentsSchema, ProblemSchema
from ml import dataset_files
from ml.datasets import PIXELS, Dataset, DatasetError
from ml.images import CLASS_NAMES
from settings import Settings
from workers import ids
from workers.datasets import DatasetInUse, Sheet, UnknownDataset
from workers.keys import Scope

blueprint = Blueprint("datasets", __name__, description="Labelled pictures to train on.", scopes=(Scope.TRAIN,))
_ID = responses.path_id("dataset_id", "data set", "ds_01KBQ8Z6J0V6M3Y8F5W2T4N700")
_UNPACKING = 4  # the pictures of a ZIP may unpack to so many times the largest upload

_one_upload = threading.Lock()


@blueprint.post("/datasets")
@blueprint.doc(
    operationId="createDataset", parameters=[idempotency.PARAMETER], summary="Upload a data set",
    requestBody={"required": True, "content": {"multipart/form-data": {"schema": DatasetUploadSchema}}},
)  # fmt: skip
@blueprint.response(
    201, DatasetSchema, headers={"Location": responses.CREATED_HEADERS["Location"], **idempotency.HEADER},
    description="Checked, counted and stored.",
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 410, 422)
@blueprint.alt_response(413, schema=ProblemSchema, content_type=PROBLEM_JSON, description="The upload is too large.")
@blueprint.alt_response(
    415, schema=ProblemSchema, content_type=PROBLEM_JSON, description="The body is not sent as a form with files."
)
def create_dataset() -> Response:
    """Store labelled pictures to train on: one CSV or ZIP file, or a pair of IDX files.

    Everything is checked before anything is stored, and an error says where: the row and column of a CSV file, the
    entry of a ZIP file. Training sets a twelfth aside for validation and a twelfth for the test, so send at least 24
    pictures of each class that the network is to learn.
    """
    settings = parts().settings
    if request.mimetype != "multipart/form-data":
        return problem(415, "The body must be a form with files. Send it with Content-Type: multipart/form-data.")
    return uploads.answer(
        DatasetUploadSchema(), settings.max_dataset_bytes, _one_upload,
        lambda form: idempotency.make(
            idempotency.of_form(form), ids.join(ids.new_group("ds")),
            lambda name: _store(name, _read(form, settings), form), _sheet,
        ),
        lambda sheet: responses.json(
            _shown(sheet), 201, {"Location": f"/v1/datasets/{sheet['id']}", **idempotency.headers()}
        ),
    )  # fmt: skip


@blueprint.get("/datasets")
@blueprint.doc(operationId="listDatasets", summary="List data sets")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, DatasetPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_datasets(query: dict[str, Any]) -> Response:
    """All data sets of your own, newest first. `fashion-mnist`, which is always there, is not among them."""
    found, next_cursor = parts().datasets.page(query["cursor"], query["limit"], caller().sees)
    return responses.page((_shown(sheet) for _, sheet in found), next_cursor)


@blueprint.get("/datasets/<dataset_id>")
@blueprint.doc(operationId="getDataset", parameters=[_ID, responses.IF_NONE_MATCH], summary="Get a data set")
@blueprint.response(200, DatasetSchema, headers={"ETag": responses.ETAG})
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_dataset(dataset_id: str) -> Response:
    """How many pictures of each class there are, and their digest."""
    return responses.conditional(_shown(_own_sheet(dataset_id)))


@blueprint.delete("/datasets/<dataset_id>")
@blueprint.doc(operationId="deleteDataset", parameters=[_ID], summary="Delete a data set")
@blueprint.response(204, description="It is gone, with all its pictures.")
@responses.problems(blueprint, 404, 409)
def delete_dataset(dataset_id: str) -> Response:
    """Delete a data set that no job waits for or works on. Models that were trained on it stay."""
    _own_sheet(dataset_id)
    try:
        parts().datasets.delete(dataset_id, partial(_user, dataset_id))
    except UnknownDataset:
        abort(404)
    except DatasetInUse as used:
        return problem(409, str(used), kind="dataset-in-use")
    return Response(status=204)


def _own_sheet(dataset: str) -> Sheet:
    """What there is to say of a data set, to somebody who may know of it; otherwise there is none."""
    try:
        sheet = parts().datasets.sheet(dataset)
    except UnknownDataset:
        abort(404)
    return sheet if caller().sees(sheet.get("owner", "")) else abort(404)


def _shown(sheet: Sheet) -> Sheet:
    return {name: value for name, value in sheet.items() if name != "owner"}


def _read(form: dict[str, Any], settings: Settings) -> Dataset:
    """The data set in an upload. Raises ValidationError."""
    limit = settings.max_dataset_bytes // PIXELS
    if "file" in form:
        return Dataset(*uploads.part(form, "file", lambda source: _read_file(source, limit, settings)))
    images = uploads.part(form, "images", lambda source: dataset_files.read_idx_images(source, limit))
    labels = uploads.part(form, "labels", lambda source: dataset_files.read_idx_labels(source, limit))
    if not len(images):
        raise ValidationError("There are no pictures in the file.", "images")
    try:
        return Dataset(images, labels)
    except DatasetError as invalid:
        raise ValidationError(str(invalid), "labels") from invalid


def _read_file(source: IO[bytes], limit: int, settings: Settings) -> tuple[Any, Any]:
    """Images and labels of a CSV or a ZIP file, told apart by how they begin. Raises DatasetError."""
    start = source.read(4)
    source.seek(0)
    if start.startswith(b"PK"):
        return dataset_files.read_zip(source, limit, settings.max_pixels, _UNPACKING * settings.max_dataset_bytes)
    if start.startswith((b"\x1f\x8b", b"\0\0\x08")):
        raise DatasetError("This is an IDX or a gzip file. Send an IDX pair as `images` and `labels`; unpack a CSV.")
    images, labels = dataset_files.read_csv_file(source, limit)
    if labels is None:
        raise DatasetError(f"The rows have no labels. Put the label, 0 to 9, before the {PIXELS} pixels of each row.")
    return images, labels


def _sheet(name: str) -> Sheet | None:
    try:
        return parts().datasets.sheet(name)
    except UnknownDataset:
        return None


def _store(name: str, data: Dataset, form: dict[str, Any]) -> Sheet:
    counts = np.bincount(data.labels, minlength=len(CLASS_NAMES)).tolist()
    sheet: Sheet = {"id": name, "created_at": responses.timestamp(time.time_ns() // 1000)}
    sheet |= {field: form[field] for field in ("name", "description") if field in form}
    sheet |= {"items": len(data), "classes": dict(zip(CLASS_NAMES, counts, strict=True)), "sha256": data.digest}
    if owner := caller().owner:
        sheet["owner"] = owner
    parts().datasets.put(name, data, sheet)
    return sheet


def _user(dataset: str) -> str | None:
    """A job that waits or runs and uses a data set."""
    jobs = parts().jobs.open_jobs() | parts().tunings.jobs.open_jobs()
    return next((job for job, spec in jobs.items() if spec.get("dataset") == dataset), None)
