"""The guide and the README as tests read them: their code blocks, and what is shown of their output."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt

from processes import ROOT

GUIDE = ROOT / "docs" / "guide"
_RUN = ("sh", "python")
_ELSEWHERE = ("ts",)  # tests/sdk runs it

# Masks what differs from run to run in what is shown: ids, times, numbers. `…` stands for anything.
_MASK = re.compile(r"""
    (?P<any>…)
  | (?P<id>\b(?:pred|batch|job|tune|ds|key)_[0-9A-HJKMNP-TV-Z]{26})
  | (?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)
  | (?P<number>-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)
""", re.VERBOSE)  # fmt: skip
_ALLOWED = {
    "any": r".*?", "id": r"(?:pred|batch|job|tune|ds|key)_[0-9A-HJKMNP-TV-Z]{26}", "time": r"\d{4}-\d\d-\d\dT[\d:.]+Z",
    "number": r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block that a reader runs. `marks` are words of its info string such as needs=docker; `shown` is its output."""

    page: str
    line: int
    language: str
    marks: dict[str, str]
    code: str
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def names() -> list[str]:
    """The pages of the guide, and the README."""
    return ["README.md", *(f"docs/guide/{path.name}" for path in sorted(GUIDE.glob("*.md")))]


def blocks(name: str) -> list[Block]:
    """The blocks of a page that are to be run, each with the output that is shown after it in the same section."""
    found: list[Block] = []
    open_for_output = False
    for token in MarkdownIt("commonmark").parse((ROOT / name).read_text("utf-8")):
        if token.type == "heading_open":
            open_for_output = False
        elif token.type == "fence":
            language, *words = token.info.split() or [""]
            assert language in (*_RUN, *_ELSEWHERE, "text", ""), f"{name}: {token.info!r} is no code and no output"
            if language in _RUN:
                marks = dict(word.split("=") for word in words)
                found.append(Block(name, (token.map or [0])[0] + 1, language, marks, token.content))
                open_for_output = True
            elif open_for_output and language not in _ELSEWHERE:
                found[-1] = Block(**{**vars(found[-1]), "shown": token.content})
                open_for_output = False
    return found


def is_shown(shown: str, output: str) -> bool:
    """Whether the lines that are shown came out in this order, apart from white space and what differs by nature."""
    lines = ("".join(line.split()) for line in shown.splitlines())
    pattern = ".*?".join(_pattern(line) for line in lines if line)
    return re.search(pattern, "".join(output.split()), re.DOTALL) is not None


def _pattern(line: str) -> str:
    parts, place = [], 0
    for found in _MASK.finditer(line):
        parts += [re.escape(line[place : found.start()]), _ALLOWED[str(found.lastgroup)]]
        place = found.end()
    return "".join(parts) + re.escape(line[place:])
