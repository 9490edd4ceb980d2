"""Entry point of the web process: `granian --interface wsgi --factory api.wsgi:app`."""

from __future__ import annotations

import ctypes
import logging
import signal

from flask import Flask

from api.app import create_app
from settings import Settings


def app() -> Flask:
    """The application, by the settings of the environment."""
    _end_with_parent()
    settings = Settings.from_env()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s web: %(message)s")
    return create_app(settings)


def _end_with_parent() -> None:
    # Granian shares the port among its processes: one that outlived a killed parent would go on answering beside the
    # parent's successor. Linux only (prctl's PR_SET_PDEATHSIG); elsewhere nothing happens.
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)
