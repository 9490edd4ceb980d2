"""Entry point of the web process: `granian --interface wsgi --factory api.wsgi:app`."""

from __future__ import annotations

import logging

from flask import Flask

from api.app import create_app
from settings import Settings


def app() -> Flask:
    """The application, by the settings of the environment."""
    settings = Settings.from_env()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s web: %(message)s")
    return create_app(settings)
