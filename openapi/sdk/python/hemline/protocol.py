"""What the contract asks of a client, written once for blocking and asyncio programs (see `retries.run`).

Work is submitted with `Prefer: wait`, polled as `Retry-After` says, and has ended where its status is final or it says
when it was completed: states that a later service may add are waited through.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx

from hemline.errors import TimedOut, Unreachable, WorkFailed
from hemline.images import encode
from hemline.retries import pause
from hemline.wires import Wire
from hemline_api.models import Alias, Batch, BatchItem, Model, Prediction, TrainingJob, TuningJob

if TYPE_CHECKING:
    from hemline.images import Picture

Work = Prediction | Batch | TrainingJob | TuningJob
W = TypeVar("W", Prediction, Batch, TrainingJob, TuningJob)
Kind = TypeVar("Kind", Model, TrainingJob)

FINAL = frozenset({"succeeded", "failed", "canceled"})
_HOLD = 25.0  # seconds that one request asks to be held, below what proxies commonly allow
_BATCH = 1024
_BODY = 7 * 1024 * 1024  # the service takes 8 MiB unless set otherwise
_PATHS: dict[str, tuple[type[Any], str]] = {
    "pred": (Prediction, "predictions"), "batch": (Batch, "batches"), "job": (TrainingJob, "training-jobs"),
    "tune": (TuningJob, "tuning-jobs"),
}  # fmt: skip


@dataclass(frozen=True)
class TrainingEvent:
    """Something that happened to a training job.

    `type` is `queued`, `running`, `progress`, `epoch`, `checkpoint`, …, at last `succeeded`, `failed` or `canceled`.
    `data` of `progress` has epoch, step, steps, fraction and loss; of `epoch`, a row of the job's history.
    """

    id: str
    type: str
    data: dict[str, Any]


def is_final(work: Work) -> bool:
    """Whether the work has ended, in a state that we know or one that we don't."""
    return work.status in FINAL or bool(work.completed_at)


def place(work: Work | str) -> tuple[type[Any], str]:
    """The model and the path of a record, or of an id. Raises ValueError where the id is of no kind that has one."""
    id = work if isinstance(work, str) else work.id
    kind = id.partition("_")[0]
    if kind not in _PATHS:
        raise ValueError(f"{id!r} is no id of a prediction (pred_…), batch (batch_…) or job (job_…, tune_…).")
    model, resource = _PATHS[kind]
    return model, f"/v1/{resource}/{quote(id, safe='')}"


class Exchange:
    """The conversation with one service."""

    def __init__(self, wire: Wire, timeout: float, tries: int) -> None:
        self._wire = wire
        self._timeout = timeout
        self._tries = tries

    async def submit(self, picture: Picture, fields: Mapping[str, Any]) -> Prediction:
        response = await self._wire.request("POST", "/v1/predictions", json=_body(image=encode(picture), **fields))
        return Prediction.from_dict(response.json())

    async def classify(self, picture: Picture, fields: Mapping[str, Any], timeout: float | None) -> Prediction:
        return await self._done(Prediction, "/v1/predictions", _body(image=encode(picture), **fields), timeout)

    async def classify_many(
        self, pictures: Iterable[Picture], fields: Mapping[str, Any], timeout: float | None
    ) -> AsyncGenerator[BatchItem, None]:
        start = 0
        for images in _slices(pictures):
            batch = await self._done(Batch, "/v1/batches", _body(images=images, **fields), timeout, _once())
            _, path = place(batch)
            response = await self._wire.request("GET", f"{path}/results", headers={"Accept": "application/jsonl"})
            for line in response.content.splitlines():
                item = BatchItem.from_dict(json.loads(line))
                item.index += start
                yield item
            start += len(images)

    async def train(self, spec: Mapping[str, Any]) -> TrainingJob:
        response = await self._wire.request("POST", "/v1/training-jobs", json=_body(**spec), headers=_once())
        return TrainingJob.from_dict(response.json())

    async def wait(self, work: Any, timeout: float | None) -> Any:
        kind, path = place(work)
        deadline = self._deadline(timeout)
        response = await self._wire.request("GET", path, headers=_prefer(deadline))
        return await self._settled(kind, response, deadline)

    async def result(self, job: TrainingJob, timeout: float) -> TrainingJob:
        finished: TrainingJob = await self.wait(job, timeout)
        return _succeeded(finished)

    async def events(self, job: str) -> AsyncGenerator[TrainingEvent, None]:
        """Everything that happened and will happen to a job; where the connection is lost, what was missed follows."""
        kind, path = place(job)
        last: dict[str, str] = {}
        silent = 0
        while True:
            try:
                async for event in self._wire.events(f"{path}/events", last):
                    if not event.data:  # httpx-sse takes a heartbeat after an id for an event
                        continue
                    silent = 0
                    last = {"Last-Event-ID": event.id}
                    yield TrainingEvent(event.id, event.event, json.loads(event.data))
                    if event.event in FINAL:
                        return
                response = await self._wire.request("GET", path)
                if is_final(kind.from_dict(response.json())):
                    return
            except Unreachable:
                if silent + 1 >= self._tries:
                    raise
            silent += 1
            if silent >= self._tries:
                raise Unreachable(f"The events of {job} end before the job does, again and again.")
            await self._wire.sleep(pause(silent))

    async def listed(self, kind: type[Kind], path: str) -> AsyncGenerator[Kind, None]:
        query: dict[str, Any] = {"limit": 100}
        while True:
            page = (await self._wire.request("GET", path, params=query)).json()
            for item in page["items"]:
                yield kind.from_dict(item)
            if "next_cursor" not in page:
                return
            query["cursor"] = page["next_cursor"]

    async def promote(self, version: str, alias: str) -> Alias:
        path = f"/v1/aliases/{quote(alias, safe='')}"
        return Alias.from_dict((await self._wire.request("PUT", path, json={"version": version})).json())

    async def cancel(self, work: Work | str) -> None:
        kind, path = place(work)
        if kind is Prediction:
            await self._wire.request("DELETE", path)
        else:
            await self._wire.request("POST", f"{path}/cancel")

    async def _done(
        self, kind: type[W], path: str, body: dict[str, Any], timeout: float | None, more: Mapping[str, str] = {}
    ) -> W:
        """Submit and wait. Raises TimedOut, WorkFailed."""
        deadline = self._deadline(timeout)
        response = await self._wire.request("POST", path, json=body, headers={**_prefer(deadline), **more})
        return _succeeded(await self._settled(kind, response, deadline))

    async def _settled(self, kind: type[W], response: httpx.Response, deadline: float) -> W:
        for attempt in count():
            work = kind.from_dict(response.json())
            if is_final(work):
                return work
            if "Preference-Applied" not in response.headers:  # it was not held, so the pause is ours
                left = max(0.0, deadline - time.monotonic())
                await self._wire.sleep(min(left, pause(attempt, response)))
            if time.monotonic() >= deadline:
                raise TimedOut(work)
            response = await self._wire.request("GET", place(work)[1], headers=_prefer(deadline))
        raise AssertionError

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)


def _body(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _once() -> dict[str, str]:
    """Lets a request be sent again after a lost connection: it makes nothing twice."""
    return {"Idempotency-Key": str(uuid.uuid4())}


def _prefer(deadline: float) -> dict[str, str]:
    left = min(_HOLD, deadline - time.monotonic())
    return {"Prefer": f"wait={math.ceil(left)}"} if left > 0 else {}


def _succeeded(work: W) -> W:
    # Batches have an answer for each picture in any case, so a batch does not fail.
    if not isinstance(work, Batch) and not work.result:
        raise WorkFailed(work)
    return work


def _slices(pictures: Iterable[Picture]) -> Iterable[list[str]]:
    """Pictures in as few requests as the limits of number and size allow; one that is too large goes alone."""
    images: list[str] = []
    size = 0
    for image in map(encode, pictures):
        if images and (len(images) == _BATCH or size + len(image) > _BODY):
            yield images
            images, size = [], 0
        images.append(image)
        size += len(image) + 3  # its quotes and comma
    if images:
        yield images
