"""The command line, without any queue or server: `python -m ml --help` lists what it can do."""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import datasets, networks, photos, releases, tensorflow_environment
from ml.artifacts import ArtifactNotFound, open_artifacts
from ml.datasets import Dataset, DatasetError, Split
from ml.images import CLASS_NAMES, ContractImage, InvalidImage, read_image
from ml.overlays import render_overlay
from ml.registry import UnknownModel, open_local
from ml.runtime import Classifier
from ml.spec import InvalidSpec, TrainingSpec
from settings import InvalidSetting, Settings

SHIPPED: Final = Path(__file__).parent / "shipped"
DEFAULT_MODEL: Final = releases.PRODUCTION_MODEL
# Files of a model in a folder, which another model may lack.
_STALE: Final = ("model.*", "novelty.npz", "neighbors.npz")


class CommandFailed(Exception):
    """What the user should read instead of a stack trace."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model version that answers, and its card."""

    classifier: Classifier
    card: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a failure that was explained, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, Settings.from_env()) or 0)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except (CommandFailed, DatasetError, InvalidSpec, InvalidSetting, OSError) as error:
        print(f"python -m ml: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description="Train, judge and use models of fashion images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands.add_parser("train", help="train a model and publish it, or write it to a folder"))

    judge = commands.add_parser("evaluate", help="accuracy, calibration, novelty and robustness of a model")
    _add_model(judge)
    judge.add_argument("--data", type=Path, help="a .csv, IDX or .zip file with labels (the official test set)")
    judge.add_argument("--json", type=Path, metavar="FILE", help="write the same report there too")
    judge.set_defaults(run=evaluate)

    versus = commands.add_parser("compare", help="accuracy of several models on the same images, and McNemar's test")
    versus.add_argument("models", nargs="+", metavar="MODEL", help="versions, aliases, shipped models or folders")
    versus.add_argument("--on", choices=("validation", "test"), default="validation", help="(%(default)s)")
    versus.set_defaults(run=compare)

    rank = commands.add_parser("novelty", help="compare novelty scores on a model, to choose the one to serve")
    _add_model(rank)
    rank.set_defaults(run=compare_novelty)

    again = commands.add_parser("report", help="fit and measure a shipped model anew, without training")
    again.add_argument("--shipped", required=True, metavar="NAME", help="rewrite files and card of ml/shipped/NAME")
    again.set_defaults(run=refresh)

    use = commands.add_parser("predict", help="classify picture files")
    _add_model(use)
    use.add_argument("files", nargs="+", type=Path, metavar="FILE")
    use.add_argument("--explain", type=Path, metavar="DIR", help="write pictures there of where the model looks")
    use.set_defaults(run=predict)

    _add_photos(commands.add_parser("train-photos", help="make the network for photos anew"))

    commands.add_parser("networks", help="list the architectures").set_defaults(run=list_networks)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    which = "a version (v3), an alias, a shipped model's name, or a folder (%(default)s)"
    parser.add_argument("--model", default=DEFAULT_MODEL, help=which)


def _add_photos(parser: argparse.ArgumentParser) -> None:
    recipe = SHIPPED / releases.PHOTOS / "spec.json"
    parser.add_argument("--recipe", type=Path, default=recipe, metavar="FILE", help="in JSON (%(default)s)")
    parser.add_argument("--out", type=Path, default=SHIPPED / releases.PHOTOS, metavar="DIR", help="(%(default)s)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the renderings of photos there")
    parser.set_defaults(run=train_photos)


def _add_train(parser: argparse.ArgumentParser) -> None:
    defaults = TrainingSpec()
    for each in fields(TrainingSpec):
        flag, default = "--" + each.name.replace("_", "-"), getattr(defaults, each.name)
        if each.name == "hyperparameters":
            parser.add_argument("--set", dest=each.name, action="append", metavar="NAME=VALUE", help="a hyperparameter")
        elif each.name == "network":
            parser.add_argument(flag, help=f"one of {', '.join(networks.names())} ({default})")
        elif isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=f"({default})")
        else:
            parser.add_argument(flag, type=type(default), help=f"({default})")
    parser.add_argument(
        "--spec", type=Path, metavar="FILE", help="a training spec in JSON, or a list of stages; options override it"
    )
    parser.add_argument("--base", type=Path, metavar="DIR", help="start from the weights of the model in this folder")
    parser.add_argument(
        "--teacher", type=Path, action="append", default=[], metavar="DIR",
        help="learn from the answers of the model in this folder too, as much as --distill says; may be given often",
    )
    parser.add_argument("--data", type=Path, help="a .csv, IDX or .zip file with labels (Fashion-MNIST)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the files there instead of publishing a version")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="save the run there, and go on from it")
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, default=None, help="a live bar (where a terminal is)"
    )
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write event files for TensorBoard there")
    parser.set_defaults(run=train)


def train(options: argparse.Namespace, settings: Settings) -> None:
    """Train as the options say, then publish a version or write a folder."""
    specs, out = _specs(options), options.out
    data = _training_data(options.data, settings)
    # Only commands that train need TensorFlow, which takes seconds to load.
    tensorflow_environment.prepare()
    from ml.export import KERAS, ExportFailed, Stage, package
    from ml.keras_files import to_keras
    from ml.training import TrainingDiverged, WrongBase, WrongCheckpoint

    earlier: list[Stage] = []
    base = options.base.joinpath(KERAS).read_bytes() if options.base else None
    try:
        for number, spec in enumerate(specs[:-1], 1):
            print(f"stage {number} of {len(specs)}", flush=True)
            trained = _train(spec, data, _numbered(options.checkpoint, number), base, options)
            earlier.append(Stage(spec, trained.history))
            base = to_keras(trained.model)
        trained = _train(specs[-1], data, options.checkpoint, base, options)
        name = options.data.name if options.data else "fashion-mnist"
        # Other data is not what the figures of releases are compared on.
        full_report = options.data is None
        made = package(trained, specs[-1], data, name, earlier, _digests(options.teacher), full_report)
    except (ExportFailed, TrainingDiverged, WrongBase, WrongCheckpoint) as error:
        raise CommandFailed(str(error)) from error
    if out is None:
        card, contents = releases.with_photos(made.card, made.files)
        where = open_local(open_artifacts(settings.artifacts())).publish(contents, card)
    else:
        _write(out, made.files, made.card)
        where = str(out)
    test = made.card["metrics"]["test"]
    print(f"{where}: {test['accuracy']:.2%} of {test['images']:,} test images, by {made.card['serving']['artifact']}.")


def train_photos(options: argparse.Namespace, settings: Settings) -> None:
    """Make the network for photos as the recipe says, and write it to a folder."""
    folders = Path(settings.photos_dir) if settings.photos_dir else None
    split = photos.split(photos.load_photos(folders))
    fashion = datasets.split_official(*_fashion_mnist(settings))
    assert fashion.indexes is not None
    tensorflow_environment.prepare()
    from ml import photo_training
    from ml.export import ExportFailed
    from ml.training import TrainingDiverged, WrongBase

    recipe = photo_training.read_recipe(options.recipe)
    earlier = (SHIPPED / "accurate" / "model.keras").read_bytes()
    try:
        made = photo_training.make(
            recipe, split, fashion.training, fashion.indexes, earlier, options.cache, partial(print, flush=True)
        )
    except (ExportFailed, TrainingDiverged, WrongBase) as error:
        raise CommandFailed(str(error)) from error
    _write(options.out, made.files, made.card, ["photos.*"])
    test = made.card["metrics"]["test"]
    print(f"{options.out}: {test['accuracy']:.2%} of {test['images']:,} photos, by {made.card['serving']['artifact']}.")


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


def _numbered(path: Path | None, number: int) -> Path | None:
    return path and path.with_stem(f"{path.stem}-{number}")


def _pair(text: str) -> tuple[str, int | float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.isdecimal() else float(value)
    except ValueError:
        raise CommandFailed(f"--set takes NAME=NUMBER, not {text!r}.") from None


def _training_data(path: Path | None, settings: Settings) -> Split:
    if path is not None:
        return datasets.split_in_three(_labelled(path))
    official, test = _fashion_mnist(settings)
    return datasets.split_official(official, test)


def _fashion_mnist(settings: Settings) -> tuple[Dataset, Dataset]:
    directory = Path(settings.data_dir) if settings.data_dir else None
    return datasets.load_fashion_mnist(directory, settings.home / "datasets" / "fashion-mnist")


def _labelled(path: Path) -> Dataset:
    images, labels = datasets.read_file(path)
    if labels is None:
        raise CommandFailed(f"{path} has no labels.")
    return Dataset(images, labels)


def _train(
    spec: TrainingSpec, data: Split, checkpoint: Path | None, base: bytes | None, options: argparse.Namespace
) -> Any:
    from tqdm import tqdm

    from ml.distillation import ensemble
    from ml.training import Epoch, Progress, train as run

    # No bar where nobody watches: only the lines of on_epoch.
    bar = tqdm(unit="step", smoothing=0.05, disable=None if options.progress is None else not options.progress)
    logs: list[Callable[[Epoch], None]] = []

    def on_step(progress: Progress) -> None:
        bar.total = progress.total
        bar.set_postfix(epoch=progress.epoch, loss=f"{progress.loss:.3f}", refresh=False)
        bar.update(progress.done - bar.n)

    def on_epoch(row: Epoch) -> None:
        bar.write(
            f"epoch {row.epoch}/{spec.epochs}: loss {row.loss:.4f}, accuracy {row.accuracy:.2%}, validation loss "
            f"{row.val_loss:.4f}, validation accuracy {row.val_accuracy:.2%}, {row.seconds:.0f} s"
        )
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


def _write(folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], stale: Sequence[str] = _STALE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (found for pattern in stale for found in folder.glob(pattern)):
        path.unlink()
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    folder.joinpath("card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def evaluate(options: argparse.Namespace, settings: Settings) -> None:
    """Print how good a model is on test data, on corrupted and strange pictures, and on photos."""
    from ml import report_commands

    card, read = _find(options.model, settings)
    data = _labelled(options.data) if options.data else _fashion_mnist(settings)[1]
    with _explained(options.model):
        report_commands.evaluate(card, read, data, _photos_dir(settings), options.json)


def compare(options: argparse.Namespace, settings: Settings) -> None:
    """Print accuracy of several models, their mean and spread, and whether their differences are more than luck."""
    from ml import report_commands

    found = [(name, *_find(name, settings)) for name in options.models]
    data = getattr(_training_data(None, settings), options.on)
    report_commands.compare(found, data)


def compare_novelty(options: argparse.Namespace, settings: Settings) -> None:
    """Print how well and at what cost each novelty score tells pictures of no class."""
    from ml import report_commands

    card, read = _find(options.model, settings)
    with _explained(options.model):
        report_commands.compare_novelty(card, read, _training_data(None, settings), _photos_dir(settings))


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except DatasetError:
        raise
    except ValueError as error:  # a version that lacks a file
        raise CommandFailed(f"{model}: {error}") from error


def _photos_dir(settings: Settings) -> Path | None:
    return Path(settings.photos_dir) if settings.photos_dir else None


def refresh(options: argparse.Namespace, settings: Settings) -> None:
    """Rewrite a shipped model's card, novelty detector and neighbors from its files."""
    folder = SHIPPED / options.shipped
    if not folder.joinpath("card.json").is_file():
        raise CommandFailed(f"There is no shipped model {options.shipped!r}; these are: {', '.join(releases.names())}.")
    card = json.loads(folder.joinpath("card.json").read_bytes())
    data = _training_data(None, settings)
    tensorflow_environment.prepare()
    from ml.export import ExportFailed, refresh as again
    from ml.report_commands import bar

    try:
        made = again({path.name: path.read_bytes() for path in folder.glob("model.*")}, card, data, track=bar)
    except ExportFailed as error:
        raise CommandFailed(str(error)) from error
    _write(folder, made.files, made.card)
    print(f"{folder}: {made.card['metrics']['test']['accuracy']:.2%} of the test images; card and files are rewritten.")


def predict(options: argparse.Namespace, settings: Settings) -> int:
    """Print label, confidence and novelty of each file; 1 if one of them is no picture."""
    classifier = _load(options.model, settings).classifier
    failed = False
    for path in options.files:
        try:
            image = read_image(path.read_bytes(), settings.max_pixels)
        except (InvalidImage, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed = True
            continue
        print(f"{path}: {_answer(classifier, image)}")
        if options.explain is not None:
            _explain(classifier, image, options.explain / f"{path.stem}-explained.png")
    return int(failed)


def _answer(classifier: Classifier, image: ContractImage) -> str:
    found = classifier.classify(np.frombuffer(image.pixels, np.uint8)[None], np.array([image.is_photo]))
    label = int(found.probabilities[0].argmax())
    remarks = [] if found.is_fashion[0] else ["unlike anything it was trained on"]
    remarks += [warning.code for warning in image.warnings]
    text = f"{CLASS_NAMES[label]}, confidence {found.probabilities[0, label]:.1%}, novelty {found.novelty[0]:.2f}"
    return "; ".join([text, *remarks])


def _explain(classifier: Classifier, image: ContractImage, path: Path) -> None:
    explanation = classifier.explain(np.frombuffer(image.pixels, np.uint8), image.is_photo)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_overlay(image.pixels, explanation.heat))


def list_networks(options: argparse.Namespace, settings: Settings) -> None:
    """Print the name of each network and the limits of its hyperparameters."""
    for name in networks.names():
        limits = ", ".join(f"{key} {low:g} to {high:g}" for key, (low, high) in networks.limits(name).items())
        print(f"{name}: {limits}")


def _load(name: str, settings: Settings) -> Model:
    card, read = _find(name, settings)
    return Model(Classifier(card, read), card)


def _find(name: str, settings: Settings) -> tuple[Mapping[str, Any], Callable[[str], bytes | None]]:
    """The card of a model, and what reads its files."""
    for folder in (Path(name), SHIPPED / name):
        if releases.is_model(folder):
            card, contents = releases.with_photos(*releases.read(folder))
            return card, contents.get
    registry = open_local(open_artifacts(settings.artifacts()))
    try:
        version = registry.resolve(name)
        return registry.card(version), partial(registry.find, version)
    except (UnknownModel, ArtifactNotFound) as error:
        raise CommandFailed(
            f"There is no model {name!r}: no folder with a card.json, none of the shipped "
            f"({', '.join(releases.names())}), no version or alias in the registry."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
