"""The benchmark measures the product end to end. What it measures is nobody's business here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT


@pytest.mark.skipif(shutil.which("wrk") is None and os.environ.get("CI") != "true", reason="apt install wrk")
def test_a_short_run_gives_every_figure_of_the_product(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "compare", "--only-product", "--shortest", "--out", str(out)],
        cwd=ROOT, env={**os.environ, "HEMLINE_DATA_DIR": ""}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr

    results = json.loads(out.read_text())
    (measured,) = results["rounds"]
    assert measured["failures"] == []
    assert [each["connections"] for each in measured["closed"]] == results["protocol"]["connections"]
    for kind in ("closed", "open", "polled", "submitted", "bulk"):
        for load in measured[kind]:
            assert load["answered"] > 0
            assert load["p50_ms"] <= load["p99_ms"] <= load["max_ms"]
    assert {"web", "worker", "redis"} <= {part for part, size in measured["memory"].items() if size > 0}
    assert measured["closed"][0]["batch_sizes"]
    assert measured["floor"] > 0
    for title in ("**Hemline**", "waited predictions/s at 64", "idle PSS"):
        assert title in ended.stdout
