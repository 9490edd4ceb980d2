"""A run follows its spec, can be stopped and resumed at any step, and is decided by its seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml import datasets, networks, training
from ml.augmentation import augment
from ml.datasets import Dataset
from ml.spec import LIMITS, InvalidSpec, TrainingSpec
from ml.runs import Epoch, learning_rate
from ml.training import Progress, Trained, TrainingDiverged, TrainingStopped, WrongBase, WrongCheckpoint

# Keras loads its own files in a way that NumPy 2 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = Path(__file__).parents[1] / "data" / "fashion-mnist-sample"
TINY = {"stem": 8, "width": 8, "blocks_14": 1, "blocks_7": 1}
SPEC = TrainingSpec(epochs=2, batch_size=64, ema=0.9, hyperparameters=TINY)


def parts() -> tuple[Dataset, Dataset]:
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return datasets.split(Dataset(images, labels), share=0.2)


def weights(trained: Trained) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in trained.model.get_weights()])


def run(spec: TrainingSpec = SPEC, **options: Any) -> Trained:
    return training.train(spec, *parts(), **options)


def figures(history: tuple[Epoch, ...]) -> np.ndarray:
    return np.array([[row.loss, row.accuracy, row.val_loss, row.val_accuracy] for row in history])


def test_a_run_resumed_in_the_middle_of_an_epoch_equals_an_unbroken_one() -> None:
    checkpoints: list[bytes] = []
    unbroken = run(on_checkpoint=checkpoints.append, checkpoint_seconds=0)
    # Three steps an epoch: after steps 1 and 2, after the epoch, and the same again.
    assert len(checkpoints) == 6
    for checkpoint in checkpoints[1:3]:
        resumed = run(resume=checkpoint)
        np.testing.assert_allclose(weights(resumed), weights(unbroken), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(figures(resumed.history), figures(unbroken.history), rtol=1e-4)


def test_a_run_that_draws_by_importance_goes_on_with_the_draw_of_its_epoch() -> None:
    spec, checkpoints = replace(SPEC, drawn=0.5, epochs=3, batch_size=32), list[bytes]()
    unbroken = run(spec, on_checkpoint=checkpoints.append, checkpoint_seconds=0)
    for checkpoint in checkpoints[3:5]:
        resumed = run(spec, resume=checkpoint)
        np.testing.assert_allclose(weights(resumed), weights(unbroken), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(figures(resumed.history), figures(unbroken.history), rtol=1e-4)


def test_a_share_drawn_by_importance_takes_that_share_of_the_steps() -> None:
    seen: list[Progress] = []
    run(replace(SPEC, drawn=0.5, epochs=1, batch_size=16), on_step=seen.append)
    assert {each.steps for each in seen} == {len(parts()[0]) // 2 // 16}


def test_the_seed_decides_a_run() -> None:
    spec = replace(SPEC, epochs=1)
    one, same, other = (weights(run(replace(spec, seed=seed))) for seed in (0, 0, 1))
    np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-6)
    assert not np.allclose(one, other, rtol=0.1)


def test_a_checkpoint_of_another_spec_is_refused() -> None:
    checkpoints: list[bytes] = []
    run(replace(SPEC, epochs=1), on_checkpoint=checkpoints.append)
    with pytest.raises(WrongCheckpoint):
        run(resume=checkpoints[0])


def test_a_stopped_run_leaves_a_checkpoint_of_where_it_stood() -> None:
    checkpoints: list[bytes] = []
    seen: list[Progress] = []
    with pytest.raises(TrainingStopped):
        run(on_step=seen.append, on_checkpoint=checkpoints.append, stop=lambda: len(seen) == 2)
    rest: list[Progress] = []
    run(resume=checkpoints[-1], on_step=rest.append)
    assert rest[0].done == 3


def test_a_run_starts_from_the_weights_of_its_base(tmp_path: Path) -> None:
    base = run(replace(SPEC, epochs=1))
    base.model.save(tmp_path / "base.keras")
    content = (tmp_path / "base.keras").read_bytes()
    still = run(replace(SPEC, epochs=1, learning_rate=1e-6, ema=0.0, weight_decay=0.0), base=content)
    # The statistics of batch normalization move by themselves; compared is what the optimizer moves.
    moved = [
        np.abs(np.subtract(after, before)).max()
        for after, before in zip(still.model.get_weights(), base.model.get_weights(), strict=True)
    ]
    assert np.median(moved) < 1e-3


def test_a_base_of_another_network_is_refused(tmp_path: Path) -> None:
    networks.build("resnet_small").save(tmp_path / "base.keras")
    with pytest.raises(WrongBase):
        run(base=(tmp_path / "base.keras").read_bytes())


def test_training_ends_early_when_validation_no_longer_improves() -> None:
    spec = replace(SPEC, epochs=9, learning_rate=1e-6, patience=2, ema=0.9)
    assert len(run(spec).history) < 9


def test_a_run_that_is_told_to_stop_takes_no_further_step() -> None:
    seen: list[Progress] = []
    with pytest.raises(TrainingStopped):
        run(on_step=seen.append, stop=lambda: len(seen) == 2)
    assert [(each.epoch, each.step, each.done) for each in seen] == [(1, 1, 1), (1, 2, 2)]
    assert (seen[0].steps, seen[0].total) == (3, 6)


def test_the_loss_falls_and_every_epoch_is_reported() -> None:
    rows: list[Epoch] = []
    spec = replace(SPEC, epochs=20, shift=0, erase=0.0, ema=0.0, label_smoothing=0.0)
    trained = run(spec, on_epoch=rows.append)
    assert trained.history == tuple(rows)
    assert [row.epoch for row in rows] == list(range(1, 21))
    assert rows[-1].loss < 0.7 * rows[0].loss
    assert rows[-1].val_accuracy > 0.4


def test_the_weights_kept_are_those_that_were_validated() -> None:
    trained = run()
    logits = training.predict_logits(trained.model, parts()[1].images)
    assert np.mean(logits.argmax(axis=1) == parts()[1].labels) == trained.history[-1].val_accuracy


def test_adamw_trains_too() -> None:
    trained = run(replace(SPEC, optimizer="adamw", learning_rate=0.003, schedule="cosine", weight_decay=0.05))
    assert np.isfinite(figures(trained.history)).all()


def test_a_loss_that_explodes_ends_the_run_with_advice() -> None:
    spec = TrainingSpec(network="tutorial_cnn", epochs=30, learning_rate=10, warmup=0, momentum=0.99, weight_decay=1)
    with pytest.raises(TrainingDiverged, match="try a lower learning rate"):
        run(spec)


def test_fewer_images_than_a_batch_make_one_step() -> None:
    seen: list[Progress] = []
    run(replace(SPEC, epochs=1, batch_size=1024), on_step=seen.append)
    assert [(each.step, each.steps) for each in seen] == [(1, 1)]


def test_schedules_rise_to_the_peak_and_fall_to_zero() -> None:
    for schedule in ("one_cycle", "cosine"):
        spec = TrainingSpec(schedule=schedule, learning_rate=0.4, warmup=0.25)
        rates = [learning_rate(spec, done, 1000) for done in range(1000)]
        assert max(rates) == rates[250] == 0.4
        assert rates[:251] == sorted(rates[:251])
        assert rates[250:] == sorted(rates[250:], reverse=True)
        assert 0 < rates[0] < 0.002 and 0 < rates[-1] < 0.001
    level = TrainingSpec(schedule="constant", learning_rate=0.4, warmup=0.0)
    assert {learning_rate(level, done, 10) for done in range(10)} == {0.4}


def test_augmentation_is_decided_by_its_generator_and_leaves_the_original_alone() -> None:
    images = parts()[0].images
    before = images.copy()
    drawn = [augment(images, np.random.default_rng(7), flip=True, shift=2, erase=0.5) for _ in range(2)]
    assert np.array_equal(*drawn)
    assert not np.array_equal(drawn[0], images)
    assert np.array_equal(images, before)
    assert drawn[0].dtype == np.uint8


def test_no_augmentation_changes_nothing() -> None:
    images = parts()[0].images
    assert np.array_equal(augment(images, np.random.default_rng(7), flip=False, shift=0, erase=0.0), images)


def test_flips_mirror_and_shifts_move_by_whole_pixels() -> None:
    images = np.zeros((200, 28, 28), np.uint8)
    images[:, 10, 6] = 255
    moved = augment(images, np.random.default_rng(7), flip=True, shift=3, erase=0.0)
    rows, columns = np.nonzero(moved.max(axis=0))
    assert set(rows) == set(range(7, 14))
    assert set(columns) == set(range(3, 10)) | set(range(18, 25))
    assert (moved.reshape(200, -1) > 0).sum(axis=1).tolist() == [1] * 200


def test_erasing_fills_one_rectangle_of_the_published_sizes_with_noise() -> None:
    images = np.full((500, 28, 28), 128, np.uint8)
    erased = augment(images, np.random.default_rng(7), flip=False, shift=0, erase=0.5)
    touched = (erased != 128).reshape(500, -1).sum(axis=1)
    assert 200 < np.count_nonzero(touched) < 300
    assert touched.max() <= 0.33 * 784
    assert 100 < erased[erased != 128].mean() < 155


def test_a_spec_survives_json_and_fills_in_defaults() -> None:
    assert TrainingSpec.from_dict(SPEC.to_dict()) == SPEC
    assert TrainingSpec.from_dict({"epochs": 3}) == replace(TrainingSpec(), epochs=3)


@pytest.mark.parametrize(
    ("values", "field", "complaint"),
    [
        ({"epochs": 0}, "epochs", "must be a whole number from 1 to 500"),
        ({"epochs": 1.5}, "epochs", "must be a whole number"),
        ({"epochs": True}, "epochs", "must be a whole number"),
        ({"learning_rate": float("nan")}, "learning_rate", "must be a number from 1e-06 to 10"),
        ({"learning_rate": "fast"}, "learning_rate", "is 'fast'"),
        ({"flip": 1}, "flip", "true or false"),
        ({"network": "vgg"}, "network", "must be one of: resnet, resnet_small, tutorial_cnn"),
        ({"network": ["vgg"]}, "network", "must be one of"),
        ({"optimizer": "lion"}, "optimizer", "must be one of: muon, sgd, adamw"),
        ({"lr": 1}, "lr", "the fields are: network, epochs"),
        ({"hyperparameters": {"depth": 3}}, "hyperparameters.depth", "it has: stem, width"),
        ({"hyperparameters": {"width": 4096}}, "hyperparameters.width", "from 8 to 96"),
        ({"hyperparameters": [1]}, "hyperparameters", "must be an object"),
    ],
)
def test_a_spec_that_cannot_be_run_is_refused_by_field(values: dict[str, Any], field: str, complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=complaint) as refused:
        TrainingSpec.from_dict(values)
    assert refused.value.field == field


@pytest.mark.parametrize("field", LIMITS)
def test_both_limits_of_every_field_are_allowed(field: str) -> None:
    for value in LIMITS[field]:
        whole = isinstance(getattr(TrainingSpec(), field), int)
        TrainingSpec.from_dict({field: int(value) if whole else float(value)})
