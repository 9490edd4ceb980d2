"""How every resource reads requests and documents itself, on top of flask-smorest."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flask_smorest
import orjson
from flask import Request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType


class _Parser(FlaskParser):
    """Bodies are JSON and say so; fields and query parameters that nobody knows are errors, as they are mistakes."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": "raise"}

    def load_json(self, req: Request, schema: Any) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType()
        body = req.get_data(cache=False)
        if req.content_length is None and len(body) == req.max_content_length:
            raise RequestEntityTooLarge()  # a body in chunks is cut off at the limit, and nothing says so
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as invalid:
            return self._handle_invalid_json_error(invalid, req)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource."""

    # Taken when a view is decorated, so it must be here before any blueprint is made.
    ARGUMENTS_PARSER = _Parser()

    def doc(self, **said: Any) -> Callable[[Any], Any]:
        """Document a view; what its docstring says is the description, also where that is a single paragraph."""

        def decorate(view: Any) -> Any:
            first, _, rest = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
            return super(Blueprint, self).doc(**{"description": rest or first, **said})(view)

        return decorate
