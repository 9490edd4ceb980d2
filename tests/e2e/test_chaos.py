"""A short cut of `make chaos`: every trouble once, each for a moment."""

import os
import subprocess
import sys

import pytest

from processes import ROOT


@pytest.mark.timeout(600)
def test_nothing_is_lost_whatever_happens() -> None:
    command = [sys.executable, "-m", "chaos", "--seed", "1", "--minutes", "0", "--longest", "1.5"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=580)

    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
