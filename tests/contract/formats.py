"""What JSON Schema cannot say: which strings are pictures or models, and what goes together. Read by schemathesis."""

import base64
import gzip
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis import Case, HookContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.transport.serialization import Binary

_ROOT = Path(__file__).parents[2]
_SAMPLES = {path.stem: path.read_bytes() for path in sorted((_ROOT / "api" / "console" / "samples").glob("*.png"))}
_IMAGES = [base64.b64encode(picture).decode() for picture in _SAMPLES.values()]
_SHIPPED = json.loads((_ROOT / "ml" / "shipped" / "small" / "card.json").read_bytes())

for name, values in {
    "model-name": ["production", "small", "v1"],
    "version-id": ["v1"],
    "base-version": ["production", "v1"],
    "network-name": [_SHIPPED["network"], "tutorial_cnn"],
    "dataset-name": ["fashion-mnist"],
}.items():
    schemathesis.openapi.format(name, strategies.sampled_from(values))
schemathesis.openapi.format(
    "base64-image",
    strategies.sampled_from(_IMAGES) | strategies.sampled_from(_IMAGES).map("data:image/png;base64,{}".format),
)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, picture in _SAMPLES.items():
            archive.writestr(f"{name}/1.png", picture)
    return file.getvalue()


_CSV = "\n".join(",".join([str(label), *["0"] * 784]) for label in range(10)).encode()
_PAIR = {
    "images": struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 28, 28) + bytes(range(196)) * 8,
    "labels": gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 2) + b"\3\7"),
}


def send_real_files(context: HookContext, case: Case) -> Case:
    """Of five optional parts, three are files of given formats, and one excludes the other two."""
    if _is_meant_well(case):
        given = {"file", "images", "labels"} & case.body.keys()
        files = _PAIR if given == {"images", "labels"} else {"file": _zip() if given else _CSV}
        words = {name: value for name, value in case.body.items() if name not in given}
        _replace(case, words | {name: Binary(content) for name, content in files.items()})
    return case


def send_real_pictures(context: HookContext, case: Case) -> Case:
    """A form with a file of pictures, and labels only where that is IDX."""
    if _is_meant_well(case) and case.media_type == "multipart/form-data":
        words = {name: value for name, value in case.body.items() if name not in ("file", "labels", "metadata")}
        if "metadata" in case.body:
            words["metadata"] = json.dumps(case.body["metadata"])
        files = {"file": _PAIR["images"], "labels": _PAIR["labels"]} if "labels" in case.body else {"file": _zip()}
        _replace(case, words | {name: Binary(content) for name, content in files.items()})
    return case


def ask_for_what_goes_together(context: HookContext, case: Case) -> Case:
    """A network has hyperparameters of its own, and starts from weights of its own."""
    if _is_meant_well(case):
        chosen: dict[str, Any] = {}
        if "hyperparameters" in case.body:
            chosen["hyperparameters"] = {}
        if "base_version" in case.body:
            chosen["network"] = _SHIPPED["network"]
        _replace(case, case.body | chosen)
        case.headers.pop("Prefer", None)  # nobody trains while this runs, so there is nothing to wait for
    return case


def search_what_can_be_searched(context: HookContext, case: Case) -> Case:
    """A field is searched or has a value, is searched in choices or in a range, and within limits of its own."""
    ask_for_what_goes_together(context, case)
    if _is_meant_well(case):
        fixed = {name: value for name, value in case.body.items() if name not in ("learning_rate", "batch_size")}
        space = {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}, "batch_size": {"choices": [64, 128]}}
        _replace(case, fixed | {"search_space": space})
    return case


def _is_meant_well(case: Case) -> bool:
    return isinstance(case.body, dict) and (case.meta is None or case.meta.generation.mode.is_positive)


def _replace(case: Case, body: dict[str, Any]) -> None:
    """Another body, of the same intention: schemathesis would judge it anew, and takes files for a violation."""
    case.body = body
    if case._meta is not None:
        case._meta.update_validated_hash(ParameterLocation.BODY, case._hash_container(body))
        case._meta.clear_dirty(ParameterLocation.BODY)


_WHOLE = {
    "/v1/batches": send_real_pictures,
    "/v1/datasets": send_real_files,
    "/v1/training-jobs": ask_for_what_goes_together,
    "/v1/tuning-jobs": search_what_can_be_searched,
}
for path, hook in _WHOLE.items():
    schemathesis.hook("map_case").apply_to(method="POST", path=path)(hook)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """What may be done with what was made, where names and Location headers alone do not tell."""
    for made, name in (("/v1/batches", "batch_id"), ("/v1/tuning-jobs", "tune_id")):
        links = {
            operation["operationId"]: {
                "operationId": operation["operationId"], "parameters": {name: "$response.body#/id"},
            }
            for path, operations in raw_schema["paths"].items() if f"{{{name}}}" in path
            for operation in operations.values() if isinstance(operation, dict) and "operationId" in operation
        }  # fmt: skip
        for status in ("201", "202"):
            raw_schema["paths"][made]["post"]["responses"][status]["links"] = links


@schemathesis.hook
def before_add_examples(context: HookContext, examples: list[Case]) -> None:
    """Examples do not pass by `map_case`."""
    for case in examples:
        if case.method == "POST" and case.path in _WHOLE:
            _WHOLE[case.path](context, case)
