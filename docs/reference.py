"""Write the reference pages of the guide from what they describe: `python docs/reference.py docs/guide`.

`make guide` runs it, `make guide-check` fails where a page is not what it would write.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "openapi" / "sdk" / "python")]
os.environ["COLUMNS"] = "100"  # for what argparse prints

from hemline.cli import main as hemline_command  # noqa: E402

from ml.__main__ import main as ml_command  # noqa: E402
from settings import MIB, Settings, variable  # noqa: E402
from workers.__main__ import main as workers_command  # noqa: E402

Command = Callable[[Sequence[str]], int]
_MADE = "This page is written by `make guide`"


def pages() -> dict[str, str]:
    """The text of each generated page, by file name."""
    written = {"http-api.md": http_api(), "settings.md": settings(), "command-line.md": command_line()}
    return {name: "\n".join(lines) + "\n" for name, lines in written.items()}


def http_api() -> Iterator[str]:
    """Every operation of the OpenAPI document, by resource, and every schema that they speak of."""
    document = json.loads((ROOT / "openapi" / "openapi.json").read_bytes())
    operations = [
        (method.upper(), path, operation, item.get("parameters", []))
        for path, item in document["paths"].items()
        for method, operation in item.items() if method != "parameters"
    ]  # fmt: skip
    yield from (
        "# HTTP API", "", f"{_MADE} from `openapi/openapi.json`. Swagger UI at `/docs` shows the same document and",
        "sends requests.", "", document["info"]["description"], "",
    )  # fmt: skip
    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
    for tag in dict.fromkeys(tag for _, _, operation, _ in operations for tag in operation["tags"]):
        yield from (f"## {_title(tag)}", "", described.get(tag, ""), "")
        yield from _table(("Operation", ""), [
            (f"`{method} {path}`", f"[{operation['summary']}](#{_anchor(operation['summary'])})")
            for method, path, operation, _ in operations if tag in operation["tags"]
        ])  # fmt: skip
        for method, path, operation, shared in operations:
            if tag in operation["tags"]:
                yield from _operation(method, path, operation, shared)
    yield from ("## Schemas", "", "Fields in **bold** are always there, or have to be given.", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        if schema.get("properties"):
            yield from _schema(name, schema)


def _operation(method: str, path: str, operation: Mapping[str, Any], shared: Sequence[Any]) -> Iterator[str]:
    yield from (f"### {operation['summary']}", "", f"`{method} {path}` · operation `{operation['operationId']}`", "")
    yield from (operation["description"], "")
    # Flask's path parameters come first and say nothing; ours replace them.
    parameters = {(each["in"], each["name"]): each for each in (*shared, *operation.get("parameters", []))}
    if parameters:
        yield from _table(("Parameter", "In", "Meaning"), [
            (_name(each["name"], each.get("required", False)), each["in"], _meaning(each["schema"] | each))
            for each in parameters.values()
        ])  # fmt: skip
    bodies = operation.get("requestBody", {}).get("content", {})
    if bodies:
        forms = (f"`{kind}`, {_type(body.get('schema', {}))}" for kind, body in bodies.items())
        yield from (f"The body is {'; or '.join(forms)}.", "")
    yield from _table(("Answer", "Body", "Meaning"), [
        (status, _bodies(answer), _cell(answer["description"]))
        for status, answer in sorted(operation["responses"].items())
    ])  # fmt: skip


def _bodies(answer: Mapping[str, Any]) -> str:
    kinds = answer.get("content", {})
    return ", ".join(
        _type(body.get("schema", {})) if "json" in kind and "jsonl" not in kind else f"`{kind}`"
        for kind, body in kinds.items()
    )


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if description := schema.get("description"):
        yield from (description, "")
    required = schema.get("required", [])
    yield from _table(("Field", "Type", "Meaning"), [
        (_name(field, field in required), _type(values), _meaning(values))
        for field, values in schema["properties"].items()
    ])  # fmt: skip


def _type(schema: Mapping[str, Any]) -> str:
    if "allOf" in schema:
        return " and ".join(map(_type, schema["allOf"]))
    if reference := schema.get("$ref", "").rpartition("/")[2]:
        return f"[{reference}](#{_anchor(reference)})"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        values = schema["additionalProperties"]
        return f"object of {_type(values)}" if values else "object"
    return "file" if schema.get("format") == "binary" else str(kind)


def _meaning(schema: Mapping[str, Any]) -> str:
    """What a field says of itself, its choices, its limits and its default."""
    said = [schema.get("description", "").strip()]
    items = schema.get("items", {})
    if choices := schema.get("enum"):
        said.append("One of " + ", ".join(f"`{each}`" for each in choices if each is not None) + ".")
    low, high = schema.get("minimum"), schema.get("maximum")
    text = schema.get("description", "")
    if low is not None and high is not None and f"{low:g} to {high:g}" not in text:
        said.append(f"{low:g} to {high:g}.")
    if (most := schema.get("maxLength")) and str(most) not in text:
        said.append(f"At most {most} characters.")
    if most := schema.get("maxItems"):
        said.append(f"{schema.get('minItems', 0)} to {most:,} of them.")
    if items.get("enum"):
        said.append("Each one of " + ", ".join(f"`{each}`" for each in items["enum"]) + ".")
    if schema.get("default") is not None and "unless given" not in text:
        said.append(f"`{schema['default']}` unless given.")
    return _cell(" ".join(filter(None, said)))


def settings() -> Iterator[str]:
    """Every setting: its variable, its default, what it takes, what it means."""
    yield from (
        "# Settings", "", f"{_MADE} from `settings.py`.", "",
        "Settings are environment variables. All parts read the same ones, so give all parts the same values.",
        "An empty variable counts as absent. A value that cannot be used ends the process at once, with a message that",
        "names the variable. Durations are in seconds, sizes in bytes.", "",
        "With `docker compose` they stand in a file `.env`; `.env.example` shows how.", "",
    )  # fmt: skip
    yield from _table(("Variable", "Default", "Takes", "Meaning"), [
        (f"`{variable(each)}`", _default(each), _takes(each), _cell(each.metadata["doc"])) for each in fields(Settings)
    ])  # fmt: skip
    yield from (
        "## What others read", "",
        "These belong to libraries and tools that Hemline works with.", "",
    )  # fmt: skip
    yield from _table(("Variable", "Read by", "Meaning"), [
        ("`AWS_ENDPOINT_URL_S3`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`", "boto3",
         "Where S3 is and who you are there, when `HEMLINE_ARTIFACTS_URL` is on S3. boto3's other variables work too."),
        ("`MLFLOW_TRACKING_URI`", "MLflow", "`python -m ml train` sends its figures there, where MLflow is installed."),
        ("`HEMLINE_URL`", "`hemline`", "Where the service is."),
        ("`HEMLINE_PUBLISH`", "`docker-compose.yml`", "Address and port where the web container is reached."),
        ("`HEMLINE_REDIS_PASSWORD`", "`docker-compose.yml`", "The password of its Redis; `make up` makes one."),
        ("`HEMLINE_WEB_LIMIT`, `HEMLINE_WORKER_LIMIT`, `HEMLINE_TRAINER_LIMIT`, `HEMLINE_REDIS_LIMIT`",
         "`docker-compose.yml`", "Most memory that a container of the part may use, as `1g` or `512m`."),
        ("`GRAFANA_PASSWORD`", "`docker-compose.yml`", "The password of Grafana's user `admin`."),
    ])  # fmt: skip


def _default(each: Field[Any]) -> str:
    value = each.default
    if isinstance(value, int) and value >= MIB:
        return f"`{value}` ({value // MIB} MiB)" if value % MIB == 0 else f"`{value}`"
    return "empty" if value == "" else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _takes(each: Field[Any]) -> str:
    least, most, like = (each.metadata[name] for name in ("least", "most", "like"))
    if least is not None:
        kind = "whole number" if isinstance(each.default, int) else "number"
        return f"{kind}, {least:g} to {most:g}" if most != float("inf") else f"{kind}, at least {least:g}"
    if re.fullmatch(r"[\w|]+", like):
        return ", ".join(f"`{choice}`" for choice in like.split("|"))
    return _cell(f"text like `{like}`") if like else "path" if isinstance(each.default, Path) else "text"


def command_line() -> Iterator[str]:
    """What the commands say of themselves, and the targets of the Makefile."""
    yield from (
        "# Command lines", "", f"{_MADE} from the Makefile and from what the commands say of themselves.", "",
        "## make", "",
    )  # fmt: skip
    for section in (ROOT / "Makefile").read_text("utf-8").split("##@ ")[1:]:
        targets = re.findall(r"^([a-z0-9-]+):.*## (.*)", section, re.MULTILINE)
        yield from (f"### {section.partition(chr(10))[0]}", "")
        yield from _table(("Target", ""), [(f"`make {name}`", _cell(said)) for name, said in targets])
    yield from (
        "## python -m ml", "", "Training and judging without a server. `make run` has installed what it needs, so call",
        "it as `.venv/bin/python -m ml`.", "",
    )  # fmt: skip
    yield from _commands("python -m ml", ml_command)
    yield from (
        "## python -m workers", "", "[API keys](keys.md), and [backing up and restoring](back-up.md), which",
        "`make backup` and `make restore` do with it.", "",
    )  # fmt: skip
    yield from _commands("python -m workers", workers_command)
    yield from (
        "## hemline", "", "The command line of the Python SDK, for a running service.",
        "[Call it from a program](programs.md) says how to have it.", "",
    )  # fmt: skip
    yield from _commands("hemline", hemline_command)


def _commands(name: str, run: Command) -> Iterator[str]:
    yield from (f"### The commands of {name}", "", "```text", _help(run), "```", "")
    for words in _below(run):
        yield from (f"### {name} {' '.join(words)}", "", "```text", _help(run, *words), "```", "")


def _below(run: Command, *words: str) -> Iterator[tuple[str, ...]]:
    """The commands of a command, and theirs."""
    for command in re.findall(r"^    ([a-z-]+) ", _help(run, *words), re.MULTILINE):
        yield (*words, command)
        yield from _below(run, *words, command)


def _help(run: Command, *arguments: str) -> str:
    with redirect_stdout(io.StringIO()) as said, suppress(SystemExit):
        run([*arguments, "--help"])
    return said.getvalue().rstrip()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _name(name: str, required: bool) -> str:
    return f"**`{name}`**" if required else f"`{name}`"


def _title(tag: str) -> str:
    return tag.replace("-", " ").capitalize()


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        (folder / file).write_text(text, "utf-8")
