"""The command line, without any queue or server: `python -m ml --help` lists what it can do."""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml import datasets, evaluation, networks, photo_evaluation, photo_rendering, photos
from ml.artifacts import ArtifactNotFound, open_artifacts
from ml.datasets import Dataset, DatasetError, Split
from ml.images import CLASS_NAMES, InvalidImage, read_image
from ml.registry import UnknownModel, open_local
from ml.runtime import Classifier
from ml.spec import InvalidSpec, TrainingSpec
from settings import InvalidSetting, Settings

SHIPPED: Final = Path(__file__).parent / "shipped"
DEFAULT_MODEL: Final = "small"
PHOTOS: Final = "photos"


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

    judge = commands.add_parser("evaluate", help="accuracy, calibration and confusion of a model")
    _add_model(judge)
    judge.add_argument("--data", type=Path, help="a .csv, IDX or .zip file with labels (the official test set)")
    judge.set_defaults(run=evaluate)

    use = commands.add_parser("predict", help="classify picture files")
    _add_model(use)
    use.add_argument("files", nargs="+", type=Path, metavar="FILE")
    use.set_defaults(run=predict)

    _add_photos(commands.add_parser("train-photos", help="make the network for photos anew, in ml/shipped/photos"))

    compare = commands.add_parser("evaluate-photos", help="a model on photos, next to the network for photos")
    _add_model(compare)
    compare.add_argument("--part", choices=("validation", "held_out"), default="held_out", help="(%(default)s)")
    compare.set_defaults(run=evaluate_photos)

    commands.add_parser("networks", help="list the architectures").set_defaults(run=list_networks)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    which = "a version (v3), an alias, a shipped model's name, or a folder (%(default)s)"
    parser.add_argument("--model", default=DEFAULT_MODEL, help=which)


def _add_photos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", type=Path, default=SHIPPED / PHOTOS / "spec.json", metavar="FILE", help="in JSON")
    parser.add_argument("--out", type=Path, default=SHIPPED / PHOTOS, metavar="DIR", help="(%(default)s)")
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
    parser.add_argument("--shipped", metavar="NAME", help="train ml/shipped/NAME anew, from its spec.json")
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
    if options.shipped:
        out = SHIPPED / options.shipped
    data = _training_data(options.data, settings)
    # Only this command needs TensorFlow, which takes seconds to load.
    from ml.export import ExportFailed, Stage, package, to_keras
    from ml.training import TrainingDiverged, WrongBase, WrongCheckpoint

    earlier: list[Stage] = []
    base: bytes | None = None
    try:
        for number, spec in enumerate(specs[:-1], 1):
            print(f"stage {number} of {len(specs)}", flush=True)
            trained = _train(spec, data, _numbered(options.checkpoint, number), base, options)
            earlier.append(Stage(spec, trained.history))
            base = to_keras(trained.model)
        trained = _train(specs[-1], data, options.checkpoint, base, options)
        made = package(trained, specs[-1], data, options.data.name if options.data else "fashion-mnist", earlier)
    except (ExportFailed, TrainingDiverged, WrongBase, WrongCheckpoint) as error:
        raise CommandFailed(str(error)) from error
    if out is None:
        where = open_local(open_artifacts(settings.artifacts())).publish(made.files, made.card)
    else:
        _write(out, made.files, made.card)
        where = str(out)
    test = made.card["metrics"]["test"]
    print(f"{where}: {test['accuracy']:.2%} of {test['images']:,} test images, by {made.card['serving']['artifact']}.")


def train_photos(options: argparse.Namespace, settings: Settings) -> None:
    """Make the network for photos as the recipe says, and write it to a folder."""
    split = photos.split(_photos(settings))
    fashion, _ = datasets.split(_fashion_mnist(settings)[0])
    from ml import photo_training
    from ml.export import ExportFailed
    from ml.training import TrainingDiverged, WrongBase

    recipe = photo_training.read_recipe(options.recipe)
    earlier = (SHIPPED / DEFAULT_MODEL / "model.keras").read_bytes()
    try:
        made = photo_training.make(recipe, split, fashion, earlier, options.cache, lambda line: print(line, flush=True))
    except (ExportFailed, TrainingDiverged, WrongBase) as error:
        raise CommandFailed(str(error)) from error
    _write(options.out, made.files, made.card, "photos.*")
    test = made.card["metrics"]["test"]
    print(f"{options.out}: {test['accuracy']:.2%} of {test['images']:,} photos, by {made.card['serving']['artifact']}.")


def _photos(settings: Settings) -> photos.Photos:
    return photos.load_photos(Path(settings.photos_dir) if settings.photos_dir else None)


def _specs(options: argparse.Namespace) -> list[TrainingSpec]:
    path = SHIPPED / options.shipped / "spec.json" if options.shipped else options.spec
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
    return Split(*datasets.split(official), test)


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

    resume = checkpoint.read_bytes() if checkpoint is not None and checkpoint.is_file() else None
    with bar, ExitStack() as stack:
        logs += [stack.enter_context(each) for each in _run_logs(spec, options)]
        return run(
            spec, data.training, data.validation,
            base=base, resume=resume,
            on_step=on_step, on_epoch=on_epoch, on_checkpoint=on_checkpoint if checkpoint else None,
        )


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


def _write(folder: Path, files: Mapping[str, bytes], card: Mapping[str, Any], stale: str = "model.*") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(stale):
        path.unlink()
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    folder.joinpath("card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def evaluate(options: argparse.Namespace, settings: Settings) -> None:
    """Print accuracy, loss, calibration error, per-class figures and the confusion matrix, as served."""
    model = _load(options.model, settings)
    data = _labelled(options.data) if options.data else _fashion_mnist(settings)[1]
    probabilities = model.classifier.classify(data.images.reshape(len(data), -1)).probabilities
    # softmax undoes the logarithm, so calibrated probabilities pass for logits.
    found = evaluation.metrics(np.log(np.maximum(probabilities, 1e-30)), data.labels, temperature=1)
    low, high = found["accuracy_interval"]
    print(f"images    {found['images']:,}")
    print(f"accuracy  {found['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})")
    print(f"loss      {found['loss']:.4f}")
    print(f"ECE       {found['ece']:.4f}\n")
    print(f"{'class':<12} precision  recall  images   confusion (columns: predicted 0 to {len(CLASS_NAMES) - 1})")
    for each, row in zip(found["per_class"], found["confusion_matrix"], strict=True):
        counts = " ".join(f"{count:5}" for count in row)
        print(f"{each['label']:<12} {each['precision']:9.2%} {each['recall']:7.2%} {each['images']:7,}  {counts}")


def evaluate_photos(options: argparse.Namespace, settings: Settings) -> None:
    """Print for each folder of photos how many a model gets right alone, and how many the network for photos does."""
    part = getattr(photos.split(_photos(settings)), options.part)
    images = photo_rendering.as_served(part).reshape(len(part), -1)
    folders = np.array(part.folders)
    shipped = [PHOTOS] if (SHIPPED / PHOTOS / "card.json").is_file() else []
    for name in dict.fromkeys([options.model, *shipped]):
        found = _load(name, settings).classifier.classify(images)
        answers = photo_evaluation.by_folder(found.probabilities.argmax(axis=1), part)
        novel = {folder: 1 - float(found.is_fashion[folders == folder].mean()) for folder in photos.FOLDERS}
        known = part.have_class
        separation = photo_evaluation.auroc(found.novelty[known], found.novelty[~known])
        print(f"{name}: {options.part} photos", *photo_evaluation.table(answers, novel), sep="\n")
        print(f"AUROC of novelty, garments of no class against the others: {separation:.3f}\n")


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
        found = classifier.classify(np.frombuffer(image.pixels, np.uint8)[None])
        label = int(found.probabilities[0].argmax())
        remarks = [] if found.is_fashion[0] else ["unlike anything it was trained on"]
        remarks += [warning.code for warning in image.warnings]
        text = f"{path}: {CLASS_NAMES[label]}, confidence {found.probabilities[0, label]:.1%}"
        print("; ".join([f"{text}, novelty {found.novelty[0]:.2f}", *remarks]))
    return int(failed)


def list_networks(options: argparse.Namespace, settings: Settings) -> None:
    """Print the name of each network and the limits of its hyperparameters."""
    for name in networks.names():
        limits = ", ".join(f"{key} {low:g} to {high:g}" for key, (low, high) in networks.limits(name).items())
        print(f"{name}: {limits}")


def _load(name: str, settings: Settings) -> Model:
    for folder in (Path(name), SHIPPED / name):
        if (folder / "card.json").is_file():
            card = json.loads((folder / "card.json").read_bytes())
            return Model(Classifier((folder / card["serving"]["artifact"]).read_bytes(), card), card)
    registry = open_local(open_artifacts(settings.artifacts()))
    try:
        version = registry.resolve(name)
        card = registry.card(version)
        return Model(Classifier(registry.file(version, card["serving"]["artifact"]), card), card)
    except (UnknownModel, ArtifactNotFound) as error:
        shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob("*/card.json")))
        raise CommandFailed(
            f"There is no model {name!r}: no folder with a card.json, none of the shipped ({shipped}), no version or "
            "alias in the registry."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
