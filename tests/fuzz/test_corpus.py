"""Every file of the fuzzer's corpus, which has the input that once was not taken calmly too, is taken calmly."""

from pathlib import Path

import pytest

from targets import CORPUS, TARGETS

FILES = sorted(path for path in CORPUS.glob("*/*"))
# werkzeug leaves the files of a form that ends too early to the garbage collector, which closes them at once.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_strangers_sent_is_taken_calmly(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus_and_no_other_has() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
