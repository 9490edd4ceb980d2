"""The threat model names only what there is: files, tests and targets that show that a danger is met."""

import re

from processes import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
TESTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_every_test_that_the_threat_model_names_exists() -> None:
    files, names = re.findall(r"`(tests/[\w/]+\.py)`", TEXT), re.findall(r"`(test_\w+)`", TEXT)

    assert files and names
    assert [name for name in files if not (ROOT / name).is_file()] == []
    assert [name for name in names if f"def {name}(" not in TESTS] == []


def test_every_target_that_the_threat_model_names_exists() -> None:
    targets = re.findall(r"`make ([a-z-]+)", TEXT)

    assert targets
    assert [name for name in targets if f"\n{name}: " not in MAKEFILE] == []


def test_every_danger_has_what_stops_it_and_a_test() -> None:
    rows = [line.split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    dangers = [row for row in rows if len(row) == 4][1:]

    assert len(dangers) > 10
    assert all(cell.strip(" |") for row in dangers for cell in row[1:])
