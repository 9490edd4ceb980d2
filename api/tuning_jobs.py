"""Tuning jobs: search hyperparameters with many short trials, and train the best in full."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Response, abort, request
from marshmallow import ValidationError
from webargs.flaskparser import abort as refuse

from api import idempotency, responses, training_jobs, webhooks
from api.auth import caller, own
from api.blueprints import Blueprint
from api.errors import problem
from api.observation import carried
from api.parts import parts
from api.schemas import (
    PageArgumentsSchema, TrainBestRequestSchema, TrainingJobSchema, TuningJobPageSchema, TuningJobRequestSchema,
    TuningJobSchema, TuningTrialPageSchema,
)
from ml.search_space import read_space
from ml.spec import TrainingSpec
from workers.jobs import Job, JobState
from workers.keys import Scope
from workers.queue import send_tuning
from workers.tuning import spec_of

blueprint = Blueprint("tuning-jobs", __name__, description="Search hyperparameters.", scopes=(Scope.TRAIN,))
_ID = responses.path_id("tune_id", "tuning job", "tune_01KBQ8Z6J0V6M3Y8F5W2T4N700")
_OURS = ("search_space", "trials", "timeout_seconds", "dataset", "description", "webhook_url")
_log = logging.getLogger(__name__)
EXAMPLE = {
    "network": "tutorial_cnn", "dataset": "fashion-mnist", "trials": 12, "epochs": 3, "fraction": 0.1,
    "search_space": {
        "learning_rate": {"low": 0.01, "high": 1.0, "log": True}, "batch_size": {"choices": [32, 64, 128]},
        "hyperparameters": {"dense": {"low": 32, "high": 256}},
    },
}  # fmt: skip


@blueprint.post("/tuning-jobs")
@blueprint.doc(operationId="createTuningJob", parameters=[responses.PREFER, idempotency.PARAMETER],
               summary="Search hyperparameters")  # fmt: skip
@blueprint.arguments(TuningJobRequestSchema)
@blueprint.response(202, TuningJobSchema, headers=responses.ACCEPTED_HEADERS, description="Accepted: poll it.")
@blueprint.alt_response(
    201, schema=TuningJobSchema, headers=responses.CREATED_HEADERS, success=True,
    description="Ended within the time that `Prefer: wait` gave.",
)  # fmt: skip
@responses.problems(blueprint, 400, 409, 410, 413, 415, 422)
def create_tuning_job(body: dict[str, Any]) -> Response:
    """Try values of some fields of a training job, and find those with the highest validation accuracy.

    `search_space` says what to try; every other field has the same value in all trials. Trials are short: `epochs` and
    `fraction` are the budget of each. They run on as many training workers as there are, those that are clearly worse
    than others after the same epoch are pruned, and one that loses its worker is tried again with the same values.
    """
    spec, tunings = _checked(body), parts().tunings

    def create(name: str) -> Job:
        job = tunings.submit({**training_jobs.owned(spec), "request": carried()}, name)
        _log.info("%s is accepted", job.id)
        with training_jobs.withdrawn_without(spec["dataset"], tunings.cancel, job):
            send_tuning(parts().celery, job.id)
        return job

    job = idempotency.make(idempotency.of_body(), tunings.jobs.new_id(), create, tunings.jobs.get)
    location = f"/v1/tuning-jobs/{job.id}"
    return responses.created(location, job.id, job, lambda: _get(job.id), _document, _retry_after)


@blueprint.get("/tuning-jobs/<tune_id>")
@blueprint.doc(
    operationId="getTuningJob", summary="Get a tuning job",
    parameters=[_ID, responses.PREFER, responses.IF_NONE_MATCH],
)  # fmt: skip
@blueprint.response(200, TuningJobSchema, headers=responses.RESOURCE_HEADERS)
@blueprint.alt_response(304, description="It is as it was.", success=True)
@responses.problems(blueprint, 404)
def get_tuning_job(tune_id: str) -> Response:
    """The state of a tuning job: how many trials are done, and on success the best of them."""
    return responses.polled(tune_id, lambda: _get(tune_id), _document, _retry_after)


@blueprint.get("/tuning-jobs")
@blueprint.doc(operationId="listTuningJobs", summary="List tuning jobs")
@blueprint.arguments(PageArgumentsSchema, location="query")
@blueprint.response(200, TuningJobPageSchema, headers={"Link": responses.LINK})
@responses.problems(blueprint, 422)
def list_tuning_jobs(query: dict[str, Any]) -> Response:
    """Your tuning jobs, newest first; all of them for an admin."""
    jobs, next_cursor = parts().tunings.jobs.page(query["cursor"], query["limit"], caller().sees_only)
    return responses.page(map(_document, jobs), next_cursor)


@blueprint.get("/tuning-jobs/<tune_id>/trials")
@blueprint.doc(operationId="listTuningTrials", parameters=[_ID, responses.IF_NONE_MATCH], summary="List the trials")
@blueprint.response(200, TuningTrialPageSchema, headers={"ETag": responses.ETAG})
@blueprint.alt_response(304, description="They are as they were.", success=True)
@responses.problems(blueprint, 404)
def list_tuning_trials(tune_id: str) -> Response:
    """All trials by number, also those that have not begun: the table fills while the job runs."""
    job = _get(tune_id)
    if job is None:
        abort(404)
    return responses.conditional({"items": [_trial(each) for each in parts().tunings.table(job)]})


@blueprint.get("/tuning-jobs/<tune_id>/events")
@blueprint.doc(
    operationId="getTuningJobEvents", parameters=[_ID, training_jobs.LAST_EVENT_ID], summary="Follow a tuning job"
)
@blueprint.response(
    200, {"type": "string"}, content_type="text/event-stream", description="The events, until the last.",
    example='id: 1-0\nevent: progress\ndata: {"done": 3, "total": 20, "fraction": 0.15}\n\n',
)  # fmt: skip
@blueprint.alt_response(204, description="There is nothing after `Last-Event-ID`, and nothing will come.", success=True)
@responses.problems(blueprint, 404)
def get_tuning_job_events(tune_id: str) -> Response:
    """What happens to a tuning job, as server-sent events.

    `queued`, `running`, `progress` whenever a trial has ended, then one of `succeeded`, `failed`, `canceled`, which
    ends the stream. Everything from the beginning comes first, or from `Last-Event-ID`.
    """
    if _get(tune_id) is None:
        abort(404)
    return training_jobs.follow(tune_id)


@blueprint.post("/tuning-jobs/<tune_id>/cancel")
@blueprint.doc(operationId="cancelTuningJob", parameters=[_ID], summary="Cancel a tuning job")
@blueprint.response(202, TuningJobSchema, description="It is canceled, or will be when its trials are.")
@responses.problems(blueprint, 404, 409)
def cancel_tuning_job(tune_id: str) -> Response:
    """End a tuning job. Trials that have succeeded keep their values, and the best of them can be trained."""
    before = parts().tunings.cancel(tune_id) if _get(tune_id) else None
    job = _get(tune_id)
    if before is None or job is None:
        abort(404)
    if before.is_final:
        return problem(409, f"The job is {before} already; there is nothing to cancel.", kind="already-final")
    return responses.json(_document(job), 202)


@blueprint.post("/tuning-jobs/<tune_id>/train-best")
@blueprint.doc(
    operationId="trainBestTrial", parameters=[_ID, idempotency.PARAMETER], summary="Train the best trial in full",
    requestBody={"required": False, "content": {"application/json": {"schema": TrainBestRequestSchema}}},
)  # fmt: skip
@blueprint.response(
    202, TrainingJobSchema, description="The training job, accepted: poll it where Location says.",
    headers={name: each for name, each in responses.ACCEPTED_HEADERS.items() if name != "Preference-Applied"},
)  # fmt: skip
@responses.problems(blueprint, 400, 404, 409, 410, 413, 415, 422)
def train_best_trial(tune_id: str) -> Response:
    """Start a training job with the values of the best trial so far. The body may be left out.

    Unless said otherwise it trains on all of the data, and for as many epochs as a training job does by itself.
    """
    said = _body()
    webhooks.target(said)
    job = _get(tune_id)
    if job is None:
        abort(404)
    best = parts().tunings.best(job)
    if best is None:
        detail = "No trial has succeeded so far. Try again when one has; GET …/trials shows how they are doing."
        return problem(409, detail, kind="no-finished-trial")
    training_jobs.check_dataset(job.spec["dataset"])
    budget = {name: said.pop(name) for name in ("epochs", "fraction", "patience")}
    spec = TrainingSpec.from_dict(spec_of(job, best).to_dict() | budget)
    words = {"description": f"trial {best.spec['number']} of {job.id}"} | said
    trained = training_jobs.submit({"training": spec.to_dict(), "dataset": job.spec["dataset"], **words})
    headers = {"Location": f"/v1/training-jobs/{trained.id}", "Retry-After": "5", **idempotency.headers()}
    return responses.json(training_jobs.document(trained), 202, headers)


def _get(tune: str) -> Job | None:
    return own(parts().tunings.jobs.get(tune))


def _body() -> dict[str, Any]:
    """What to train the best trial with; no body at all is an empty one."""
    given = TrainBestRequestSchema()
    try:
        said: dict[str, Any] = given.load(request.get_json() if request.get_data() else {})
    except ValidationError as invalid:
        refuse(422, messages={"json": invalid.messages})
    return said


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The spec of a tuning job, when all its trials can be run. Raises InvalidSpec, outbound.BadUrl."""
    webhooks.target(body)
    ours = {name: body.pop(name) for name in _OURS if name in body}
    searched = {each.field for each in read_space(ours["search_space"], body)}
    training_jobs.check_dataset(ours["dataset"])
    defaults = {name: value for name, value in TrainingSpec().to_dict().items() if name not in searched}
    return {"training": defaults | body, **ours}


def _document(job: Job) -> dict[str, Any]:
    """A tuning job as clients see it."""
    shown = training_jobs.envelope(job)
    shown["spec"] = {**job.spec["training"], **{name: job.spec[name] for name in _OURS if name in job.spec}}
    shown["progress"] = job.progress or {"done": 0, "total": job.spec["trials"], "fraction": 0.0}
    if job.state is JobState.SUCCEEDED and (best := parts().tunings.best(job)) is not None:
        shown["result"] = {"best_trial": _trial(best)}
    if job.error is not None:
        shown["error"] = job.error
    return shown


def _trial(trial: Job) -> dict[str, Any]:
    """A row of the table. What has no final value yet shows that of its last epoch."""
    shown = {"number": trial.spec["number"], **training_jobs.envelope(trial)}
    shown["attempts"] = trial.attempts
    shown["epochs"] = len(trial.history)
    if trial.result is not None and trial.result["pruned"]:
        shown["status"] = "pruned"
    if "parameters" in trial.spec:
        shown["parameters"] = trial.spec["parameters"]
    if trial.result is not None:
        shown["value"] = trial.result["value"]
    elif trial.history:
        shown["value"] = trial.history[-1]["val_accuracy"]
    if trial.error is not None:
        shown["error"] = trial.error
    return shown


def _retry_after(job: Job) -> int:
    done = (job.progress or {}).get("done", 0)
    if not done or job.started is None:
        return 5
    seconds: float = (time.time() - job.started / 1e6) / done * (job.spec["trials"] - done)
    return max(1, min(30, round(seconds / 10)))
