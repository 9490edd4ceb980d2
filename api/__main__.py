"""Print the OpenAPI document: `python -m api`. Needs no Redis; nothing is asked of it."""

from __future__ import annotations

import sys

import flask_smorest
from flask import json

from api.app import create_app
from settings import Settings


def main() -> None:
    app = create_app(Settings(redis_url="redis://127.0.0.1:1"))
    with app.app_context():
        (api,) = (entry["ext_obj"] for entry in app.extensions["flask-smorest"]["apis"].values())
        assert isinstance(api, flask_smorest.Api)
        sys.stdout.write(json.dumps(api.spec.to_dict(), indent=2) + "\n")


if __name__ == "__main__":
    main()
