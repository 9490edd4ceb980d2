"""The tuning task: take a trial that waits, ask Optuna what it shall try, train, give up early where it is hopeless.

Optuna decides and remembers; its journal lies in the same Redis, one for each search. What is true of a trial is its
own record. A trial that lost its worker is tried again with the same parameters, which the journal has under its
number.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from celery import Celery
from redis import Redis, RedisError

from ml import tensorflow_environment
from ml.datasets import DatasetError, Split
from ml.search_space import Dimension, read_space, with_values
from workers.datasets import UnknownDataset
from workers.jobs import Job, JobState, Lease, LeaseLost
from workers.queue import TUNE, send_tuning
from workers.tuning import TuningStore, journal_prefix

if TYPE_CHECKING:
    import optuna

    from ml.runs import Epoch

_ASKING = 60.0  # seconds that asking may take before another worker may ask
# Trials after which the process ends, to be started anew: TensorFlow 2.21 never frees the graph of a model's training
# step, which comes to 5 MB a trial.
_RENEWED_AFTER = 100
_log = logging.getLogger(__name__)


class _Pruned(Exception):
    """Other trials were so much better at this epoch that this one is given up."""


class _HandedBack(Exception):
    """This worker ends; another begins the trial anew."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a trial ended, and the last validation accuracy."""

    state: JobState
    value: float | None = None
    pruned: bool = False
    error: dict[str, str] | None = None


class Tuning:
    """Runs trials, one at a time."""

    def __init__(self, tunings: TuningStore, redis: Redis, celery: Celery, load: Callable[[str], Split]) -> None:
        self._tunings = tunings
        self._trials = tunings.trials
        self._redis = redis
        self._celery = celery
        self._load = load
        self._study: optuna.Study | None = None
        self._ending = threading.Event()
        self._trained = 0

    def end_soon(self) -> None:
        """Hand the trial at work back at its next step."""
        self._ending.set()

    def run(self, tune: str) -> None:
        """Work on a trial of a tuning job, if one waits, until it ends or is handed back."""
        lease = self._tunings.claim(tune)
        waiting = self._tunings.settle(tune)
        if lease is None:
            return
        if waiting:
            send_tuning(self._celery, tune)  # for the next worker, or for this one when it is free
        try:
            with self._trials.kept(lease):
                self._work(tune, lease)
            self._tunings.settle(tune)
        except LeaseLost:
            _log.warning("%s: another worker has taken over, or it has ended", lease.job)
        except (RedisError, OSError) as away:
            # The lease runs out, and the trial is tried again when the store is back.
            _log.warning("%s is interrupted: %s", lease.job, away)
        finally:
            self._trained += 1
            if self._trained == _RENEWED_AFTER:
                os.kill(os.getpid(), signal.SIGTERM)

    def _work(self, tune: str, lease: Lease) -> None:
        job, record = self._tunings.jobs.get(tune), self._trials.get(lease.job)
        assert job is not None and record is not None
        try:
            trial = self._begin(job, record, lease)
            end = _told(trial) or self._train(job, record, lease, trial)
            self._trials.update(lease)  # with the lease lost, it is another's to tell
            _tell(trial, end)
        except _HandedBack:
            self._trials.update(lease, {"attempts": 0}, event="handed_back", state=JobState.QUEUED)
            send_tuning(self._celery, tune)
            _log.info("%s is handed back", lease.job)
            return
        except (LeaseLost, RedisError, OSError):
            raise
        except Exception as failed:
            _log.exception("%s failed", lease.job)
            end = _failed("trial_failed", f"{type(failed).__name__}: {failed}")
        self._write(lease, end)

    def _begin(self, job: Job, record: Job, lease: Lease) -> optuna.Trial:
        """The trial as Optuna knows it: asked for now, or by a worker that did not live to end it.

        One worker of a search asks at a time, so a running trial that bears no number belongs to nobody alive.
        """
        import optuna

        number = record.spec["number"]
        dimensions = read_space(job.spec["search_space"], job.spec["training"])
        with self._redis.lock(f"{journal_prefix(job.id)}:ask", timeout=_ASKING, blocking_timeout=_ASKING):
            study = self._open(job, number)
            known = study.get_trials(deepcopy=False)
            mine = [each for each in known if each.user_attrs.get("number") == number]
            mine += [each for each in known if not each.state.is_finished() and "number" not in each.user_attrs]
            trial = optuna.Trial(study, mine[0]._trial_id) if mine else study.ask()
            if "number" not in trial.user_attrs:
                trial.set_user_attr("number", number)
            parameters = {each.field: _suggest(trial, each) for each in dimensions}
            self._trials.update(lease, {"spec": {**record.spec, "parameters": parameters}})
        _log.info("%s is trial %d of %s, attempt %d: %s", record.id, number, job.id, record.attempts, parameters)
        return trial

    def _open(self, job: Job, number: int) -> optuna.Study:
        """The study of a tuning job, kept open from one trial to the next."""
        import optuna
        from optuna.storages.journal import JournalRedisBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self._study is None or self._study.study_name != job.id:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                journal = JournalRedisBackend("redis://", prefix=journal_prefix(job.id))
            journal._redis = self._redis  # it would make its own from the URL, and knows no Sentinel
            self._study = optuna.create_study(
                study_name=job.id, storage=optuna.storages.JournalStorage(journal), direction="maximize",
                load_if_exists=True,
            )  # fmt: skip
        # The seed differs from trial to trial, or workers that ask with the same knowledge would get the same answer.
        seed = int(np.random.SeedSequence([job.spec["training"]["seed"], number]).generate_state(1)[0])
        random_trials = min(10, 2 + job.spec["trials"] // 4)
        self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=random_trials, constant_liar=True, seed=seed)
        self._study.pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
        return self._study

    def _train(self, job: Job, record: Job, lease: Lease, trial: optuna.Trial) -> _End:
        tensorflow_environment.prepare()
        from ml import training

        spec = with_values(job.spec["training"], trial.params)
        reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        rows: list[Epoch] = []

        def on_epoch(row: Epoch) -> None:
            rows.append(row)
            self._trials.update(lease, {f"epoch{row.epoch}": asdict(row)})
            if row.epoch not in reported:
                trial.report(row.val_accuracy, row.epoch)
            if row.epoch < spec.epochs and trial.should_prune():
                raise _Pruned

        def stop() -> bool:
            return self._ending.is_set() or self._canceled(record.id)

        try:
            data = self._load(job.spec["dataset"])
            training.train(spec, data.training, data.validation, on_epoch=on_epoch, stop=stop)
        except _Pruned:
            return _End(JobState.SUCCEEDED, rows[-1].val_accuracy, pruned=True)
        except training.TrainingStopped:
            if not self._canceled(record.id):
                raise _HandedBack from None
            return _End(JobState.CANCELED)
        except training.TrainingDiverged as failed:
            return _failed("diverged", str(failed))
        except (UnknownDataset, DatasetError) as failed:
            return _failed("unknown_dataset", str(failed))
        return _End(JobState.SUCCEEDED, rows[-1].val_accuracy)

    def _canceled(self, trial: str) -> bool:
        """Asked at each step. Redis being away is no reason to stop."""
        try:
            return self._trials.cancel_requested(trial)
        except RedisError:
            return False

    def _write(self, lease: Lease, end: _End) -> None:
        fields: dict[str, Any] = {}
        if end.error is not None:
            fields["error"] = end.error
        if end.state is JobState.SUCCEEDED:
            fields["result"] = {"value": end.value, "pruned": end.pruned}
            if not end.pruned:
                fields["value"] = end.value  # what makes it a candidate for the best
        self._trials.update(lease, fields, event=end.state, state=end.state)
        said = "pruned" if end.pruned else end.state.value
        _log.info("%s %s%s", lease.job, said, "" if end.value is None else f" at {end.value:.4f}")


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    """A value, the same one whenever it is asked for the same trial."""
    name, low, high = dimension.field, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.whole:
        return trial.suggest_int(name, int(low), int(high), log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def _failed(code: str, detail: str) -> _End:
    return _End(JobState.FAILED, error={"code": code, "detail": detail})


def _told(trial: optuna.Trial) -> _End | None:
    """How a trial ended, where its worker lived to tell Optuna but not to write it down."""
    import optuna

    known = trial.study.get_trials(deepcopy=False)[trial.number]
    last = known.intermediate_values[max(known.intermediate_values)] if known.intermediate_values else None
    ends = {
        optuna.trial.TrialState.COMPLETE: _End(JobState.SUCCEEDED, last),
        optuna.trial.TrialState.PRUNED: _End(JobState.SUCCEEDED, last, pruned=True),
        optuna.trial.TrialState.FAIL: _failed("trial_failed", "It failed, and its worker died before it said why."),
    }
    return ends.get(known.state)


def _tell(trial: optuna.Trial, end: _End) -> None:
    import optuna

    if end.state is JobState.SUCCEEDED and not end.pruned:
        trial.study.tell(trial.number, end.value, skip_if_finished=True)
    else:
        state = optuna.trial.TrialState.PRUNED if end.pruned else optuna.trial.TrialState.FAIL
        trial.study.tell(trial.number, state=state, skip_if_finished=True)


def register(app: Celery, run: Callable[[str], None]) -> None:
    """Add the task to a Celery application. It acknowledges at once: the lease is what protects the trial."""

    @app.task(name=TUNE, acks_late=False)
    def tune(job: str) -> None:
        run(job)
