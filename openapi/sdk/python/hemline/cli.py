"""The command line: `hemline predict photo.jpg`, `hemline train --epochs 5`, …"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tqdm import tqdm

from hemline.client import DEFAULT_URL, Client, Training
from hemline.errors import HemlineError
from hemline_api.models import BatchItem

# Fields of a training job as options: name, type, help.
_SPEC: tuple[tuple[str, type, str], ...] = (
    ("network", str, "architecture"), ("dataset", str, "fashion-mnist, or the id of a data set of your own"),
    ("base_version", str, "start from the weights of this version"), ("epochs", int, "passes over the data"),
    ("batch_size", int, "pictures in one step"), ("optimizer", str, "muon, sgd or adamw"),
    ("learning_rate", float, "highest rate"), ("weight_decay", float, "decoupled weight decay"),
    ("seed", int, "decides order, augmentation and first weights"), ("fraction", float, "share of the data to use"),
    ("drawn", float, "share of that which an epoch sees, by importance"),
    ("patience", int, "end when so many epochs brought nothing"),
    ("promote", str, "never, if_better or always"), ("description", str, "your own words"),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done. 1: the service, or a picture, was at fault. 2: the command was. 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        with Client(options.url, options.api_key, timeout=options.timeout) as client:
            status: int = options.run(client, options)
            return status
    except HemlineError as error:
        print(f"hemline: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"hemline: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def predict(client: Client, options: argparse.Namespace) -> int:
    """One line for each picture."""
    bad = 0
    items = client.classify_many(options.picture, model=options.model)
    for name, item in zip(options.picture, items, strict=True):
        bad += not item.result
        print(json.dumps({"file": name, **item.to_dict()}) if options.json else f"{name}\t{_answer(item)}", flush=True)
    return 1 if bad else 0


def _answer(item: BatchItem) -> str:
    if not item.result:
        return f"{item.status}: {item.error.detail}" if item.error else item.status
    notes = [] if item.result.is_fashion else ["looks like none of the classes"]
    notes += [warning.detail for warning in item.result.warnings]
    return "\t".join([item.result.label, f"{item.result.confidence:.1%}", *notes])


def train(client: Client, options: argparse.Namespace) -> int:
    """A bar that moves with the job, and a line for each epoch."""
    spec = {name: getattr(options, name) for name, _, _ in _SPEC}
    training = client.train(**{name: value for name, value in spec.items() if value is not None})
    print(training.id, flush=True)
    try:
        _follow(training)
    except KeyboardInterrupt:
        print(f"The job goes on. End it with: hemline cancel {training.id}", file=sys.stderr)
        raise
    result = training.result().result
    if result:
        print(f"{result.model_version}\t{'is in production' if result.promoted else 'is not in production'}")
    return 0


def _follow(training: Training) -> None:
    with tqdm(total=100, unit="%", desc="queued", bar_format="{desc} {bar} {n:.0f} % [{elapsed}{postfix}]") as bar:
        for event in training:
            if event.type == "progress":
                bar.update(max(0.0, 100 * event.data.get("fraction", 0) - bar.n))
                bar.set_description_str(f"{event.data.get('phase', 'training')} epoch {event.data.get('epoch', '')}")
                if "loss" in event.data:
                    bar.set_postfix_str(f"loss {event.data['loss']:.3f}")
            elif event.type == "epoch":
                row = event.data
                bar.write(f"epoch {row['epoch']}\tloss {row['loss']:.4f}\taccuracy {row['accuracy']:.2%}"
                          f"\tval_loss {row['val_loss']:.4f}\tval_accuracy {row['val_accuracy']:.2%}")  # fmt: skip
            else:
                bar.set_description_str(event.type)
            if event.type == "succeeded":
                bar.update(100 - bar.n)


def models(client: Client, options: argparse.Namespace) -> int:
    """Versions, newest first."""
    _rows(("version", "network", "test accuracy", "aliases"), (
        (model.version, model.network, f"{model.test.accuracy:.2%}" if model.test else "",
         ", ".join(model.aliases or ()))
        for model in client.models()
    ))  # fmt: skip
    return 0


def jobs(client: Client, options: argparse.Namespace) -> int:
    """Training jobs, newest first."""
    _rows(("job", "status", "done", "version"), (
        (job.id, job.status, f"{job.progress.fraction:.0%}" if job.progress else "",
         job.result.model_version if job.result else "")
        for job in client.jobs()
    ))  # fmt: skip
    return 0


def promote(client: Client, options: argparse.Namespace) -> int:
    """Move an alias."""
    alias = client.promote(options.version, options.alias)
    print(f"{alias.alias} is {alias.version}")
    return 0


def cancel(client: Client, options: argparse.Namespace) -> int:
    """End what is not needed."""
    client.cancel(options.id)
    print(f"{options.id} is canceled, or will be at its next step")
    return 0


def _rows(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    for row in (head, *rows):
        print("\t".join(map(str, row)).expandtabs(32).rstrip())


def _everywhere(**default: Any) -> argparse.ArgumentParser:
    """The options that may stand before and after the command."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("--url", help=f"where the service is (HEMLINE_URL, or {DEFAULT_URL})")
    parser.add_argument("--api-key", metavar="KEY", help="an API key (HEMLINE_API_KEY)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="how long to wait for an answer (60)")
    parser.set_defaults(**default)
    return parser


def _parser() -> argparse.ArgumentParser:
    environ = {"url": os.environ.get("HEMLINE_URL") or DEFAULT_URL, "api_key": os.environ.get("HEMLINE_API_KEY")}
    parser = argparse.ArgumentParser(
        "hemline", description="Classify pictures of clothes, and train the model.",
        parents=[_everywhere(**environ, timeout=60.0)],
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(run: Any, name: str, what: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=what, description=what.capitalize() + ".", parents=[_everywhere()])
        command.set_defaults(run=run)
        return command

    command = add(predict, "predict", "classify pictures")
    command.add_argument("picture", nargs="+", help="a PNG, JPEG, WebP, GIF, BMP or TIFF file")
    command.add_argument("--model", help="an alias or a version (production)")
    command.add_argument("--json", action="store_true", help="print a JSON document for each picture")

    command = add(train, "train", "train a new version and follow it")
    for name, kind, what in _SPEC:
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, help=what)

    add(models, "models", "list the versions of the model")
    add(jobs, "jobs", "list the training jobs")

    command = add(promote, "promote", "point an alias at a version")
    command.add_argument("version", help="as in `hemline models`")
    command.add_argument("--alias", default="production", help="(%(default)s)")

    command = add(cancel, "cancel", "cancel a job, a batch or a prediction")
    command.add_argument("id", help="job_…, batch_…, tune_… or pred_…")
    return parser


if __name__ == "__main__":
    sys.exit(main())
