"""What a process says: one line an event, for people or as JSON, with what it is about.

A request id arrives with a request or is made there (`api.observation`), is kept in the record of what was accepted,
and is in each line that any process says about it. Whoever begins something in a worker names it with `about`, and
every line that is said meanwhile, also by libraries, bears that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

_about: ContextVar[MutableMapping[str, Any]] = ContextVar("about")


def configure(part: str, level: str, style: str, named: Callable[[], Mapping[str, Any]] | None = None) -> None:
    """Let everything that this process logs become lines of a style, "text" or "json", about what `named` says."""
    handler = logging.StreamHandler()
    formatter = _Json if style == "json" else _Text
    handler.setFormatter(formatter(part, named or current))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(True)
    # Celery announces every message that it takes; ours say what matters.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def about(**named: Any) -> Iterator[None]:
    """What lines are about while the block lasts, besides what they are about already."""
    token = _about.set({**current(), **named})
    try:
        yield
    finally:
        _about.reset(token)


def current() -> MutableMapping[str, Any]:
    """What this thread works on."""
    return _about.get({})


def fields(**values: Any) -> dict[str, Any]:
    """Values of a line besides its message, as `extra` of a logger's methods."""
    return {"fields": values}


def _named(about: Mapping[str, Any], record: logging.LogRecord) -> dict[str, Any]:
    # A traceparent is for machines; its trace id stands there by itself.
    named = {name: value for name, value in about.items() if name != "traceparent"}
    return {**named, **getattr(record, "fields", {})}


class _Text(logging.Formatter):
    """A readable line, with what it is about at its end."""

    def __init__(self, part: str, about: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {part}: %(message)s")
        self._about = about

    def formatMessage(self, record: logging.LogRecord) -> str:
        named = "".join(f" {name}={value}" for name, value in _named(self._about(), record).items())
        return super().formatMessage(record) + named


class _Json(logging.Formatter):
    """A JSON object on one line."""

    def __init__(self, part: str, about: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._part = part
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname, "part": self._part, "logger": record.name, "message": record.getMessage(),
            **_named(self._about(), record),
        }  # fmt: skip
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()
