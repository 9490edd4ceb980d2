"""Holds rendered Kubernetes objects against the published schemas: `validate_kubernetes.py FILE…`, in an environment
with kubernetes-validate, which has the JSON schemas of every Kubernetes, and cloudcoil-models-keda, which has the types
of KEDA's objects, generated from its definitions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda

KUBERNETES = ("1.30", "1.37")  # the oldest that is promised, and the newest that there is
KEDA = {kind: getattr(keda, kind) for kind in ("ScaledObject", "ScaledJob", "TriggerAuthentication")}


def problems(thing: dict[str, Any]) -> Iterator[str]:
    """What is wrong with an object."""
    if thing["apiVersion"] == "keda.sh/v1alpha1":
        if job := thing["spec"].get("jobTargetRef"):
            # Its pod is Kubernetes' own, of which the types of KEDA know less than the schemas.
            yield from problems({"apiVersion": "batch/v1", "kind": "Job", "spec": job})
            bare = job | {"template": {"spec": {"containers": []}}}
            thing = thing | {"spec": thing["spec"] | {"jobTargetRef": bare}}
        yield from _unlike_type(thing)
        return
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as wrong:
            yield f"{version}: {'.'.join(map(str, wrong.path))}: {wrong.message}"


def _unlike_type(thing: dict[str, Any]) -> Iterator[str]:
    try:
        understood = KEDA[thing["kind"]].model_validate(thing).model_dump(by_alias=True, exclude_none=True, mode="json")
    except ValueError as wrong:
        yield str(wrong)
        return
    # The types pass over what they do not know.
    yield from (f"unknown: {place}" for place in _missing(thing, understood, ""))


def _missing(given: Any, kept: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict):
        for name, value in given.items():
            if not isinstance(kept, dict) or name not in kept:
                yield f"{place}.{name}"
            else:
                yield from _missing(value, kept[name], f"{place}.{name}")
    elif isinstance(given, list):
        for number, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from _missing(value, other, f"{place}[{number}]")


def main(files: list[str]) -> int:
    wrong = 0
    for file in files:
        things = list(yaml.safe_load_all(Path(file).read_text()))
        found = [f"{thing['kind']} {thing['metadata']['name']}: {said}" for thing in things for said in problems(thing)]
        print(f"{file}: {len(things)} objects, {len(found)} problems", *found, sep="\n  ")
        wrong += len(found)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
