"""One step of training, made fast: what a network computes, its gradients, the optimizer, the moving average.

The step runs on a copy of the network whose convolutions multiply in bfloat16 where the processor can, and whose batch
normalization is one fused operation instead of a dozen; weights, statistics and updates stay in float32. Together that
halves the time of a step (ml/RESULTS.md). The network itself is never trained: it takes over the weights at the end.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.spec import DISTILL_TEMPERATURE, PLAIN_RATE, QUINTIC, QUINTIC_STEPS, TrainingSpec

Floats = NDArray[np.float32]


class Muon(keras.optimizers.SGD):  # type: ignore[misc]
    """Momentum that is made orthogonal for each convolution's kernel, seen as a matrix (Jordan et al., 2024).

    The first and the last layer, biases and normalizations take plain Nesterov steps.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable by its gradient."""
        if len(variable.shape) != 4 or variable.shape[2] == 1:
            super().update_step(gradient, variable, learning_rate * PLAIN_RATE)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, momentum * self.momentum + gradient)
        matrix = tf.reshape(gradient + self.momentum * momentum, (-1, variable.shape[-1]))
        rows, columns = matrix.shape
        update = tf.reshape(_orthogonal(matrix), variable.shape) * max(1.0, columns / rows) ** 0.5
        self.assign_sub(variable, update * learning_rate)


def _orthogonal(matrix: Any) -> Any:
    """The nearest matrix whose singular values are about 1."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = tf.transpose(matrix) if tall else matrix
    x = x / (tf.norm(x) + 1e-7)
    a, b, c = QUINTIC
    for _ in range(QUINTIC_STEPS):
        square = x @ tf.transpose(x)
        x = a * x + (b * square + c * square @ square) @ x
    return tf.transpose(x) if tall else x


class _FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """The same statistics in one operation, which also takes bfloat16; Keras' own converts to float32 and back."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma.value, offset=self.beta.value, mean=self.moving_mean.value,
            variance=self.moving_variance.value, epsilon=self.epsilon, is_training=True,
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


class Step:
    """A network in training: call it with a batch to move its weights by one step of the optimizer."""

    def __init__(self, model: keras.Model, spec: TrainingSpec) -> None:
        self._spec = spec
        self._fast = _fast_copy(model, spec.precision)
        self._optimizer = _optimizer(spec)
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(self._fast.trainable_variables)
        self._averages = [tf.Variable(tf.convert_to_tensor(weight)) for weight in self._fast.weights]
        # XLA's convolutions are slower than oneDNN's on CPUs: measured in ml/RESULTS.md.
        self._advance = tf.function(self._advance_once)

    def __call__(
        self, images: NDArray[np.uint8], labels: NDArray[np.uint8], weights: Floats, teacher: Floats | None,
        rate: float, decay: float,
    ) -> tuple[float, float, Floats]:  # fmt: skip
        """Loss and accuracy of the batch before the step, and how far each answer was from its target [n].

        Takes images [n, 28, 28], labels [n], how much each counts [n] (1 on average) and the teacher's logits [n, 10];
        rate is the learning rate, decay that of the moving average. The distance is the norm of the gradient of an
        image's loss by its logits.
        """
        self._optimizer.learning_rate = rate
        # A tensor where there is no teacher too, so that the step is traced once.
        logits = np.zeros((len(labels), 10), np.float32) if teacher is None else teacher
        loss, accuracy, distances = self._advance(
            *map(tf.constant, (images, labels, weights, logits)), tf.constant(decay, tf.float32)
        )
        return float(loss), float(accuracy), np.asarray(distances)

    def _advance_once(self, images: Any, labels: Any, weights: Any, teacher: Any, decay: Any) -> tuple[Any, Any, Any]:
        scaled = tf.cast(images, tf.float32)[..., None] / 255
        with tf.GradientTape() as tape:
            logits = tf.cast(self._fast(scaled, training=True), tf.float32)
            loss = tf.reduce_mean(weights * self._losses(labels, logits, teacher))
        gradients = tape.gradient(loss, self._fast.trainable_variables)
        self._optimizer.apply(gradients)
        if self._spec.ema:
            for average, weight in zip(self._averages, self._fast.weights, strict=True):
                average.assign_add((1 - decay) * (weight.value - average))
        right = tf.cast(tf.argmax(logits, 1) == tf.cast(labels, tf.int64), tf.float32)
        return loss, tf.reduce_mean(weights * right), tf.norm(self._errors(labels, logits, teacher), axis=1)

    def _losses(self, labels: Any, logits: Any, teacher: Any) -> Any:
        share, heat = self._spec.distill, DISTILL_TEMPERATURE
        losses = tf.nn.softmax_cross_entropy_with_logits(self._targets(labels), logits)
        if share:
            distance = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / heat), logits / heat)
            # Gradients of soft targets shrink with the square of the temperature.
            losses = (1 - share) * losses + share * heat**2 * distance
        return losses

    def _errors(self, labels: Any, logits: Any, teacher: Any) -> Any:
        """The gradient of each image's loss by its logits [n, 10]."""
        share, heat = self._spec.distill, DISTILL_TEMPERATURE
        errors = tf.nn.softmax(logits) - self._targets(labels)
        if share:
            distance = tf.nn.softmax(logits / heat) - tf.nn.softmax(teacher / heat)
            errors = (1 - share) * errors + share * heat * distance
        return errors

    def _targets(self, labels: Any) -> Any:
        smoothing = self._spec.label_smoothing
        return tf.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10

    @property
    def weights(self) -> list[Floats]:
        """The weights to keep: the moving average if there is one, else the last."""
        kept = self._averages if self._spec.ema else self._fast.weights
        return [np.asarray(weight) for weight in kept]

    def start_from(self, weights: Sequence[Floats]) -> None:
        """Take over the weights of a network."""
        self._fast.set_weights(weights)
        for average, weight in zip(self._averages, weights, strict=True):
            average.assign(weight)

    def state(self) -> list[Floats]:
        """Everything that set_state needs to go on exactly from here."""
        return [np.asarray(variable) for variable in self._state()]

    def set_state(self, state: Sequence[Floats]) -> None:
        """Go back to where state() was taken."""
        for variable, value in zip(self._state(), state, strict=True):
            variable.assign(value)

    def _state(self) -> list[Any]:
        # Batch statistics and the seeds of layers such as dropout are among the model's own.
        return [*self._fast.variables, *self._optimizer.variables, *self._averages]


def _optimizer(spec: TrainingSpec) -> keras.optimizers.Optimizer:
    if spec.optimizer == "adamw":
        return keras.optimizers.AdamW(spec.learning_rate, spec.weight_decay, beta_1=spec.momentum)
    kind = Muon if spec.optimizer == "muon" else keras.optimizers.SGD
    return kind(spec.learning_rate, spec.momentum, nesterov=spec.momentum > 0, weight_decay=spec.weight_decay)


def _fast_copy(model: keras.Model, precision: str) -> keras.Model:
    bfloat16 = multiplies_bfloat16() if precision == "auto" else precision == "bfloat16"
    policy = keras.DTypePolicy("mixed_bfloat16" if bfloat16 else "float32")

    def copied(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.InputLayer):
            return layer.__class__.from_config(layer.get_config())
        normalizes = type(layer) is keras.layers.BatchNormalization
        fits = normalizes and layer.axis in (-1, 3) and layer.scale and layer.center and not layer.renorm
        kind = _FusedBatchNormalization if fits else layer.__class__
        return kind.from_config({**layer.get_config(), "dtype": policy})

    fast = keras.models.clone_model(model, clone_function=copied)
    fast.set_weights(model.get_weights())
    return fast


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16; others would only imitate them."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
