"""How every resource reads requests and documents itself, on top of flask-smorest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

import flask_smorest
import orjson
from flask import Request, request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser, abort
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api.auth import Need
from api.errors import PROBLEM_JSON
from api.parts import BODY
from api.schemas import ProblemSchema
from workers.keys import Scope

_CHALLENGE = {"WWW-Authenticate": {"description": "What is missing (RFC 6750).", "schema": {"type": "string"}}}
_REFUSALS = {
    401: "No valid API key was sent.",
    403: "The key has not the scope that this takes; or where no keys are asked for, a page of another site sent it.",
    421: "No keys are asked for on loopback, and it was asked for by a name that is not loopback's.",
}


class _Parser(FlaskParser):
    """Bodies are JSON and say so; fields and query parameters that nobody knows are errors, as they are mistakes."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": "raise"}

    def load_querystring(self, req: Request, schema: Any) -> Any:
        try:
            return super().load_querystring(req, schema)
        except UnicodeDecodeError as invalid:  # werkzeug takes a query as it is, and only then percent-decodes it
            raise ValidationError("The query is not UTF-8. Percent-encode what is in it.") from invalid

    def load_json(self, req: Request, schema: Any) -> Any:
        if not req.is_json:
            raise UnsupportedMediaType()
        body = req.environ.get(BODY)
        if body is None:
            body = req.get_data(cache="HTTP_IDEMPOTENCY_KEY" in req.environ)  # it is looked at again then
        if req.content_length is None and len(body) == req.max_content_length:
            raise RequestEntityTooLarge()  # a body in chunks is cut off at the limit, and nothing says so
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as invalid:
            return self._handle_invalid_json_error(invalid, req)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource. Its views return finished responses, so what flask-smorest says of responses is documentation alone.

    The wrappers that would look at each response in vain took 0.1 ms of a request.
    """

    # Taken when a view is decorated, so it must be here before any blueprint is made.
    ARGUMENTS_PARSER = _Parser()

    def __init__(self, name: str, import_name: str, *, scopes: Collection[Scope], **options: Any) -> None:
        """`scopes`: callers need one of these, unless an operation says otherwise. Without any, it is for everybody."""
        super().__init__(name, import_name, **options)
        self._scopes = scopes

    def doc(self, *, scopes: Collection[Scope] | None = None, **said: Any) -> Callable[[Any], Any]:
        """Document a view and what it needs; its docstring is the description, also where that is one paragraph."""
        needed = self._scopes if scopes is None else scopes

        def decorate(view: Any) -> Any:
            first, _, rest = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
            said_of_it = {"description": rest or first, **said}
            if needed:
                view.need = Need(frozenset(needed))
                # Or nothing at all, where the service asks for no keys.
                said_of_it |= {"security": [{"bearer": []}, {}], "x-scopes": sorted(needed)}
                for status, reason in _REFUSALS.items():
                    headers = None if status == 421 else _CHALLENGE
                    view = self.alt_response(
                        status, schema=ProblemSchema, content_type=PROBLEM_JSON, description=reason, headers=headers
                    )(view)
            return _documenting(super(Blueprint, self).doc(**said_of_it))(view)

        return decorate

    def response(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        """Document an answer."""
        return _documenting(super().response(*arguments, **options))

    def alt_response(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        """Document another answer."""
        return _documenting(super().alt_response(*arguments, **options))

    def arguments(self, schema: type[Schema], *, location: str = "json", **options: Any) -> Callable[[Any], Any]:
        """Document what a view takes, and hand it over checked."""
        decorate = super().arguments(schema, location=location, **options)
        if location != "json":
            return decorate  # type: ignore[no-any-return]
        load, parser = schema().load, self.ARGUMENTS_PARSER

        def check(view: Any) -> Any:
            @wraps(_documenting(decorate)(view))
            def checked(*arguments: Any, **more: Any) -> Any:
                body = parser.load_json(request, schema)
                try:
                    fields = load(body)
                except ValidationError as invalid:
                    abort(422, exc=invalid, messages={"json": invalid.messages})
                return view(fields, *arguments, **more)

            return checked

        return check


def _documenting(decorate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same decorator, which leaves the view as it is but for what is said of it."""

    def document(view: Any) -> Any:
        view._apidoc = decorate(view)._apidoc
        return view

    return document
