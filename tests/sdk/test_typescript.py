"""The TypeScript SDK: compiled strictly, then tested by Node's own test runner against the product and stubs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from processes import ROOT
from snippets import first_snippet

SDK = ROOT / "openapi" / "sdk" / "typescript"


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with what the SDK needs."""
    found = shutil.which("node")
    missing = "" if found else "node is not installed: apt install nodejs npm"
    if not missing and not (SDK / "node_modules" / "typescript").is_dir():
        missing = "the TypeScript SDK's packages are not installed: make node-packages"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if not found or missing:
        pytest.skip(missing)
    return found


def run(*command: str, cwd: Path = SDK, **environ: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_it_compiles_and_passes_its_tests(node: str, url: str, dataset: str) -> None:
    run(node, "node_modules/typescript/bin/tsc", "--project", "test")
    said = run(
        node, "--test", *sorted(str(path) for path in (SDK / "build" / "test").glob("*.test.js")),
        HEMLINE_URL=url, HEMLINE_DATASET=dataset, HEMLINE_SAMPLES=str(ROOT / "api" / "console" / "samples"),
        NO_PROXY="127.0.0.1",
    )  # fmt: skip

    assert "# fail 0" in said or "ℹ fail 0" in said
    assert "client.test" in said or "followed live" in said


def test_the_first_call_of_the_readmes_works(node: str, url: str) -> None:
    run(node, "node_modules/typescript/bin/tsc")
    script = SDK / "build" / "readme.mjs"  # within the package, where its name leads to itself
    script.parent.mkdir(exist_ok=True)
    script.write_text(first_snippet("typescript", "ts").replace("http://127.0.0.1:8000", url))

    assert run(node, str(script), cwd=ROOT).startswith("Sneaker 0.9")
