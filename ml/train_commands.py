"""The commands of `python -m ml` that make models, and where they and others take their data from."""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Final

from ml import datasets, photos, releases, tensorflow_environment
from ml.artifacts import open_artifacts
from ml.datasets import Dataset, Split
from ml.registry import open_local
from ml.runs import Epoch
from ml.spec import TrainingSpec
from settings import Settings

SHIPPED: Final = Path(__file__).parent / "shipped"
# Files of a model in a folder, which another model may lack.
_STALE: Final = ("model.*", "novelty.npz", "neighbors.npz")


class CommandFailed(Exception):
    """What the user should read instead of a stack trace."""


def train(options: argparse.Namespace, settings: Settings) -> None:
    """Train as the options say, then publish a version or write a folder."""
    specs = _specs(options)
    data = training_data(options.data, settings)
    # Only commands that train need TensorFlow, which takes seconds to load.
    tensorflow_environment.prepare()
    from ml.export import KERAS, ExportFailed, Stage, package
    from ml.keras_files import to_keras
    from ml.training import TrainingDiverged, WrongBase, WrongCheckpoint

    earlier = [Stage(*_stage(each)) for each in _stages(options.base)] if options.base else []
    base = options.base.joinpath(KERAS).read_bytes() if options.base else None
    try:
        for number, spec in enumerate(specs[:-1], 1):
            print(f"stage {number} of {len(specs)}", flush=True)
            trained = _train(spec, data, _numbered(options.checkpoint, number), base, options)
            earlier.append(Stage(spec, trained.history))
            base = to_keras(trained.model)
        trained = _train(specs[-1], data, options.checkpoint, base, options)
        # Other data is not what the figures of releases are compared on.
        full_report = options.data is None
        made = package(trained, specs[-1], data, _name(options.data), earlier, _digests(options.teacher), full_report)
    except (ExportFailed, TrainingDiverged, WrongBase, WrongCheckpoint) as error:
        raise CommandFailed(str(error)) from error
    _keep(made, options.out, settings)


def _stages(folder: Path) -> list[Mapping[str, Any]]:
    """What the weights in a folder were trained by, first to last, by its card or by the record of its run."""
    for name in ("card.json", "run.json"):
        if (file := folder / name).is_file():
            said = json.loads(file.read_bytes())
            return [*said.get("earlier_stages", []), said]
    return []


def _stage(said: Mapping[str, Any]) -> tuple[TrainingSpec, tuple[Epoch, ...]]:
    spec = said["training_spec"] if "training_spec" in said else said["spec"]
    return TrainingSpec.from_dict(spec), tuple(Epoch(**row) for row in said["history"])


def package_run(options: argparse.Namespace, settings: Settings) -> None:
    """Make a version of a run of `ml.accelerated`."""
    run = json.loads(options.folder.joinpath("run.json").read_bytes())
    spec, history = _stage(run)
    data = training_data(options.data, settings)
    tensorflow_environment.prepare()
    from ml.export import KERAS, ExportFailed, package
    from ml.keras_files import UntrustedFile, load_keras
    from ml.training import Trained

    try:
        trained = Trained(load_keras(options.folder.joinpath(KERAS).read_bytes()), history)
        made = package(trained, spec, data, _name(options.data), teachers=run["teachers"], full_report=not options.data)
    except (ExportFailed, UntrustedFile) as error:
        raise CommandFailed(str(error)) from error
    _keep(made, options.out, settings)


def train_photos(options: argparse.Namespace, settings: Settings) -> None:
    """Make the network for photos as the recipe says, and write it to a folder."""
    folders = Path(settings.photos_dir) if settings.photos_dir else None
    split = photos.split(photos.load_photos(folders))
    fashion = datasets.split_official(*fashion_mnist(settings))
    assert fashion.indexes is not None
    tensorflow_environment.prepare()
    from ml import photo_training
    from ml.export import KERAS, ExportFailed
    from ml.training import TrainingDiverged, WrongBase

    recipe = photo_training.read_recipe(options.recipe)
    earlier = options.base.joinpath(KERAS).read_bytes()
    try:
        made = photo_training.make(
            recipe, split, fashion.training, fashion.indexes, earlier, options.cache, partial(print, flush=True)
        )
    except (ExportFailed, TrainingDiverged, WrongBase) as error:
        raise CommandFailed(str(error)) from error
    _write(options.out, made.files, made.card, ["photos.*"])
    test = made.card["metrics"]["test"]
    print(f"{options.out}: {test['accuracy']:.2%} of {test['images']:,} photos, by {made.card['serving']['artifact']}.")


def refresh(options: argparse.Namespace, settings: Settings) -> None:
    """Rewrite a shipped model's card, novelty detector and neighbors from its files."""
    folder = SHIPPED / options.shipped
    if not folder.joinpath("card.json").is_file():
        raise CommandFailed(f"There is no shipped model {options.shipped!r}; these are: {', '.join(releases.names())}.")
    card = json.loads(folder.joinpath("card.json").read_bytes())
    data = training_data(None, settings)
    tensorflow_environment.prepare()
    from ml.export import ExportFailed, refresh as again
    from ml.report_commands import bar

    try:
        made = again({path.name: path.read_bytes() for path in folder.glob("model.*")}, card, data, track=bar)
    except ExportFailed as error:
        raise CommandFailed(str(error)) from error
    _write(folder, made.files, made.card)
    print(f"{folder}: {made.card['metrics']['test']['accuracy']:.2%} of the test images; card and files are rewritten.")


def _specs(options: argparse.Namespace) -> list[TrainingSpec]:
    path = options.spec
    try:
        values: Any = json.loads(path.read_bytes()) if path else {}
    except ValueError as error:
        raise CommandFailed(f"{path} is not JSON: {error}.") from error
    stages = values if isinstance(values, list) else [values]
    if not stages or not all(isinstance(stage, dict) for stage in stages):
        raise CommandFailed(f"{path} must hold an object, or a list of objects for stages that follow each other.")
    given = {each.name: getattr(options, each.name) for each in fields(TrainingSpec)}
    given["hyperparameters"] = dict(map(_pair, given["hyperparameters"] or ())) or None
    overrides = {name: value for name, value in given.items() if value is not None}
    return [TrainingSpec.from_dict(stage | overrides) for stage in stages]


def _name(data: Path | None) -> str:
    return data.name if data else "fashion-mnist"


def _numbered(path: Path | None, number: int) -> Path | None:
    return path and path.with_stem(f"{path.stem}-{number}")


def _pair(text: str) -> tuple[str, int | float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.isdecimal() else float(value)
    except ValueError:
        raise CommandFailed(f"--set takes NAME=NUMBER, not {text!r}.") from None


def training_data(path: Path | None, settings: Settings) -> Split:
    """What a run learns from, chooses on and is judged on: parts of a file, or of Fashion-MNIST."""
    if path is not None:
        return datasets.split_in_three(labelled(path))
    official, test = fashion_mnist(settings)
    return datasets.split_official(official, test)


def fashion_mnist(settings: Settings) -> tuple[Dataset, Dataset]:
    """The official training and test images."""
    directory = Path(settings.data_dir) if settings.data_dir else None
    return datasets.load_fashion_mnist(directory, settings.home / "datasets" / "fashion-mnist")


def labelled(path: Path) -> Dataset:
    """The pictures of a file, which must have labels."""
    images, labels = datasets.read_file(path)
    if labels is None:
        raise CommandFailed(f"{path} has no labels.")
    return Dataset(images, labels)


def _train(
    spec: TrainingSpec, data: Split, checkpoint: Path | None, base: bytes | None, options: argparse.Namespace
) -> Any:
    from tqdm import tqdm

    from ml.distillation import ensemble
    from ml.training import Progress, train as run

    # No bar where nobody watches: only the lines of on_epoch.
    bar = tqdm(unit="step", smoothing=0.05, disable=None if options.progress is None else not options.progress)
    logs: list[Callable[[Epoch], None]] = []

    def on_step(progress: Progress) -> None:
        bar.total = progress.total
        bar.set_postfix(epoch=progress.epoch, loss=f"{progress.loss:.3f}", refresh=False)
        bar.update(progress.done - bar.n)

    def on_epoch(row: Epoch) -> None:
        bar.write(row.line(spec.epochs))
        sys.stdout.flush()
        for log in logs:
            log(row)

    def on_checkpoint(content: bytes) -> None:
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            partial = checkpoint.with_name(checkpoint.name + ".partial")
            partial.write_bytes(content)
            partial.replace(checkpoint)

    if bool(options.teacher) != bool(spec.distill):
        raise CommandFailed("--teacher and --distill go together: who is learned from, and how much.")
    teacher = ensemble([_served(folder) for folder in options.teacher]) if spec.distill else None
    resume = checkpoint.read_bytes() if checkpoint is not None and checkpoint.is_file() else None
    with bar, ExitStack() as stack:
        logs += [stack.enter_context(each) for each in _run_logs(spec, options)]
        return run(
            spec, data.training, data.validation,
            base=base, resume=resume, teacher=teacher,
            on_step=on_step, on_epoch=on_epoch, on_checkpoint=on_checkpoint if checkpoint else None,
        )


def _served(folder: Path) -> Path:
    card = json.loads(folder.joinpath("card.json").read_bytes())
    return folder / str(card["serving"]["artifact"])


def _digests(folders: Sequence[Path]) -> list[str]:
    return [hashlib.sha256(_served(folder).read_bytes()).hexdigest() for folder in folders]


def _run_logs(spec: TrainingSpec, options: argparse.Namespace) -> Iterator[AbstractContextManager[Any]]:
    from ml import run_logs

    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")  # MLflow's own variable, and the sign that it is wanted
    for module, wanted in (("tensorboard", options.tensorboard), ("mlflow", tracking)):
        if wanted and importlib.util.find_spec(module) is None:
            raise CommandFailed(f"{module} is not installed: python -m pip install -r requirements/tracking.lock")
    if options.tensorboard:
        yield run_logs.tensorboard(options.tensorboard)
    if tracking:
        yield run_logs.mlflow(spec, tracking)


def _keep(made: Any, out: Path | None, settings: Settings) -> None:
    """Publish a package, or write it to a folder, and say what it is worth."""
    if out is None:
        card, contents = releases.with_photos(made.card, made.files)
        where = open_local(open_artifacts(settings.artifacts())).publish(contents, card)
    else:
        _write(out, made.files, made.card)
        where = str(out)
    test = made.card["metrics"]["test"]
    print(f"{where}: {test['accuracy']:.2%} of {test['images']:,} test images, by {made.card['serving']['artifact']}.")


def _write(folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], stale: Sequence[str] = _STALE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (found for pattern in stale for found in folder.glob(pattern)):
        path.unlink()
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    folder.joinpath("card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
