"""Training on JAX is the training on TensorFlow. Here on its CPU backend, in a process of its own: Keras has one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml import datasets, networks, training
from ml.__main__ import main
from ml.datasets import Dataset, Split
from ml.keras_files import load_keras, to_keras
from ml.spec import TrainingSpec

# Keras loads its own files in a way that NumPy 2 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parents[2]
TINY = {"width_28": 8, "width_14": 8, "width_7": 16, "blocks_28": 1, "blocks_14": 1, "blocks_7": 1}
SPEC = TrainingSpec("resnet", epochs=1, batch_size=64, ema=0.9, erase=0, shift=0, flip=False, precision="float32",
                    weight_decay=0.1, hyperparameters=TINY)  # fmt: skip

ON_JAX = """
import json, sys
from pathlib import Path
import numpy as np
from ml import accelerated, datasets
from ml.spec import TrainingSpec
folder = Path(sys.argv[1])
arrays = np.load(folder / "data.npz")
parts = [datasets.Dataset(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("training", "validation")]
data = datasets.Split(*parts, parts[1])
plan = accelerated.Plan.read(folder / "plan.json")
for name, spec in plan.runs.items():
    model, history = accelerated.train(spec, data, None, lambda row: None, (folder / "base.keras").read_bytes())
    np.savez(folder / f"{name}.npz", *model.get_weights())
    (folder / f"{name}.json").write_text(json.dumps([row.loss for row in history]))
views = accelerated.look([model], data.training.images[:32], accelerated.Plan({}, {}, views=3), spec)
print(views.logits.shape, bool(np.ptp(np.asarray(views.logits, np.float32), axis=0).max() > 0))
changing = TrainingSpec.from_dict({**spec.to_dict(), "erase": 1.0, "shift": 2, "flip": True})
keys = accelerated._keys(views.key, np.arange(32))
changed = np.asarray(accelerated._augment(data.training.images[:32], keys, changing))
again = np.asarray(accelerated._augment(data.training.images[8:16], keys[8:16], changing))
same, other = (changed[8:16] == again).all(), (changed != data.training.images[:32]).any()
print(changed.shape, changed.dtype, bool(same), bool(other))
"""


def python(folder: Path, *command: str) -> str:
    environ = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True,
                          check=True).stdout  # fmt: skip


@pytest.fixture(scope="module")
def split() -> Split:
    images, labels = datasets.read_file(ROOT / "tests" / "data" / "fashion-mnist-sample" / "train-images-idx3-ubyte.gz")
    assert labels is not None
    return Split(*datasets.split(Dataset(images, labels), share=0.2), Dataset(images[:0], labels[:0]))


def test_the_same_weights_learn_the_same_from_the_same_pictures(tmp_path: Path, split: Split) -> None:
    runs = {kind: {**SPEC.to_dict(), "optimizer": kind, "learning_rate": 0.02} for kind in ("sgd", "muon")}
    tmp_path.joinpath("plan.json").write_text(json.dumps({"runs": runs}))
    base = to_keras(networks.build("resnet", **TINY))
    tmp_path.joinpath("base.keras").write_bytes(base)
    np.savez(tmp_path / "data.npz", training_images=split.training.images, training_labels=split.training.labels,
             validation_images=split.validation.images, validation_labels=split.validation.labels)  # fmt: skip
    *_, views, augmented = python(tmp_path, "-c", ON_JAX, str(tmp_path)).splitlines()
    for name, spec in runs.items():
        expected = training.train(TrainingSpec.from_dict(spec), split.training, split.validation, base=base)
        with np.load(tmp_path / f"{name}.npz") as arrays:
            for weight, found in zip(expected.model.get_weights(), arrays.values(), strict=True):
                np.testing.assert_allclose(found, weight, rtol=2e-3, atol=1e-3)
        losses = json.loads(tmp_path.joinpath(f"{name}.json").read_text())
        assert losses == pytest.approx([row.loss for row in expected.history], rel=1e-3)
    # Views differ without any change asked for only where the pictures do: here they do not.
    assert views == "(3, 32, 10) False"
    # A picture is changed in the same way whatever batch it is in.
    assert augmented == "(32, 28, 28) uint8 True True"


def test_a_plan_makes_runs_that_become_versions(tmp_path: Path) -> None:
    spec = {"network": "resnet", "epochs": 1, "batch_size": 64, "precision": "float32", "hyperparameters": TINY}
    plan = {"views": 2, "teachers": {"teacher": spec}, "runs": {"student": {**spec, "distill": 0.5}}}
    tmp_path.joinpath("plan.json").write_text(json.dumps(plan))
    images, labels = datasets.read_file(ROOT / "tests" / "data" / "fashion-mnist-sample" / "train-images-idx3-ubyte.gz")
    code = (
        "import numpy as np; from pathlib import Path; from ml import accelerated, datasets\n"
        f"images, labels = datasets.read_file(Path({str(ROOT / 'tests/data/fashion-mnist-sample')!r}, "
        "'train-images-idx3-ubyte.gz'))\n"
        "data = datasets.Split(*[datasets.Dataset(images[:128], labels[:128])] * 3)\n"
        "accelerated.carry_out(accelerated.Plan.read(Path('plan.json')), data, Path('runs'))"
    )
    printed = python(tmp_path, "-c", code)
    assert "teacher: epoch 1/1" in printed and "2 views" in printed and "student: epoch 1/1" in printed
    run = json.loads(tmp_path.joinpath("runs/student/run.json").read_text())
    assert run["spec"]["distill"] == 0.5 and len(run["history"]) == 1 and len(run["teachers"][0]) == 64
    model = load_keras(tmp_path.joinpath("runs/student/model.keras").read_bytes())
    assert np.isfinite(training.predict_logits(model, images[:8])).all()
    made = tmp_path / "made"
    sample = str(ROOT / "tests/data/fashion-mnist-sample/train-images-idx3-ubyte.gz")
    assert main(["package", str(tmp_path / "runs" / "student"), "--data", sample, "--out", str(made)]) == 0
    card = json.loads(made.joinpath("card.json").read_text())
    assert card["training_spec"]["distill"] == 0.5 and card["teachers"] == run["teachers"] and len(card["history"]) == 1
    # What is there already is not trained again.
    assert python(tmp_path, "-c", code) == ""


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [({"distill": 0.5}, "there are no `teachers`"), ({"drawn": 0.5}, "`drawn` is not there on accelerators")],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(tmp_path: Path, spec: dict[str, float], complaint: str) -> None:
    tmp_path.joinpath("plan.json").write_text(json.dumps({"runs": {"alone": spec}}))
    code = "from pathlib import Path; from ml.accelerated import Plan; Plan.read(Path('plan.json'))"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        python(tmp_path, "-c", code)
    assert complaint in refused.value.stderr
