"""The OpenAPI document is the code's, and complete enough to generate clients from."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from processes import ROOT

DOCUMENT = ROOT / "openapi" / "openapi.json"
SPEC: dict[str, Any] = json.loads(DOCUMENT.read_bytes())
TAGS = {
    "predictions", "batches", "training-jobs", "tuning-jobs", "models", "aliases", "datasets", "keys",
    "webhook-deliveries", "webhook-secret", "health",
}  # fmt: skip


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in SPEC["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield f"{method.upper()} {path}", operation


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from nodes(inner)


every_operation = pytest.mark.parametrize("operation", [pytest.param(o, id=name) for name, o in operations()])


def test_the_committed_document_is_what_the_code_says() -> None:
    printed = subprocess.run([sys.executable, "-m", "api"], cwd=ROOT, capture_output=True, check=True, text=True)

    assert printed.stdout == DOCUMENT.read_text()


def test_operation_ids_are_unique_and_in_camel_case() -> None:
    names = [operation["operationId"] for _, operation in operations()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", name) for name in names)


@every_operation
def test_every_operation_is_described(operation: dict[str, Any]) -> None:
    assert operation["summary"] and operation["description"]
    assert len(operation["tags"]) == 1 and set(operation["tags"]) <= TAGS


@every_operation
def test_every_answer_is_described_with_its_schema_and_there_is_no_default(operation: dict[str, Any]) -> None:
    assert "default" not in operation["responses"]
    assert "500" in operation["responses"]
    for status, answer in operation["responses"].items():
        assert answer["description"]
        if status in ("204", "304"):
            assert "content" not in answer
        elif int(status) >= 400:
            reference = answer["content"]["application/problem+json"]["schema"]
            assert reference == {"$ref": "#/components/schemas/Problem"}
        else:
            assert answer["content"]
        if status == "503":
            assert "Retry-After" in answer["headers"]


@every_operation
def test_every_parameter_is_described(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]


def test_every_field_of_every_schema_is_described() -> None:
    for name, schema in SPEC["components"]["schemas"].items():
        for field, said in schema.get("properties", {}).items():
            assert "description" in said or "$ref" in said, f"{name}.{field}"


def test_every_reference_leads_somewhere() -> None:
    for node in nodes(SPEC):
        if isinstance(node.get("$ref"), str):
            target: Any = SPEC
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]


def test_no_schema_is_nullable_and_no_vocabulary_is_closed() -> None:
    """Generators stumble on nullable nested schemas, and generated enums break on a new state."""
    for name, schema in SPEC["components"]["schemas"].items():
        assert not any("nullable" in node for node in nodes(schema)), name
        assert "enum" not in schema.get("properties", {}).get("status", {}), name


def test_there_is_nothing_that_generators_of_clients_warn_of() -> None:
    """`make sdk-foreign-check` asks them."""
    for schema in nodes(SPEC["components"]["schemas"]):
        if schema.get("type") in ("object", "array"):
            assert not {"maxLength", "minLength", "pattern"} & set(schema), schema
    for name, operation in operations():
        for body in operation.get("requestBody", {}).get("content", {}).values():
            assert not {"example", "examples"} & set(body), name
        # In C# a version is a class of the language's own.
        assert "version" not in {parameter["name"] for parameter in operation.get("parameters", [])}, name


def test_every_schema_is_used() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in nodes(SPEC) if isinstance(node.get("$ref"), str)}

    # A line of a batch's results is a schema of no body.
    assert set(SPEC["components"]["schemas"]) - used == {"BatchItem"}


def test_problems_do_not_come_as_plain_json() -> None:
    for name, operation in operations():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}, f"{name} {status}"
