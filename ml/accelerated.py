"""Training on a GPU: a plan of several runs, each epoch of which is one program that JAX compiles.

    KERAS_BACKEND=jax python -m ml.accelerated ml/recipes/accelerated.json --out runs

trains the networks of `ml/networks` as `ml.training` does, by the same specs, without TensorFlow: the pictures lie on
the device and are changed there, so that nothing waits for the host. What it writes becomes a version by `python -m ml
package`, on any machine.

A plan's teachers are trained first. The others may learn from them: what the teachers say, on average, of a fixed
number of changed copies of every picture (views) is computed once, and a student meets a view in each epoch. So it
sees just what its teachers saw, which is what distillation is about (Beyer et al., "Knowledge distillation: A good
teacher is patient and consistent", 2021).
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from ml import datasets, networks
from ml.augmentation import ERASED_AREA, ERASED_ASPECT
from ml.datasets import SIDE, Dataset, Split
from ml.evaluation import accuracy, negative_log_likelihood
from ml.keras_files import load_keras, to_keras
from ml.runs import Epoch, average_decay, learning_rate
from ml.spec import DISTILL_TEMPERATURE, PLAIN_RATE, QUINTIC, QUINTIC_STEPS, TrainingSpec

Array = Any  # of JAX
Weights = list[Array]

_AT_ONCE: Final = 1000  # pictures that are answered together


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs by their names. `views`: how many copies of each picture the teachers answer."""

    teachers: Mapping[str, TrainingSpec]
    runs: Mapping[str, TrainingSpec]
    views: int = 30
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """A plan from a JSON file. Raises ml.spec.InvalidSpec, or ValueError for what cannot be done here."""
        plan = json.loads(path.read_bytes())
        teachers, runs = (
            {name: TrainingSpec.from_dict(spec) for name, spec in plan.get(part, {}).items()}
            for part in ("teachers", "runs")
        )
        if not teachers and any(spec.distill for spec in runs.values()):
            raise ValueError(f"{path}: a run has `distill`, and there are no `teachers`.")
        if any(spec.drawn < 1 for spec in [*teachers.values(), *runs.values()]):
            raise ValueError(f"{path}: `drawn` is not there on accelerators, where epochs take seconds; leave it out.")
        return cls(teachers, runs, **{name: plan[name] for name in ("views", "seed") if name in plan})


@dataclass(frozen=True, slots=True)
class Views:
    """What teachers say of changed copies of the training pictures: logits [views, n, 10], and how to see the same."""

    logits: Array
    key: Array


def train(
    spec: TrainingSpec, data: Split, views: Views | None, on_epoch: Callable[[Epoch], None], base: bytes | None = None
) -> tuple[keras.Model, list[Epoch]]:
    """A network trained from random weights, or those of `base`, a .keras file; and its history.

    It has the averaged weights, where the spec has an `ema`.
    """
    keras.utils.set_random_seed(spec.seed)
    model = _build(spec, "mixed_bfloat16" if spec.precision != "float32" else "float32")
    if base is not None:
        model.set_weights(load_keras(base).get_weights())
    run_epoch, answer = _epoch(model, spec), _answer(model)
    images, labels = jnp.asarray(data.training.images), jnp.asarray(data.training.labels)
    steps = len(labels) // spec.batch_size
    total = steps * spec.epochs
    # Copies, as the state of an epoch is overwritten by that of the next.
    weights, averages = ([jnp.array(each.value, jnp.float32) for each in _ordered(model)] for _ in range(2))
    state = (weights, [jnp.zeros_like(each) for each in weights], averages)
    own = jax.random.key(spec.seed)
    history: list[Epoch] = []
    for epoch in range(spec.epochs):
        started = time.perf_counter()
        order = np.random.default_rng([spec.seed, 0, epoch]).permutation(len(labels))[: steps * spec.batch_size]
        done = range(epoch * steps, (epoch + 1) * steps)
        rates = np.array([learning_rate(spec, each, total) for each in done], np.float32)
        decays = np.array([average_decay(spec, each) for each in done], np.float32)
        # Seeds begin at different views, and one that is met again comes in another order.
        view = epoch if views is None else (epoch + 7 * spec.seed) % len(views.logits)
        key = jax.random.fold_in(own if views is None else views.key, view)
        teacher = jnp.zeros((len(labels), 10), jnp.float16) if views is None else views.logits[view]
        state, (losses, right) = run_epoch(
            state, images, labels, teacher, key, order.reshape(steps, spec.batch_size), rates, decays
        )
        kept = state[2] if spec.ema else state[0]
        logits = _in_parts(partial(answer, kept), data.validation.images)
        truth = data.validation.labels
        history.append(Epoch(
            epoch + 1, float(losses.mean()), float(right.mean()), negative_log_likelihood(logits, truth),
            accuracy(logits, truth), float(rates[-1]), round(time.perf_counter() - started, 3),
        ))  # fmt: skip
        on_epoch(history[-1])
    trained = _build(spec, "float32")
    for variable, value in zip(_ordered(trained), kept, strict=True):
        variable.assign(value)
    return trained, history


def look(teachers: Sequence[keras.Model], images: NDArray[np.uint8], plan: Plan, spec: TrainingSpec) -> Views:
    """What the teachers say, on average, of the plan's views of uint8 images [n, 28, 28], changed as `spec` says."""
    key = jax.random.key(plan.seed)
    answers = [_answer(each) for each in teachers]
    weights = [[jnp.asarray(variable.value, jnp.float32) for variable in _ordered(each)] for each in teachers]

    @jax.jit
    def say(weights: list[Weights], images: Array, places: Array, view: int) -> Array:
        changed = _augment(images, _keys(jax.random.fold_in(key, view), places), spec)
        said = [answer(each, changed) for answer, each in zip(answers, weights, strict=True)]
        return jnp.mean(jnp.stack(said), axis=0).astype(jnp.float16)

    parts = np.array_split(np.arange(len(images)), max(1, len(images) // _AT_ONCE))
    logits = [
        np.concatenate([np.asarray(say(weights, images[part], part, view)) for part in parts])
        for view in range(plan.views)
    ]
    return Views(jnp.asarray(np.stack(logits)), key)


def _build(spec: TrainingSpec, policy: str) -> keras.Model:
    keras.config.set_dtype_policy(policy)
    try:
        return networks.build(spec.network, **spec.hyperparameters)
    finally:
        keras.config.set_dtype_policy("float32")


def _ordered(model: keras.Model) -> list[Any]:
    """Its variables: those that are trained, then the others."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def _answer(model: keras.Model) -> Callable[[Weights, Array], Array]:
    """What gives logits [n, 10] for weights and uint8 images [n, 28, 28]."""
    trained = len(model.trainable_variables)

    @jax.jit
    def answer(weights: Weights, images: Array) -> Array:
        logits, _ = model.stateless_call(weights[:trained], weights[trained:], _scaled(images), training=False)
        return logits.astype(jnp.float32)

    return answer


def _in_parts(answer: Callable[[Array], Array], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    parts = [answer(images[at : at + _AT_ONCE]) for at in range(0, len(images), _AT_ONCE)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def _epoch(model: keras.Model, spec: TrainingSpec) -> Callable[..., Any]:
    """What runs an epoch: weights, momenta and averages in and out, and loss and accuracy of each step."""
    trained = len(model.trainable_variables)
    update = _update(model, spec)

    def loss_of(weights: Weights, others: Weights, images: Array, labels: Array, teacher: Array) -> Any:
        logits, others = model.stateless_call(weights, others, _scaled(images), training=True)
        logits = logits.astype(jnp.float32)
        return _loss(spec, labels, logits, teacher), (others, jnp.mean(logits.argmax(axis=1) == labels))

    def run(state: Any, images: Array, labels: Array, teacher: Array, key: Array, order: Array, rates: Array,
            decays: Array) -> Any:  # fmt: skip
        def step(state: Any, now: Any) -> Any:
            (weights, momenta, averages), (chosen, rate, decay) = state, now
            changed = _augment(images[chosen], _keys(key, chosen), spec)
            (loss, (others, right)), gradients = jax.value_and_grad(loss_of, has_aux=True)(
                weights[:trained], weights[trained:], changed, labels[chosen], teacher[chosen].astype(jnp.float32)
            )
            moved, momenta = update(weights[:trained], gradients, momenta[:trained], rate)
            weights = [*moved, *(each.astype(jnp.float32) for each in others)]
            averages = [old + (1 - decay) * (new - old) for old, new in zip(averages, weights, strict=True)]
            return (weights, [*momenta, *state[1][trained:]], averages), (loss, right)

        return jax.lax.scan(step, state, (order, rates, decays))

    return jax.jit(run, donate_argnums=0)


def _loss(spec: TrainingSpec, labels: Array, logits: Array, teacher: Array) -> Array:
    """As in `ml.optimization`."""
    smoothing, share, heat = spec.label_smoothing, spec.distill, DISTILL_TEMPERATURE
    hard = jax.nn.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10
    loss = -jnp.mean(jnp.sum(hard * jax.nn.log_softmax(logits), axis=1))
    if share:
        soft = jax.nn.softmax(teacher / heat)
        distance = -jnp.mean(jnp.sum(soft * jax.nn.log_softmax(logits / heat), axis=1))
        loss = (1 - share) * loss + share * heat**2 * distance
    return loss


def _update(model: keras.Model, spec: TrainingSpec) -> Callable[..., tuple[Weights, Weights]]:
    """One step of the optimizer: weights, gradients, momenta and rate in; weights and momenta out."""
    if spec.optimizer == "adamw":
        raise ValueError("adamw is not there on accelerators; take sgd or muon.")
    decayed = [not any(part in each.path for part in ("bias", "gamma", "beta")) for each in model.trainable_variables]
    is_muon = spec.optimizer == "muon"

    def update(weights: Weights, gradients: Weights, momenta: Weights, rate: Array) -> tuple[Weights, Weights]:
        moved, kept = [], []
        for weight, gradient, momentum, decays in zip(weights, gradients, momenta, decayed, strict=True):
            if decays:
                weight = weight * (1 - spec.weight_decay * rate)
            if is_muon and weight.ndim == 4 and weight.shape[2] > 1:
                momentum = spec.momentum * momentum + gradient
                matrix = (gradient + spec.momentum * momentum).reshape(-1, weight.shape[-1])
                rows, columns = matrix.shape
                turned = _orthogonal(matrix).reshape(weight.shape) * max(1.0, columns / rows) ** 0.5
                weight = weight - rate * turned
            else:
                pace = rate * PLAIN_RATE if is_muon else rate
                momentum = spec.momentum * momentum - pace * gradient
                weight = weight + (spec.momentum * momentum - pace * gradient if spec.momentum else momentum)
            moved.append(weight)
            kept.append(momentum)
        return moved, kept

    return update


def _orthogonal(matrix: Array) -> Array:
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (jnp.linalg.norm(x) + 1e-7)
    a, b, c = QUINTIC
    for _ in range(QUINTIC_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def _scaled(images: Array) -> Array:
    return images.astype(jnp.float32)[..., None] / 255


def _keys(key: Array, places: Array) -> Array:
    """A key for each picture, whatever batch it is in."""
    return jax.vmap(partial(jax.random.fold_in, key))(places)


def _augment(images: Array, keys: Array, spec: TrainingSpec) -> Array:
    """As `ml.augmentation` does, from a key for each picture."""
    return jax.vmap(partial(_changed, flip=spec.flip, shift=spec.shift, erase=spec.erase))(images, keys)


def _changed(image: Array, key: Array, flip: bool, shift: int, erase: float) -> Array:
    mirrored, moved, shape, where, chosen, noise = jax.random.split(key, 6)
    if flip:
        image = jnp.where(jax.random.bernoulli(mirrored), image[:, ::-1], image)
    if shift:
        top, left = jax.random.randint(moved, (2,), 0, 2 * shift + 1)
        image = jax.lax.dynamic_slice(jnp.pad(image, shift), (top, left), (SIDE, SIDE))
    if not erase:
        return image
    area, aspect, below, right = jax.random.uniform(shape, (4,))
    area = (ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0])) * SIDE * SIDE
    low, high = np.log(ERASED_ASPECT)
    aspect = jnp.exp(low + aspect * (high - low))
    tall = jnp.clip(jnp.sqrt(area * aspect), 1, SIDE).astype(int)
    wide = jnp.clip(jnp.sqrt(area / aspect), 1, SIDE).astype(int)
    top, left = (below * (SIDE - tall + 1)).astype(int), (right * (SIDE - wide + 1)).astype(int)
    places = jnp.arange(SIDE)
    rows, columns = (places >= top) & (places < top + tall), (places >= left) & (places < left + wide)
    covered = rows[:, None] & columns[None, :] & (jax.random.uniform(chosen) < erase)
    return jnp.where(covered, jax.random.bits(noise, (SIDE, SIDE), np.uint8), image)


def carry_out(plan: Plan, data: Split, out: Path, only: Sequence[str] = ()) -> None:
    """Train what `out` does not have yet, all or `only` some names; each run is written when it is done."""
    views: Views | None = None
    taught_by: list[bytes] = []
    for name, spec in [*plan.teachers.items(), *plan.runs.items()]:
        if only and name not in only or (out / name / "run.json").is_file():
            continue
        if spec.distill and views is None:
            taught_by = [(out / teacher / "model.keras").read_bytes() for teacher in plan.teachers]
            started = time.perf_counter()
            views = look([load_keras(each) for each in taught_by if spec.distill], data.training.images, plan, spec)
            print(f"{plan.views} views in {time.perf_counter() - started:.0f} s", flush=True)

        def report(row: Epoch, name: str = name, epochs: int = spec.epochs) -> None:
            print(f"{name}: {row.line(epochs)}", flush=True)

        model, history = train(spec, data, views if spec.distill else None, report)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath("model.keras").write_bytes(to_keras(model))
        made = {"spec": spec.to_dict(), "history": [asdict(row) for row in history],
                "teachers": [sha256(each).hexdigest() for each in taught_by if spec.distill],
                "device": jax.devices()[0].device_kind}  # fmt: skip
        folder.joinpath("run.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.accelerated", description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path, help="a plan in JSON")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of the runs and teachers")
    parser.add_argument("--limit", type=int, metavar="N", help="learn from so many pictures only, to try a plan")
    options = parser.parse_args()
    if keras.backend.backend() != "jax":
        sys.exit("python -m ml.accelerated: set KERAS_BACKEND=jax.")
    directory = os.environ.get("HEMLINE_DATA_DIR", "")
    data = datasets.split_official(*datasets.load_fashion_mnist(Path(directory) if directory else None))
    if options.limit:
        some = np.arange(options.limit)
        few: Dataset = data.training.take(some)
        data = Split(few, data.validation.take(some[:_AT_ONCE]), data.test)
    carry_out(Plan.read(options.plan), data, options.out, options.only)


if __name__ == "__main__":
    main()
