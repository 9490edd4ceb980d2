"""Training jobs: submit, watch, cancel."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response, abort, request

from api import idempotency, responses, webhooks
from api.auth import caller, lasting, own
from api.blueprints import Blueprint
from api.errors import problem
from api.observation import carried
from api.parts import Parts, parts
from api.schemas import PageArgumentsSchema, TrainingJobPageSchema, TrainingJobRequestSchema, TrainingJobSchema
from ml.registry import UnknownModel
from ml.spec import InvalidSpec, TrainingSpec
from workers.datasets import FASHION_MNIST
from workers.jobs import Event, Job
from workers.keys import Scope
from workers.queue import send_job

blueprint = Blueprint("training-jobs", __name__, description="Train new versions of the model.",
                      scopes=(Scope.TRAIN,))  # fmt: skip
_ID = responses.path_id("job_id", "job", "job_01KBQ8Z6J0V6M3Y8F5W2T4N700")
_OURS = ("dataset", "promote", "base_version", "description", "webhook_url")
_log = logging.getLogger(__name__)
_HEARTBEAT = 15.0  # seconds of silence after which an event stream says that it is still there
_LONGEST_STREAM = 3600.0  # seconds after which a stream ends; who still listens comes again with Last-Event-ID
LAST_EVENT_ID = {
    "in": "header", "name": "Last-Event-ID", "schema": {"type": "string"},
    "description": "The `id` of the last event seen; what came after it is sent again.",
}  # fmt: skip


@blueprint.post("/training-jobs")
@blueprint.doc(operationId="createTrainingJob", parameters=[responses.PREFER, idempotency.PARAMETER],
               summary="Train a model")  # fmt: skip
@blueprint.arguments(TrainingJobRequestSchema)
@blueprint.response(202, TrainingJobSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll it.")
@blueprint.alt_response(
    201, schema=TrainingJobSchema, headers=responses.CREATED_HEADERS, success=True,
    description="Ended within the time that `Prefer: wait` gave.",
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 410, 413, 415, 422)
def create_training_job(body: dict[str, Any]) -> Response:
    """Train a new version of the model.

    Every field has a sensible default; `{}` trains the default network on Fashion-MNIST. The job survives its worker:
    another goes on from the last checkpoint. `promote` says when the new version becomes production: `never`,
    `always`, or `if_better`, when it gets more of the validation images right than production does.
    """
    job = submit(_checked(body))
    location = f"/v1/training-jobs/{job.id}"
    return responses.created(location, job.id, job, lambda: parts().jobs.get(job.id), document, _retry_after)


@blueprint.get("/training-jobs/<job_id>")
@blueprint.doc(
    operationId="getTrainingJob", summary="Get a training job",
    parameters=[_ID, responses.PREFER, responses.IF_NONE_MATCH],
)  # fmt: skip
@blueprint.response(200, TrainingJobSchema, headers=responses.RESOURCE_HEADERS)
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_training_job(job_id: str) -> Response:
    """The state of a job: progress, a row of history for each epoch, and on success the new version."""
    return responses.polled(job_id, lambda: own(parts().jobs.get(job_id)), document, _retry_after)


@blueprint.get("/training-jobs")
@blueprint.doc(operationId="listTrainingJobs", summary="List training jobs")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, TrainingJobPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_training_jobs(query: dict[str, Any]) -> Response:
    """Your jobs, newest first; all of them for an admin."""
    jobs, next_cursor = parts().jobs.page(query["cursor"], query["limit"], caller().sees_only)
    return responses.page(map(document, jobs), next_cursor)


@blueprint.post("/training-jobs/<job_id>/cancel")
@blueprint.doc(operationId="cancelTrainingJob", parameters=[_ID], summary="Cancel a training job")
@blueprint.response(202, TrainingJobSchema, description="It is canceled, or will be at its next step.")
@responses.problems(blueprint, 404, 409)
def cancel_training_job(job_id: str) -> Response:
    """End a job: one that waits at once, one that runs at its next step."""
    before = parts().jobs.cancel(job_id) if own(parts().jobs.get(job_id)) else None
    job = parts().jobs.get(job_id)
    if before is None or job is None:
        abort(404)
    if before.is_final:
        return problem(409, f"The job is {before} already; there is nothing to cancel.", kind="already-final")
    return responses.json(document(job), 202)


@blueprint.get("/training-jobs/<job_id>/events")
@blueprint.doc(operationId="getTrainingJobEvents", parameters=[_ID, LAST_EVENT_ID], summary="Follow a training job")
@blueprint.response(
    200, {"type": "string"}, content_type="text/event-stream", description="The events, until the last.",
    example='id: 1-0\nevent: epoch\ndata: {"epoch": 1, "val_accuracy": 0.89}\n\n',
)  # fmt: skip
@blueprint.alt_response(204, description="There is nothing after `Last-Event-ID`, and nothing will come.", success=True)
@responses.problems(blueprint, 404)
def get_training_job_events(job_id: str) -> Response:
    """What happens to a job, as server-sent events.

    `queued`, `running`, `progress`, `epoch`, `checkpoint`, `interrupted`, `handed_back`, then one of `succeeded`,
    `failed`, `canceled`, which ends the stream. Everything from the beginning comes first, or from `Last-Event-ID`.
    """
    if own(parts().jobs.get(job_id)) is None:
        abort(404)
    return follow(job_id)


def follow(job: str) -> Response:
    """The events of a job of any kind, as they come."""
    after = request.headers.get("Last-Event-ID", "")
    after = after if re.fullmatch(r"[0-9]{1,15}-[0-9]{1,10}", after) else ""
    if after and not parts().jobs.is_open(job) and not parts().jobs.events(job, after):
        return Response(status=204)  # all is told: a browser's EventSource would come again for ever
    if not parts().threads.acquire(blocking=False):
        return problem(503, "Too many requests are held open. Try again soon, or poll the job.", kind="busy",
                       headers={"Retry-After": "5"})  # fmt: skip
    stream = _stream(parts(), job, after or None, lasting(parts(), caller()))
    response = Response(stream, mimetype="text/event-stream", headers={"Cache-Control": "no-store"})
    # Not in the stream itself: one that is never begun, as after HEAD, would never end either.
    response.call_on_close(parts().threads.release)
    return response


def envelope(job: Job) -> dict[str, Any]:
    """What jobs of every kind have in common."""
    shown: dict[str, Any] = {"id": job.id, "status": job.state.value}
    times = {"created_at": job.created, "started_at": job.started, "completed_at": job.completed}
    shown |= {name: responses.timestamp(moment) for name, moment in times.items() if moment is not None}
    if request_id := job.spec.get("request", {}).get("request_id"):
        shown["request_id"] = request_id
    if job.cancel_requested and not job.state.is_final:
        shown["cancel_requested"] = True
    return shown


def document(job: Job) -> dict[str, Any]:
    """A job as clients see it."""
    shown = envelope(job)
    shown["spec"] = {**job.spec["training"], **{name: job.spec[name] for name in _OURS if job.spec.get(name)}}
    if job.progress is not None:
        shown["progress"] = job.progress
    shown["history"] = job.history
    shown |= {name: value for name in ("result", "error") if (value := getattr(job, name)) is not None}
    return shown


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The spec of a job, when it can be run. Raises InvalidSpec, outbound.BadUrl."""
    webhooks.target(body)
    ours = {name: body.pop(name) for name in _OURS if name in body}
    spec = TrainingSpec.from_dict(body)
    check_dataset(ours["dataset"])
    if "base_version" in ours:
        _check_base(ours["base_version"], spec)
    return {"training": spec.to_dict(), **ours}


def submit(spec: dict[str, Any]) -> Job:
    """Accept a job and ask for it to be done. Raises InvalidSpec where its data set was deleted in that moment."""
    jobs = parts().jobs

    def create(name: str) -> Job:
        job = jobs.submit({**owned(spec), "request": carried()}, name)
        _log.info("%s is accepted", job.id)
        with withdrawn_without(spec["dataset"], jobs.cancel, job):
            send_job(parts().celery, job.id)
        return job

    return idempotency.make(idempotency.of_body(), jobs.new_id(), create, jobs.get)


def owned(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec that says whose the job is."""
    owner = caller().owner
    return {**spec, "owner": owner} if owner else spec


@contextmanager
def withdrawn_without(dataset: str, cancel: Callable[[str], object], job: Job) -> Iterator[None]:
    """Go on only with a data set that is still there: deleting looks for jobs first, so one of both sees the other."""
    try:
        check_dataset(dataset)
    except Exception:  # also where the store cannot be asked: the client is told that nothing was accepted
        cancel(job.id)
        raise
    yield


def check_dataset(name: str) -> None:
    """Raises InvalidSpec where there is no data set of this name that the caller may use."""
    if name == FASHION_MNIST:
        return
    sees, datasets = caller().sees, parts().datasets
    if name in datasets.names() and sees(datasets.owner(name)):
        return
    known = [FASHION_MNIST, *(other for other, _ in datasets.page(None, 50, sees)[0])]
    raise InvalidSpec("dataset", f"is {name!r}; must be one of: {', '.join(known)}.")


def _check_base(version: str, spec: TrainingSpec) -> None:
    try:
        base = parts().registry.card(parts().registry.resolve(version))
    except UnknownModel:
        known = ", ".join([*sorted(parts().registry.aliases()), *parts().registry.versions()[:50]]) or "none"
        raise InvalidSpec("base_version", f"is {version!r}; must be one of: {known}.") from None
    if base["network"] != spec.network:
        raise InvalidSpec("base_version", f"is a {base['network']}; set network to that.")


def _retry_after(job: Job) -> int:
    left: float = (job.progress or {}).get("eta_seconds", 50)
    return max(1, min(30, round(left / 10)))


def _stream(found: Parts, job: str, after: str | None, is_admitted: Callable[[], bool]) -> Iterator[str]:
    """The events of a job as text, until the last, or until the key of who follows it is no longer valid."""
    ends = time.monotonic() + _LONGEST_STREAM
    with found.announcements.watch(job) as changed:
        while is_admitted() and time.monotonic() < ends:
            is_open = found.jobs.is_open(job)  # before its events: the last of them may come in between
            for event in found.jobs.events(job, after):
                after = event.id
                yield _text(event)
            if not is_open:
                return
            if not changed.wait(_HEARTBEAT):
                yield ": still here\n\n"
            changed.clear()


def _text(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.type}\ndata: {event.data.decode()}\n\n"
