"""The fast step of training computes what the plain network would have computed."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ml import datasets, networks
from ml.datasets import Dataset
from ml.optimization import Muon, Step
from ml.spec import TrainingSpec

TINY = {"stem": 16, "width": 16, "blocks_14": 1, "blocks_7": 1}
SPEC = TrainingSpec(ema=0.0, label_smoothing=0.0, precision="float32", optimizer="sgd", momentum=0.0, weight_decay=0.0)
EVEN = np.ones(64, np.float32)
SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"


def batch() -> Dataset:
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return Dataset(images[:64], labels[:64])


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return networks.build("resnet_small", **TINY)


def stepped(spec: TrainingSpec, teacher: np.ndarray | None = None, steps: int = 1) -> tuple[Step, float]:
    step, data, loss = Step(network(), spec), batch(), 0.0
    for _ in range(steps):
        loss, *_ = step(data.images, data.labels, EVEN, teacher, rate=0.05, decay=0.5)
    return step, loss


def test_fused_normalization_gives_the_loss_and_the_weights_of_keras_own() -> None:
    model, data = network(), batch()
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = model.train_on_batch(data.images[..., None] / np.float32(255), data.labels)
    step, loss = stepped(SPEC)
    assert loss == pytest.approx(float(expected), rel=1e-4)
    for ours, theirs in zip(step.weights, model.get_weights(), strict=True):
        # The fused operation's variance divides by n - 1.
        np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-4)


def test_bfloat16_changes_the_loss_by_less_than_a_percent_and_keeps_weights_in_float32() -> None:
    exact, coarse = stepped(SPEC), stepped(replace(SPEC, precision="bfloat16"))
    assert coarse[1] == pytest.approx(exact[1], rel=0.01)
    assert {weight.dtype for weight in coarse[0].weights} == {np.dtype(np.float32)}


def test_muon_moves_a_kernel_by_a_matrix_whose_singular_values_are_near_one() -> None:
    kernel = keras.Variable(np.zeros((3, 3, 16, 32), np.float32))
    bias = keras.Variable(np.zeros(4, np.float32))
    optimizer = Muon(1.0, momentum=0.9, nesterov=True)
    optimizer.build([kernel, bias])
    gradient = tf.constant(np.random.default_rng(0).normal(size=kernel.shape).astype(np.float32))
    optimizer.apply([gradient, tf.ones(4)], [kernel, bias])
    values = np.linalg.svd(np.asarray(kernel).reshape(-1, 32), compute_uv=False)
    assert 0.6 < values.min() and values.max() < 1.3
    assert np.sum(np.asarray(kernel) * np.asarray(gradient)) < 0
    np.testing.assert_allclose(np.asarray(bias), -3.8)  # twice the rate, 1 + 0.9 of the gradient


def test_a_network_that_only_hears_its_teacher_comes_to_agree_with_it() -> None:
    opinion = np.zeros((64, 10), np.float32)
    opinion[:, 3] = 8
    spec = replace(SPEC, distill=1.0, momentum=0.9)
    step, _ = stepped(spec, opinion, steps=30)
    model = network()
    model.set_weights(step.weights)
    said = np.asarray(model(batch().images[..., None] / np.float32(255), training=True)).argmax(1)
    assert np.mean(said == 3) > 0.9


def test_the_moving_average_lies_between_the_first_and_the_last_weights() -> None:
    last, averaged = stepped(SPEC)[0].weights[-1], stepped(replace(SPEC, ema=0.9))[0].weights[-1]
    np.testing.assert_allclose(averaged, (network().get_weights()[-1] + last) / 2, atol=1e-6)


def test_the_distance_of_an_answer_is_the_norm_of_its_losss_gradient_by_the_logits() -> None:
    data, teacher = batch(), np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    step = Step(network(), replace(SPEC, distill=0.6, label_smoothing=0.1))
    logits = tf.Variable(np.random.default_rng(1).normal(size=(64, 10)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(step._losses(data.labels, logits, teacher))
    np.testing.assert_allclose(step._errors(data.labels, logits, teacher), tape.gradient(loss, logits), atol=1e-5)


def test_an_image_of_no_weight_says_nothing() -> None:
    data, weights = batch(), np.repeat(np.array([2, 0], np.float32), 32)
    wrong = np.concatenate([data.labels[:32], (data.labels[32:] + 1) % 10]).astype(np.uint8)
    right, still_right = (
        Step(network(), SPEC)(data.images, labels, weights, None, rate=0.05, decay=0.5)[:2]
        for labels in (data.labels, wrong)
    )
    assert right == pytest.approx(still_right)
