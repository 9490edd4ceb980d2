"""One training run: a spec and data in, a trained model and its history out.

It can be stopped at every step and resumed exactly: order and augmentation of every batch are pure functions of
(seed, epoch, step) and what was known of the images when the epoch began, and a checkpoint holds everything else.
"""

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from ml import networks, sampling
from ml.augmentation import augment
from ml.datasets import Dataset, subset
from ml.evaluation import accuracy, negative_log_likelihood
from ml.keras_files import UntrustedFile, load_keras
from ml.optimization import Step
from ml.runs import Epoch, average_decay, learning_rate
from ml.spec import InvalidSpec, TrainingSpec

Floats = NDArray[np.float32]

CHECKPOINT_SECONDS: Final = 30.0


class TrainingStopped(Exception):
    """The stop hook asked for the end of the run."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer a finite number."""


class WrongBase(ValueError):
    """The version to start from has another network than the spec."""


class WrongCheckpoint(ValueError):
    """A checkpoint belongs to another spec or other data."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: epoch and step within it are counted from 1; done counts steps over all epochs, of total."""

    epoch: int
    step: int
    steps: int
    done: int
    total: int
    loss: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with its final weights (averaged if the spec has an ema), and a row per epoch."""

    model: keras.Model
    history: tuple[Epoch, ...]


def train(
    spec: TrainingSpec,
    training: Dataset,
    validation: Dataset,
    *,
    base: bytes | None = None,
    resume: bytes | None = None,
    teacher: Callable[[NDArray[np.uint8]], Floats] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_checkpoint: Callable[[bytes], None] | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Trained:
    """Train a network as `spec` says, from random weights or from those of `base`, a .keras file.

    With spec.distill, `teacher` gives the logits [n, 10] to imitate for each augmented batch [n, 28, 28].
    on_checkpoint gets, every checkpoint_seconds, after every epoch and when it is stopped, bytes that `resume` takes
    to go on from there. `stop` is asked before each step. The last batch of an epoch is left out when it is not full.
    Raises TrainingStopped, TrainingDiverged, WrongCheckpoint, WrongBase, or ValueError for distillation without a
    teacher.
    """
    training = subset(training, spec.fraction, spec.seed)
    if spec.distill and teacher is None:
        raise ValueError("distill is set, but there is no teacher to learn from")
    run = _Run(spec, training, validation, teacher if spec.distill else None)
    if base is not None:
        run.start_from(base)
    if resume is not None:
        run.restore(resume)
    saved = time.monotonic()
    while run.epoch < spec.epochs and not run.has_stalled():
        while run.step < run.steps:
            if stop is not None and stop():
                if on_checkpoint is not None:
                    on_checkpoint(run.checkpoint())
                raise TrainingStopped
            progress = run.advance()
            if on_step is not None:
                on_step(progress)
            if on_checkpoint is not None and time.monotonic() - saved > checkpoint_seconds and run.step < run.steps:
                on_checkpoint(run.checkpoint())
                saved = time.monotonic()
        row = run.finish_epoch()
        if on_epoch is not None:
            on_epoch(row)
        if on_checkpoint is not None:
            on_checkpoint(run.checkpoint())
            saved = time.monotonic()
    run.model.set_weights(run.update.weights)
    return Trained(run.model, tuple(run.history))


def predict_logits(model: keras.Model, images: NDArray[np.uint8], batch_size: int = 500) -> Floats:
    """float32 logits [n, 10] of uint8 images [n, 28, 28], with the model in inference mode."""
    parts = [
        np.asarray(model.predict_on_batch(_scaled(images[start : start + batch_size])), np.float32)
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts)


def _scaled(images: NDArray[np.uint8]) -> Floats:
    return images[..., None].astype(np.float32) / np.float32(255)


@dataclass
class _Run:
    """The state of a run: what a checkpoint holds."""

    spec: TrainingSpec
    training: Dataset
    validation: Dataset
    teacher: Callable[[NDArray[np.uint8]], Floats] | None = None
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen = max(1, round(self.spec.drawn * len(self.training)))  # images in an epoch
        self.batch = min(self.spec.batch_size, seen)
        self.steps = seen // self.batch
        self.total = self.steps * self.spec.epochs
        keras.utils.set_random_seed(self.spec.seed)
        self.model = networks.build(self.spec.network, **self.spec.hyperparameters)
        self.update = Step(self.model, self.spec)
        self.sums = np.zeros(2)  # of loss and accuracy over the epoch's batches
        self.scores = np.ones(len(self.training), np.float32)  # how far each image was from its target
        self.order, self.weights = self._draw_epoch()

    def advance(self) -> Progress:
        """One step of the optimizer."""
        started = time.perf_counter()
        done = self.epoch * self.steps + self.step
        batch = slice(self.step * self.batch, (self.step + 1) * self.batch)
        chosen = self.order[batch]
        images = self._augmented(chosen)
        loss, right, distances = self.update(
            images, self.training.labels[chosen], self.weights[batch], self.teacher and self.teacher(images),
            learning_rate(self.spec, done, self.total), average_decay(self.spec, done),
        )  # fmt: skip
        if not np.isfinite(loss):
            raise TrainingDiverged(f"The loss is {loss} in epoch {self.epoch + 1}; try a lower learning rate.")
        sampling.learn(self.scores, chosen, distances)
        self.sums += (loss, right)
        self.step += 1
        self.seconds += time.perf_counter() - started
        return Progress(self.epoch + 1, self.step, self.steps, done + 1, self.total, loss)

    def _augmented(self, chosen: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The images [n, 28, 28] of a batch as this step sees them."""
        rng = np.random.default_rng([self.spec.seed, 1, self.epoch, self.step])
        return augment(self.training.images[chosen], rng, self.spec.flip, self.spec.shift, self.spec.erase)

    def finish_epoch(self) -> Epoch:
        """Validate with the weights that would be kept, and start the next epoch."""
        started = time.perf_counter()
        loss, trained_accuracy = map(float, self.sums / self.steps)
        self.model.set_weights(self.update.weights)
        logits = predict_logits(self.model, self.validation.images)
        if not np.isfinite(logits).all():
            raise TrainingDiverged(f"Logits are infinite after epoch {self.epoch + 1}; try a lower learning rate.")
        row = Epoch(
            epoch=self.epoch + 1,
            loss=loss,
            accuracy=trained_accuracy,
            val_loss=negative_log_likelihood(logits, self.validation.labels),
            val_accuracy=accuracy(logits, self.validation.labels),
            learning_rate=learning_rate(self.spec, (self.epoch + 1) * self.steps - 1, self.total),
            seconds=round(self.seconds + time.perf_counter() - started, 3),
        )
        self.history.append(row)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums[:] = 0
        self.order, self.weights = self._draw_epoch()
        return row

    def _draw_epoch(self) -> tuple[NDArray[np.intp], Floats]:
        """The images of this epoch in their order, and how much each counts."""
        rng = np.random.default_rng([self.spec.seed, 0, self.epoch])
        if self.spec.drawn < 1:
            return sampling.draw(self.scores, self.spec.drawn, rng)
        return rng.permutation(len(self.training)), np.ones(len(self.training), np.float32)

    def has_stalled(self) -> bool:
        """Whether the last `patience` epochs brought no better validation loss than those before."""
        losses = [row.val_loss for row in self.history]
        patience = self.spec.patience
        return 0 < patience < len(losses) and min(losses[-patience:]) >= min(losses[:-patience])

    def start_from(self, base: bytes) -> None:
        """Take over the weights of a .keras file. Raises WrongBase."""
        try:
            weights = load_keras(base).get_weights()
        except UntrustedFile as error:
            raise WrongBase(str(error)) from error
        if [w.shape for w in weights] != [tuple(w.shape) for w in self.model.weights]:
            raise WrongBase(f"The base version is not a {self.spec.network} with these hyperparameters; use its own.")
        self.update.start_from(weights)

    def checkpoint(self) -> bytes:
        """Everything that restore needs, as an .npz file."""
        state = {
            "run": self._identity(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "sums": self.sums.tolist(),
            "history": [[getattr(row, name) for name in Epoch.__slots__] for row in self.history],
        }
        arrays: dict[str, Any] = {f"variable_{index}": each for index, each in enumerate(self.update.state())}
        if self.spec.drawn < 1:
            arrays |= {"scores": self.scores, "order": self.order, "weights": self.weights}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, state=np.array(json.dumps(state)), **arrays)
        return buffer.getvalue()

    def restore(self, checkpoint: bytes) -> None:
        """Go back to where a checkpoint was taken. Raises WrongCheckpoint."""
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as arrays:
            state = json.loads(str(arrays["state"]))
            if not self._is_of_this_run(state["run"]):
                raise WrongCheckpoint("This checkpoint was taken with another training spec or other data.")
            count = sum(name.startswith("variable_") for name in arrays)
            self.update.set_state([arrays[f"variable_{index}"] for index in range(count)])
            self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
            self.order, self.weights = self._draw_epoch()
            if self.spec.drawn < 1:  # by what was known when the epoch began
                self.scores, self.order, self.weights = (arrays[name] for name in ("scores", "order", "weights"))
        self.sums = np.array(state["sums"])
        self.history = [Epoch(*row) for row in state["history"]]

    def _identity(self) -> dict[str, Any]:
        data = [self.training.digest, self.validation.digest]
        return json.loads(json.dumps({"spec": self.spec.to_dict(), "data": data}))  # type: ignore[no-any-return]

    def _is_of_this_run(self, identity: dict[str, Any]) -> bool:
        try:
            # A field that an earlier release did not have has its default.
            spec = TrainingSpec.from_dict(identity["spec"])
        except InvalidSpec:
            return False
        return spec == self.spec and identity["data"] == self._identity()["data"]
