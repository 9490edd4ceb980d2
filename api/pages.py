"""The pages for people: the console at `/`, and the OpenAPI document to read and to try at `/docs`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, send_from_directory

blueprint = Blueprint("pages", __name__)
_CONSOLE = Path(str(files("api") / "console"))
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
# Nothing leaves this machine and nothing foreign comes in: the browser sees to it.
_OF_PAGES = "; ".join((
    "default-src 'self'", "img-src 'self' data: blob:", "object-src 'none'", "base-uri 'none'", "form-action 'self'",
    "frame-ancestors 'none'",
))  # fmt: skip
_OF_THE_REST = "default-src 'none'; frame-ancestors 'none'"
_PAGES = ("text/html", "image/svg+xml")  # what browsers run scripts in
_ALWAYS = {
    # Else a browser may take for a page what somebody sent as a picture's name.
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@blueprint.get("/")
def console() -> Response:
    return _page("index.html")


@blueprint.get("/console/<path:name>")
def console_file(name: str) -> Response:
    return send_from_directory(_CONSOLE, name, max_age=300)


@blueprint.get("/docs")
def docs() -> Response:
    return _page("docs.html")


@blueprint.get("/docs/<path:name>")
def docs_file(name: str) -> Response:
    return send_from_directory(_SWAGGER_UI, name, max_age=86400)


def _page(name: str) -> Response:
    return send_from_directory(_CONSOLE, name)


def guard(response: Response) -> Response:
    """Any answer of the service, so that no browser makes more of it than it is.

    It loads nothing from elsewhere, runs nothing that is written into it, and is in nobody's frame.
    """
    policy = _OF_PAGES if response.mimetype in _PAGES else _OF_THE_REST
    response.headers.extend(_ALWAYS, **{"Content-Security-Policy": policy})
    return response
