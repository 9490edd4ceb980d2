"""Tuning jobs in Redis: a record for the search, one for each of its trials, and what keeps them in step.

Trials are jobs of their own, with lease, fence and attempts, all stored when the search is accepted. Nobody holds the
search itself: its record follows its trials, by a script that whoever changed a trial runs and that the sweep runs
again, so it makes no difference who dies when. One message of a tuning job is on its way at a time; a worker that takes
it takes the first trial that waits and passes the message on. So trials spread over however many workers there are, and
a training job that comes in between waits for one trial, not for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Self

import orjson
from redis import Redis

from ml.search_space import with_values
from ml.spec import TrainingSpec
from settings import Settings
from workers import ids
from workers.jobs import Job, JobState, JobStore, Lease, TooManyJobs, TooMuchOpen, clock, new_job
from workers.queue import TRAINING, is_sent

MOST_TRIALS = 1000  # of ids.GROUP_LIMIT, as the trials of a search are places in one group
_GLANCE = 2_000  # the sweep looks at each open tuning job this often (ms)
_NONE_SUCCEEDED = {"code": "no_trial_succeeded", "detail": "None of the trials ran to its end; their list says why."}
_TIMED_OUT = {"code": "timeout", "detail": "The time was over before a trial ran to its end; allow more of it."}


class TuningStore:
    """Tuning jobs and their trials. Any method may raise redis.RedisError."""

    def __init__(
        self, redis: Redis, *, lease: float, max_waiting: int, max_attempts: int, most_of_one: int = 100
    ) -> None:
        self._redis = redis
        self._max_waiting = max_waiting
        self._most_of_one = most_of_one
        self.jobs, self.trials = (
            JobStore(redis, kind, lease=lease, max_waiting=max_waiting, max_attempts=max_attempts)
            for kind in ("tune", "trial")
        )
        scripts = files("workers") / "lua"
        ended = "".join((scripts / f"{name}.lua").read_text() for name in ("open", "hooks", "ended"))
        self._submit, self._settle = (
            redis.register_script(ended + (scripts / f"tune_{name}.lua").read_text()) for name in ("submit", "settle")
        )

    @classmethod
    def from_settings(cls, redis: Redis, settings: Settings) -> Self:
        """The store as an operator set it: tuning jobs have the limits of training jobs."""
        return cls(redis, lease=settings.job_lease, max_waiting=settings.max_waiting_jobs,
                   max_attempts=settings.job_attempts, most_of_one=settings.max_jobs_per_key)  # fmt: skip

    def submit(self, spec: Mapping[str, Any], tune: str | None = None) -> Job:
        """Store a new tuning job, by this new id where one is given, and its trials: durable when this returns.

        `spec` has "trials" (how many, at most MOST_TRIALS), "search_space", "training" (the fixed fields), "dataset"
        and what else its owner wants to read again; "timeout_seconds" limits the time from the first trial's beginning.
        """
        tune = tune or self.jobs.new_id()
        trials = [_key(trial) for trial in _trials(tune, spec["trials"])]
        shared = ["hemline:index:tune", "hemline:due:tune", f"{_key(tune)}:events", "hemline:waiting:tune"]
        keys = [_key(tune), *shared, "hemline:waiting:trial", "hemline:full", *trials]
        limits = [spec.get("owner", ""), self._most_of_one]
        stored = self._submit(keys, [tune, orjson.dumps(spec), self._max_waiting, _GLANCE, *limits])
        if stored == []:
            raise TooMuchOpen(f"{self._most_of_one} jobs of this key are waiting or running already")
        if not stored:
            raise TooManyJobs(f"{self._max_waiting} tuning jobs are waiting already, or Redis is nearly full")
        return new_job(tune, spec, stored[0])

    def table(self, job: Job) -> list[Job]:
        """All trials of a tuning job, by number."""
        return self.trials.find(_trials(job.id, job.spec["trials"]))

    def best(self, job: Job) -> Job | None:
        """The trial with the highest value so far, if one has succeeded."""
        number = (job.progress or {}).get("best_trial")
        return None if number is None else self.trials.get(_trials(job.id, number + 1)[number])

    def cancel(self, tune: str) -> JobState | None:
        """End the trials that wait and ask those that run to end. Returns the job's state before, or nothing."""
        before = self.jobs.get(tune)
        if before is None or before.state.is_final:
            return None if before is None else before.state
        self._follow(before, "cancel")
        after = self.jobs.get(tune)
        assert after is not None
        return before.state if after.cancel_requested else after.state  # it ended by itself a moment ago

    def claim(self, tune: str) -> Lease | None:
        """Take the first trial that waits, if there is one."""
        job = self.jobs.get(tune)
        waiting = (trial.id for trial in self.table(job) if trial.state is JobState.QUEUED) if job else ()
        return next((lease for trial in waiting if (lease := self.trials.claim(trial))), None)

    def settle(self, tune: str) -> int:
        """Bring a tuning job in step with its trials; returns how many of them wait."""
        job = self.jobs.get(tune)
        return self._follow(job) if job else 0

    def lapsed(self) -> list[str]:
        """Repair what crashes left behind; returns the tuning jobs whose message is to be sent again."""
        # A trial's id differs from its search's in kind and place.
        again = {ids.join(f"tune:{_group(trial)}") for trial in self.trials.lapsed()}
        now = clock(self._redis) * 1000
        due: list[Any] = self._redis.zrangebyscore("hemline:due:tune", "-inf", now, start=0, num=100)
        unsent = {tune for tune in (name.decode() for name in due) if self.settle(tune)}
        return sorted(again | {tune for tune in unsent if not is_sent(self._redis, TRAINING, tune)})

    def _follow(self, job: Job, ask: str = "") -> int:
        trials = _trials(job.id, job.spec["trials"])
        keys = [_key(job.id), "hemline:due:tune", f"{_key(job.id)}:events", "hemline:waiting:tune",
                "hemline:due:trial", "hemline:waiting:trial", *map(_key, trials)]  # fmt: skip
        errors = [orjson.dumps(_NONE_SUCCEEDED), orjson.dumps(_TIMED_OUT)]
        said = [job.id, _GLANCE, ask, job.spec.get("timeout_seconds", 0), *errors, *trials]
        answer: Any = self._settle(keys, said)
        if answer and JobState(answer[0].decode()).is_final:
            self._forget_journal(job.id)
        return int(answer[1]) if answer else 0

    def _forget_journal(self, tune: str) -> None:
        """What Optuna wrote of a search that has ended; the trials' records stay."""
        journal = journal_prefix(tune)
        last: Any = self._redis.get(f"{journal}:log_number")
        if last is not None:
            logs = (f"{journal}:log:{number}" for number in range(int(last) + 1))
            self._redis.unlink(f"{journal}:log_number", f"{journal}:snapshot", *logs)


def journal_prefix(tune: str) -> str:
    """What the keys of a search's Optuna journal begin with."""
    return f"hemline:tuning:{tune}"


def spec_of(job: Job, trial: Job) -> TrainingSpec:
    """What a trial that has begun trains."""
    return with_values(job.spec["training"], trial.spec["parameters"])


def _trials(tune: str, count: int) -> list[str]:
    return [ids.join(f"trial:{_group(tune)}", number) for number in range(count)]


def _group(public: str) -> str:
    return public.partition("_")[2][: ids.GROUP_LENGTH]


def _key(job: str) -> str:
    return f"hemline:{job}"
