"""The code that the READMEs show."""

import re

from processes import ROOT


def first_snippet(sdk: str, language: str) -> str:
    """The first call, as the README of an SDK has it, and the README of the project too."""
    text = (ROOT / "openapi" / "sdk" / sdk / "README.md").read_text()
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found and found[0] in (ROOT / "README.md").read_text()
    return found[1]
