"""Entry point of the web processes: `python -m api.server`. The settings say where, and how many.

What the processes have in common is loaded before they part, so that they share its memory: the second one takes a
third of the first.
"""

from __future__ import annotations

import gc
import os
import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

import api.asgi
from settings import InvalidSetting, Settings

# Connections that wait to be accepted, and requests that are under way in all processes; a request that is held is one.
_BACKLOG = 4096


def main() -> int:
    """Serve until a signal; the exit status says whether there was anything to serve by."""
    try:
        settings = Settings.from_env()
        settings.redis()
    except InvalidSetting as wrong:
        print(wrong, file=sys.stderr)
        return 2
    server = Granian(
        f"{api.asgi.__name__}:app", address=settings.host, port=settings.port, interface=Interfaces.ASGI, factory=True,
        workers=settings.processes(), websockets=False, log_level=LogLevels.error,
        backlog=_BACKLOG, backpressure=_BACKLOG // settings.processes(), respawn_failed_workers=True,
    )  # fmt: skip
    gc.freeze()  # a collection would write into the memory that is shared
    server.serve()
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
