"""The command line, without any queue or server: `python -m ml --help` lists what it can do."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import networks, releases, train_commands
from ml.artifacts import ArtifactNotFound, open_artifacts
from ml.datasets import DatasetError
from ml.images import CLASS_NAMES, ContractImage, InvalidImage, read_image
from ml.overlays import render_overlay
from ml.registry import UnknownModel, open_local
from ml.runtime import Classifier
from ml.spec import InvalidSpec, TrainingSpec
from ml.train_commands import SHIPPED, CommandFailed
from settings import InvalidSetting, Settings

DEFAULT_MODEL: Final = releases.PRODUCTION_MODEL


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

    made = commands.add_parser("package", help="make a version of what `python -m ml.accelerated` trained")
    made.add_argument("folder", type=Path, metavar="RUN", help="its folder")
    made.add_argument("--data", type=Path, help="the .csv, IDX or .zip file that it was trained on (Fashion-MNIST)")
    made.add_argument("--out", type=Path, metavar="DIR", help="write the files there instead of publishing a version")
    made.set_defaults(run=train_commands.package_run)

    again = commands.add_parser("report", help="fit and measure a shipped model anew, without training")
    again.add_argument("--shipped", required=True, metavar="NAME", help="rewrite files and card of ml/shipped/NAME")
    again.set_defaults(run=train_commands.refresh)

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
    lends = "this model teaches, and lends its weights where the recipe says so (%(default)s)"
    parser.add_argument("--base", type=Path, default=Path("runs/long"), metavar="DIR", help=lends)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the renderings of photos there")
    parser.set_defaults(run=train_commands.train_photos)


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
    parser.set_defaults(run=train_commands.train)


def evaluate(options: argparse.Namespace, settings: Settings) -> None:
    """Print how good a model is on test data, on corrupted and strange pictures, and on photos."""
    from ml import report_commands

    card, read = _find(options.model, settings)
    data = train_commands.labelled(options.data) if options.data else train_commands.fashion_mnist(settings)[1]
    with _explained(options.model):
        report_commands.evaluate(card, read, data, _photos_dir(settings), options.json)


def compare(options: argparse.Namespace, settings: Settings) -> None:
    """Print accuracy of several models, their mean and spread, and whether their differences are more than luck."""
    from ml import report_commands

    found = [(name, *_find(name, settings)) for name in options.models]
    data = getattr(train_commands.training_data(None, settings), options.on)
    report_commands.compare(found, data)


def compare_novelty(options: argparse.Namespace, settings: Settings) -> None:
    """Print how well and at what cost each novelty score tells pictures of no class."""
    from ml import report_commands

    card, read = _find(options.model, settings)
    with _explained(options.model):
        report_commands.compare_novelty(card, read, train_commands.training_data(None, settings), _photos_dir(settings))


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
