"""Puts the clock of a Python process wrong; the interpreter imports this where the folder is on PYTHONPATH.

The file that CHAOS_CLOCK names says by how many seconds. Only the time of day is moved, as by somebody who sets it.
(libfaketime would do it for any program; with it, `time.sleep` fails now and then once the clock has jumped.)
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["CHAOS_CLOCK"])
_right, _right_ns = time.time, time.time_ns
_offset, _read = 0, 0.0


def _wrong_by() -> int:
    global _offset, _read
    if time.monotonic() - _read > 0.2:
        _offset, _read = int(_FILE.read_text()), time.monotonic()
    return _offset


time.time = lambda: _right() + _wrong_by()
time.time_ns = lambda: _right_ns() + _wrong_by() * 1_000_000_000
