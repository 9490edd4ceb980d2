"""The training task: take the lease of a job, train, checkpoint, publish one version, promote it if asked.

TensorFlow is imported when the first job comes, so an idle training worker is small and its queue is served at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery
from redis import RedisError

from ml import tensorflow_environment
from ml.artifacts import ArtifactNotFound, Artifacts
from ml.datasets import DatasetError, Split, load_fashion_mnist, split_in_three, split_official
from ml.registry import PRODUCTION, Registry, UnknownModel
from ml.releases import Card, Contents, with_photos
from ml.spec import InvalidSpec, TrainingSpec
from workers.datasets import FASHION_MNIST, DatasetStore, UnknownDataset
from workers.jobs import JobState, JobStore, Lease, LeaseLost
from workers.queue import TRAIN, send_job

if TYPE_CHECKING:
    from ml.runs import Epoch
    from ml.training import Progress

_REPORT_EVERY = 0.5  # seconds between two reports of progress
_log = logging.getLogger(__name__)


class _HandedBack(Exception):
    """This worker ends; another goes on from the checkpoint."""


class Training:
    """Runs training jobs, one at a time."""

    def __init__(
        self, jobs: JobStore, registry: Registry, artifacts: Artifacts, datasets: DatasetStore, celery: Celery, *,
        checkpoint_seconds: float, load_official: Callable[[], Split],
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._artifacts = artifacts
        self._datasets = datasets
        self._celery = celery
        self._checkpoint_seconds = checkpoint_seconds
        self._load_official = load_official
        self._ending = threading.Event()

    def end_soon(self) -> None:
        """Hand the job at work back at its next step."""
        self._ending.set()

    def run(self, job: str) -> None:
        """Work on a job that waits, until it ends or is handed back."""
        lease = self._jobs.claim(job)
        if lease is None:
            return
        try:
            with self._jobs.kept(lease):
                self._work(lease)
        except LeaseLost:
            _log.warning("%s: another worker has taken over, or it has ended", job)
        except (RedisError, OSError) as away:
            # The lease runs out, and the job goes on from its checkpoint when the store is back.
            _log.warning("%s is interrupted: %s", job, away)

    def forget_checkpoints(self) -> None:
        """Delete checkpoints of jobs that have ended while nobody worked on them."""
        for key in self._artifacts.list("jobs/"):
            if not self._jobs.is_open(key.split("/")[1]):
                self._artifacts.delete(key)

    def _work(self, lease: Lease) -> None:
        try:
            self._train(lease)
        except _HandedBack:
            self._jobs.update(lease, event="handed_back", state=JobState.QUEUED)
            send_job(self._celery, lease.job)
            _log.info("%s is handed back", lease.job)
            return
        except _expected() as stopped:
            self._end(lease, stopped)
        except (LeaseLost, RedisError, OSError):
            raise
        except Exception as failed:
            _log.exception("%s failed", lease.job)
            self._fail(lease, "training_failed", f"{type(failed).__name__}: {failed}")
        self._artifacts.delete(_checkpoint_key(lease.job))

    def _end(self, lease: Lease, stopped: Exception) -> None:
        """Write why a job ended before it was done."""
        if type(stopped).__name__ == "TrainingStopped":
            self._jobs.update(lease, event="canceled", state=JobState.CANCELED)
            _log.info("%s is canceled", lease.job)
            return
        codes = {"TrainingDiverged": "diverged", "UnknownDataset": "unknown_dataset", "UnknownModel": "unknown_model"}
        self._fail(lease, codes.get(type(stopped).__name__, "invalid_job"), str(stopped))

    def _fail(self, lease: Lease, code: str, detail: str) -> None:
        error = {"code": code, "detail": detail}
        self._jobs.update(lease, {"error": error}, event="failed", data=error, state=JobState.FAILED)
        _log.warning("%s failed: %s", lease.job, detail)

    def _train(self, lease: Lease) -> None:
        tensorflow_environment.prepare()
        from ml import export, training

        job = self._jobs.get(lease.job)
        assert job is not None
        spec = TrainingSpec.from_dict(job.spec["training"])
        data = self.data(job.spec["dataset"])
        base = self._base(job.spec.get("base_version"))
        reporter = _Reporter(self._jobs, lease)
        _log.info("%s trains %s on %s, attempt %d", lease.job, spec.network, job.spec["dataset"], job.attempts)

        def stop() -> bool:
            if self._ending.is_set():
                return True
            return reporter.canceled()

        def on_checkpoint(content: bytes) -> None:
            self._jobs.update(lease)  # with the lease lost, the checkpoint is another's to write
            self._artifacts.put(_checkpoint_key(lease.job), content)
            self._jobs.update(lease, {"attempts": 0}, event="checkpoint")

        options: dict[str, Any] = {
            "base": base, "on_step": reporter.step, "on_epoch": reporter.epoch, "on_checkpoint": on_checkpoint,
            "stop": stop, "checkpoint_seconds": self._checkpoint_seconds,
        }  # fmt: skip
        parts = (spec, data.training, data.validation)
        try:
            try:
                trained = training.train(*parts, resume=self._checkpoint(job.id), **options)
            except training.WrongCheckpoint:
                _log.warning("%s starts anew: its checkpoint is of another release", job.id)
                trained = training.train(*parts, **options)
        except training.TrainingStopped:
            if self._ending.is_set() and not reporter.canceled():
                raise _HandedBack from None
            raise
        reporter.phase("publishing")
        package = export.package(trained, spec, data, job.spec["dataset"])
        self._publish(lease, *with_photos(package.card, package.files))

    def _publish(self, lease: Lease, card: Card, contents: Contents) -> None:
        """One version for one job: its id is in the record before its files are anywhere."""
        job = self._jobs.get(lease.job)
        assert job is not None
        version = job.version
        if version is None:
            version = self._registry.reserve()
            self._jobs.update(lease, {"version": version})
        made_by = {"origin": lease.job, "description": job.spec.get("description") or ""}
        self._registry.publish(contents, {**card, **made_by}, version)
        self._jobs.update(lease)
        promoted = self._promote(lease, version, job.spec["promote"])
        metrics = self._registry.card(version)["metrics"]
        result = {
            "model_version": version,
            "promoted": promoted,
            "metrics": {part: _headline(metrics[part]) for part in ("validation", "test")},
        }
        self._jobs.update(lease, {"result": result}, event="succeeded", data=result, state=JobState.SUCCEEDED)
        _log.info("%s published %s%s", lease.job, version, ", which is production now" if promoted else "")

    def _promote(self, lease: Lease, version: str, rule: str) -> bool:
        """Whether the version is production afterwards. `if_better`: more validation images right than production.

        That is only a comparison where both were judged on the same images; where they were not, nothing moves.
        """
        try:
            current = self._registry.resolve(PRODUCTION)
        except UnknownModel:
            current = None
        if current == version:
            return True
        if rule == "if_better" and current is not None:
            old, new = self._registry.card(current), self._registry.card(version)
            same = old["data"]["validation"]["sha256"] == new["data"]["validation"]["sha256"]
            accuracies = [card["metrics"]["validation"]["accuracy"] for card in (old, new)]
            if not same or accuracies[1] <= accuracies[0]:
                return False
        elif rule == "never":
            return False
        self._registry.point(PRODUCTION, version, by=lease.job)
        return True

    def data(self, dataset: str) -> Split:
        """The parts of a data set. Raises UnknownDataset, DatasetError."""
        return self._load_official() if dataset == FASHION_MNIST else split_in_three(self._datasets.load(dataset))

    def _base(self, version: str | None) -> bytes | None:
        return self._registry.file(self._registry.resolve(version), "model.keras") if version else None

    def _checkpoint(self, job: str) -> bytes | None:
        try:
            return self._artifacts.get(_checkpoint_key(job))
        except ArtifactNotFound:
            return None


class _Reporter:
    """Writes down how far a run is, not more often than somebody can read."""

    def __init__(self, jobs: JobStore, lease: Lease) -> None:
        self._jobs = jobs
        self._lease = lease
        self._last_report = 0.0
        self._last_step: float | None = None
        self._step_seconds: float | None = None

    def canceled(self) -> bool:
        """Asked at each step. Redis being away is no reason to stop."""
        try:
            return self._jobs.cancel_requested(self._lease.job)
        except RedisError:
            return False

    def step(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._last_step is not None:
            seconds = now - self._last_step
            # Validation and checkpoints fall between two steps and count: the mean over many steps has them in.
            known = self._step_seconds
            self._step_seconds = seconds if known is None else 0.98 * known + 0.02 * seconds
        self._last_step = now
        if now - self._last_report >= _REPORT_EVERY:
            self._last_report = now
            self._write("progress", _progress("training", progress, self._step_seconds))

    def epoch(self, row: Epoch) -> None:
        # Counted once, however often the end of this epoch is reached.
        name = f"epoch{row.epoch}"
        self._jobs.update(self._lease, {name: asdict(row)}, event="epoch", data=asdict(row), new=name)

    def phase(self, name: str) -> None:
        self._write("progress", {"phase": name, "fraction": 1.0})

    def _write(self, event: str, data: dict[str, Any]) -> None:
        try:
            self._jobs.update(self._lease, {"progress": data}, event=event, data=data)
        except RedisError as away:
            _log.warning("%s: progress is not reported, Redis is away (%s)", self._lease.job, away)


def _progress(phase: str, progress: Progress, step_seconds: float | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "phase": phase, "epoch": progress.epoch, "step": progress.step, "steps": progress.steps,
        "fraction": round(progress.done / progress.total, 4), "loss": round(progress.loss, 4),
    }  # fmt: skip
    if step_seconds is not None:
        shown["eta_seconds"] = round((progress.total - progress.done) * step_seconds, 1)
    return shown


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: round(metrics[name], 6) for name in ("accuracy", "loss", "ece")}


def _expected() -> tuple[type[Exception], ...]:
    """What ends a job with a reason that its owner understands."""
    from ml.export import ExportFailed
    from ml.training import TrainingDiverged, TrainingStopped, WrongBase

    return (TrainingStopped, TrainingDiverged, WrongBase, ExportFailed, DatasetError, InvalidSpec, UnknownDataset,
            UnknownModel)  # fmt: skip


def _checkpoint_key(job: str) -> str:
    return f"jobs/{job}/checkpoint.npz"


def official_data(directory: str, cache: Path) -> Callable[[], Split]:
    """Fashion-MNIST in the split that all figures rest on, read once a process."""

    @lru_cache(maxsize=1)
    def load() -> Split:
        train, test = load_fashion_mnist(Path(directory) if directory else None, cache)
        return split_official(train, test)

    return load


def register(app: Celery, run: Callable[[str], None]) -> None:
    """Add the task to a Celery application. It acknowledges at once: the lease is what protects the job."""

    @app.task(name=TRAIN, acks_late=False)
    def train(job: str) -> None:
        run(job)
