"""Long jobs in Redis: one record each, a lease with a fence for whoever works on it, and a stream of its events.

Everything that changes a record is one of the scripts `lua/job_*.lua`. A worker that has lost its lease, because it
was silent for too long, finds that out at its next word: the fence in the record has risen, and nothing that it says
counts any more. Times are microseconds of Redis' clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any, NamedTuple, Self

import orjson
from redis import Redis, RedisError

from settings import Settings
from workers import ids
from workers.app import KEY_PREFIX

# A job that waits is looked at this often (ms), in case its message was lost.
_PATIENCE = 30_000
_QUEUE = f"{KEY_PREFIX}training"
_BEATS_PER_LEASE = 5
# A page of one owner's looks at this many jobs at most, then hands out a cursor to go on from.
_SCAN_LIMIT = 2000
_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """queued → running → succeeded | failed | canceled; a final state never changes again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)


class TooManyJobs(Exception):
    """As many jobs wait as are allowed to, so this one was not accepted."""


class TooMuchOpen(Exception):
    """Who asks has as much waiting or running as one key may have, so nothing was accepted."""


class LeaseLost(Exception):
    """Another worker has the job now, or it has ended: what this one does counts no more."""


class Event(NamedTuple):
    """Something that happened to a job: its place in the stream, its type, and data in JSON."""

    id: str
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `history` has a row per epoch."""

    id: str
    state: JobState
    spec: dict[str, Any]
    created: int
    started: int | None
    completed: int | None
    attempts: int
    cancel_requested: bool
    version: str | None
    progress: dict[str, Any] | None
    history: list[dict[str, Any]]
    result: dict[str, Any] | None
    error: dict[str, str] | None

    @property
    def owner(self) -> str:
        """Whose it is; "" where nobody in particular asked for it."""
        return str(self.spec.get("owner", ""))


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job, as long as `fence` is the job's."""

    job: str
    fence: int


class JobStore:
    """Jobs of one kind ("job" for training, "tune" for tuning). Any method may raise redis.RedisError."""

    def __init__(
        self, redis: Redis, kind: str, *, lease: float, max_waiting: int, max_attempts: int, most_of_one: int = 100
    ) -> None:
        self._redis = redis
        self._kind = kind
        self._lease = round(lease * 1000)
        self._max_waiting = max_waiting
        self._max_attempts = max_attempts
        self._most_of_one = most_of_one
        self._index, self._due, self._waiting = (f"hemline:{name}:{kind}" for name in ("index", "due", "waiting"))
        scripts = files("workers") / "lua"
        ended = "".join((scripts / f"{name}.lua").read_text() for name in ("open", "hooks", "ended"))
        self._submit, self._claim, self._update, self._cancel, self._lapse = (
            redis.register_script(ended + (scripts / f"job_{name}.lua").read_text())
            for name in ("submit", "claim", "update", "cancel", "lapse")
        )

    @classmethod
    def training(cls, redis: Redis, settings: Settings) -> Self:
        """The store of training jobs, as an operator set it."""
        return cls(redis, "job", lease=settings.job_lease, max_waiting=settings.max_waiting_jobs,
                   max_attempts=settings.job_attempts, most_of_one=settings.max_jobs_per_key)  # fmt: skip

    def new_id(self) -> str:
        """An id that no job has."""
        return ids.join(ids.new_group(self._kind))

    def submit(self, spec: Mapping[str, Any], job: str | None = None) -> Job:
        """Store a new job, by this new id where one is given; when this returns it is durable.

        Raises TooManyJobs, TooMuchOpen.
        """
        job = job or self.new_id()
        keys = [_key(job), self._index, self._due, _events(job), self._waiting]
        limits = [spec.get("owner", ""), self._most_of_one]
        stored = self._submit(keys, [job, orjson.dumps(spec), self._max_waiting, _PATIENCE, *limits])
        if stored == []:
            raise TooMuchOpen(f"{self._most_of_one} jobs of this key are waiting or running already")
        if not stored:
            raise TooManyJobs(f"{self._max_waiting} jobs are waiting already")
        return new_job(job, spec, stored[0])

    def get(self, job: str) -> Job | None:
        """A job as it stands, or nothing where there is none of this id."""
        if ids.split(self._kind, job) is None:
            return None
        fields: dict[Any, Any] = self._redis.hgetall(_key(job))
        return _job(job, {name.decode(): value for name, value in fields.items()}) if fields else None

    def find(self, jobs: Sequence[str]) -> list[Job]:
        """Jobs as they stand, in this order; those that there are none of are left out."""
        with self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hgetall(_key(job))
            records: list[dict[bytes, bytes]] = pipe.execute()
        found = zip(jobs, records, strict=True)
        return [_job(job, {name.decode(): value for name, value in fields.items()}) for job, fields in found if fields]

    def is_open(self, job: str) -> bool:
        """Whether there is such a job, of any kind, that has not ended."""
        status: Any = self._redis.hget(_key(job), "status")
        return status is not None and not JobState(status.decode()).is_final

    def page(self, cursor: str | None, limit: int, owner: str | None = None) -> tuple[list[Job], str | None]:
        """Jobs, newest first, that come after a cursor (the ULID of the last one seen); and the next cursor.

        With an `owner`, his alone.
        """
        high = f"({self._kind}_{cursor}" if cursor else "+"
        jobs: list[str] = []
        seen = 0
        while len(jobs) <= limit:
            found: list[Any] = self._redis.zrevrangebylex(self._index, high, "-", start=0, num=limit + 1)
            if not found:
                return self.find(jobs), None
            if seen >= _SCAN_LIMIT:
                return self.find(jobs), high.rpartition("_")[2]
            names = [name.decode() for name in found]
            jobs += names if owner is None else [
                name for name, spec in self._specs(names).items() if spec.get("owner") == owner
            ]  # fmt: skip
            seen, high = seen + len(names), f"({names[-1]}"
        return self.find(jobs[:limit]), jobs[limit - 1].partition("_")[2]

    def running(self) -> list[Job]:
        """Jobs that somebody works on, oldest first."""
        names: list[Any] = self._redis.zrange(self._due, 0, -1)
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(_key(name.decode()), "status")
            states = pipe.execute()
        return self.find(sorted(n.decode() for n, state in zip(names, states, strict=True) if state == b"running"))

    def open_jobs(self) -> dict[str, dict[str, Any]]:
        """The specs of all jobs that wait or run, by id."""
        names: list[Any] = self._redis.zrange(self._due, 0, -1)
        return self._specs([name.decode() for name in names])

    def cancel(self, job: str) -> JobState | None:
        """Cancel a job that waits, ask a running one to end. Returns its state before, or nothing."""
        if ids.split(self._kind, job) is None:
            return None
        before = self._cancel(self._keys(job), [job])
        return JobState(before.decode()) if before else None

    def claim(self, job: str) -> Lease | None:
        """Take a job that waits; nothing when it does not, because another has it or it has ended."""
        fence = self._claim(self._keys(job), [job, self._lease])
        return Lease(job, int(fence)) if fence else None

    def update(
        self, lease: Lease, fields: Mapping[str, Any] | None = None, *, event: str = "", data: Any = None,
        state: JobState | None = None, new: str = "",
    ) -> bool:
        """Write fields (as JSON), an event and a state, and keep the lease; whether the job is to be canceled.

        With `new`, the event is left out where that field was there before. Raises LeaseLost.
        """
        flat = [part for name, value in (fields or {}).items() for part in (name, orjson.dumps(value))]
        lease_for = _PATIENCE if state is JobState.QUEUED else self._lease
        said: list[Any] = [lease.job, lease.fence, lease_for, state or "", event, orjson.dumps(data or {}), new]
        answer = self._update(self._keys(lease.job), said + flat)
        if answer == b"lost":
            raise LeaseLost(lease.job)
        return bool(answer == b"cancel")

    @contextmanager
    def kept(self, lease: Lease) -> Iterator[None]:
        """Keep a lease alive while the block lasts, however long a step takes."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self._lease / 1000 / _BEATS_PER_LEASE):
                try:
                    self.update(lease)
                except LeaseLost:
                    return  # the work itself finds out at its next report
                except RedisError as away:
                    _log.warning("%s: Redis is away (%s)", lease.job, away)

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def cancel_requested(self, job: str) -> bool:
        """Whether a running job was asked to end. Cheap enough for every step."""
        return bool(self._redis.hexists(_key(job), "cancel"))

    def lapsed(self) -> list[str]:
        """Jobs whose worker is silent or whose message may be lost, made ready to be sent again."""
        due: list[Any] = self._redis.zrangebyscore(self._due, "-inf", clock(self._redis) * 1000, start=0, num=100)
        error = {"code": "worker_lost", "detail": f"Its worker died {self._max_attempts} times without progress."}
        arguments: list[Any] = [self._max_attempts, _PATIENCE, orjson.dumps(error)]
        names = [name.decode() for name in due]
        return [job for job in names if self._lapse([*self._keys(job), _QUEUE], [job, *arguments])]

    def events(self, job: str, after: str | None) -> list[Event]:
        """What happened to a job after an event, oldest first; from the beginning without one."""
        low = f"({after}" if after else "-"
        found: Any = self._redis.xrange(_events(job), low, "+")
        return [Event(name.decode(), body[b"type"].decode(), body[b"data"]) for name, body in found]

    def _specs(self, jobs: list[str]) -> dict[str, dict[str, Any]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hget(_key(job), "spec")
            specs = pipe.execute()
        return {job: orjson.loads(spec) for job, spec in zip(jobs, specs, strict=True) if spec}

    def _keys(self, job: str) -> list[str]:
        return [_key(job), self._due, _events(job), self._waiting]


def clock(redis: Redis) -> float:
    """Seconds by Redis' clock, which is everybody's."""
    seconds, microseconds = redis.time()
    return float(seconds) + float(microseconds) / 1e6


def new_job(job: str, spec: Mapping[str, Any], created: int) -> Job:
    """A job as it was stored."""
    return _job(job, {"status": b"queued", "spec": orjson.dumps(spec), "created": str(created).encode()})


def _key(job: str) -> str:
    return f"hemline:{job}"


def _events(job: str) -> str:
    return f"hemline:{job}:events"


def _job(job: str, fields: Mapping[str, bytes]) -> Job:
    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    def json(name: str) -> Any:
        return orjson.loads(fields[name]) if name in fields else None

    rows = sorted((int(name[5:]), value) for name, value in fields.items() if name.startswith("epoch"))
    return Job(
        id=job,
        state=JobState(fields["status"].decode()),
        spec=json("spec"),
        created=number("created") or 0,
        started=number("started"),
        completed=number("completed"),
        attempts=number("attempts") or 0,
        cancel_requested="cancel" in fields,
        version=json("version"),
        progress=json("progress"),
        history=[orjson.loads(row) for _, row in rows],
        result=json("result"),
        error=json("error"),
    )
