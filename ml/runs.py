"""What a training run follows and what it tells of itself, whatever computes it: no Keras, no TensorFlow, no JAX."""

from dataclasses import dataclass
from math import cos, pi

from ml.spec import TrainingSpec


@dataclass(frozen=True, slots=True)
class Epoch:
    """A row of the history; loss and accuracy are those of augmented batches, val_* of the weights to be kept."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float

    def line(self, epochs: int) -> str:
        """The row of a run of so many epochs, in words."""
        return (
            f"epoch {self.epoch}/{epochs}: loss {self.loss:.4f}, accuracy {self.accuracy:.2%}, validation loss "
            f"{self.val_loss:.4f}, validation accuracy {self.val_accuracy:.2%}, {self.seconds:.0f} s"
        )


def learning_rate(spec: TrainingSpec, done: int, total: int) -> float:
    """The rate of the step after `done` of `total` steps.

    "cosine": linear warmup, then half a cosine to zero; "one_cycle" (Smith and Topin, 2017, with linear legs): up, then
    down to zero; "constant": linear warmup, then level.
    """
    warm = spec.warmup * total
    if done < warm:
        return spec.learning_rate * (done + 1) / (warm + 1)
    if spec.schedule == "constant":
        return spec.learning_rate
    left = 1 - (done - warm) / (total - warm)
    return spec.learning_rate * (left if spec.schedule == "one_cycle" else 0.5 - 0.5 * cos(pi * left))


def average_decay(spec: TrainingSpec, done: int) -> float:
    """How much of the weights' moving average stays at the step after `done` steps."""
    # A young average follows closely, or it would keep the untrained weights for long.
    return min(spec.ema, (1 + done) / (10 + done))
