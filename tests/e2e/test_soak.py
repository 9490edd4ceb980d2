"""A short cut of `make soak`. What grows in half a minute says nothing; that nothing fails does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT


@pytest.mark.skipif(shutil.which("wrk") is None and os.environ.get("CI") != "true", reason="apt install wrk")
def test_nothing_fails_while_production_changes_every_second(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    command = [sys.executable, "-m", "tests.benchmarks", "soak", "--minutes", "0.3", "--rate", "50", "--out", str(out)]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "HEMLINE_DATA_DIR": ""}, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

    results = json.loads(out.read_text())
    assert results["errors"] == [] and results["answered"] > 500
    assert {"redis", "web", "worker"} <= {part for part, size in results["samples"][-1]["pss"].items() if size > 0}
    assert sum(window["answered"] for window in results["windows"]) == results["answered"]
    assert "none failed" in ended.stdout
