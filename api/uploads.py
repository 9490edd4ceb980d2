"""Forms with files: kept on disk, read one at a time, and every way in which they can be wrong answered alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from flask import Response, request
from marshmallow import Schema, ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from api import responses
from api.errors import problem
from api.parts import parts
from ml.datasets import DatasetError

T = TypeVar("T")


class _Busy(Exception):
    """Another upload is being read."""


def answer(
    schema: Schema, limit: int, turn: threading.Lock, store: Callable[[dict[str, Any]], T],
    show: Callable[[T], Response],
) -> Response:
    """The answer to an upload of at most `limit` bytes: what `store` makes of the form, as `show` shows it.

    Who has the `turn` stores, so that a process needs the memory and the processor time of one. `store` may raise
    ValidationError.
    """
    request.max_content_length = limit
    try:
        form = _form(schema)
        with _own(turn):
            stored = store(form)
    except RequestEntityTooLarge:
        detail = f"The upload is larger than {limit} bytes, or one of its text fields than 500000."
        return problem(413, f"{detail} Send fewer pictures at once, or an IDX file packed with gzip.")
    except _Busy:
        return problem(503, "Another upload is being read. Try again after the time in Retry-After.", kind="busy",
                       headers={"Retry-After": "30"})  # fmt: skip
    except ValidationError as invalid:
        return problem(422, errors=[
            {"pointer": f"#/{name}", "detail": text}
            for name, texts in invalid.normalized_messages().items()  # type: ignore[no-untyped-call]
            for text in _flat(texts)
        ])  # fmt: skip
    return show(stored)


def part(form: Mapping[str, Any], name: str, read: Callable[[IO[bytes]], T]) -> T:
    """What `read` makes of a file of the form. Raises ValidationError where that raises DatasetError."""
    upload: FileStorage = form[name]
    try:
        return read(upload.stream)
    except DatasetError as invalid:
        raise ValidationError(str(invalid), name) from invalid


def _form(schema: Schema) -> dict[str, Any]:
    """The fields of the upload. Raises ValidationError, RequestEntityTooLarge."""
    fields = [*request.form.items(multi=True), *request.files.items(multi=True)]
    names = [name for name, _ in fields]
    if twice := {name: ["Send this field once."] for name in names if names.count(name) > 1}:
        raise ValidationError(twice)
    found: dict[str, Any] = schema.load(dict(fields))
    return found


@contextmanager
def _own(turn: threading.Lock) -> Iterator[None]:
    wait = responses.hold(parts().settings.max_wait)
    try:
        if not turn.acquire(timeout=wait):
            raise _Busy
        try:
            yield
        finally:
            turn.release()
    finally:
        responses.release(wait)


def _flat(messages: Any) -> Iterator[str]:
    """The messages about a field, without where in it they belong."""
    if isinstance(messages, str):
        yield messages
    else:
        for inner in messages.values() if isinstance(messages, Mapping) else messages:
            yield from _flat(inner)
