"""No source of ours turns data into code: no pickle, no eval, no shell, no archive unpacked by the names in it."""

import ast
import re
from collections.abc import Iterator

import pytest

from processes import ROOT

# Tests are no part of what runs.
FOLDERS = ("api", "workers", "ml", "openapi", "docs")
SOURCES = [
    path
    for folder in (*FOLDERS, ".")
    for path in sorted((ROOT / folder).glob("*.py" if folder == "." else "**/*.py"))
    if "node_modules" not in path.parts
]
_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
    "yaml",
    "telnetlib",
}
_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.tempnam",
    "tempfile.mktemp",
    "shutil.unpack_archive",
    "pty.spawn",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "keras.config.enable_unsafe_deserialization",
}
_METHODS = {"extractall", "set_unsafe_deserialization", "read_pickle", "to_pickle"}
# Calls that are dangerous unless they say this.
_NEEDED = {"np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False), "load_model": ("safe_mode", True)}
_FORBIDDEN = (("shell", True), ("allow_pickle", True), ("safe_mode", False), ("verify", False))


def dangers(source: str) -> Iterator[str]:
    """What a source does that turns data into code or trusts names from outside, and where."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"{node.lineno}: {each.name}" for each in node.names if each.name.split(".")[0] in _MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in _MODULES:
                yield f"{node.lineno}: {node.module}"
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {danger}" for danger in _of_call(node))
            if re.search(r"\.extract$", ast.unparse(node.func)) and re.search(r"import.*\b(zip|tar)file", source):
                yield f"{node.lineno}: {ast.unparse(node.func)}"


def _of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    method = name.rpartition(".")[2]
    said = {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}
    if name in _CALLS or (isinstance(call.func, ast.Attribute) and method in _METHODS):
        yield name
    needed = _NEEDED.get(name) or _NEEDED.get(method)
    if needed and said.get(needed[0]) is not needed[1]:
        yield f"{name} without {needed[0]}={needed[1]}"
    yield from (f"{word}={value}" for word, value in _FORBIDDEN if said.get(word) is value)


def test_no_source_turns_data_into_code() -> None:
    found = {str(path.relative_to(ROOT)): list(dangers(path.read_text("utf-8"))) for path in SOURCES}
    assert len(found) > 50
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import a, yaml",
        "import marshal as m",
        "eval(x)",
        "exec('x')",
        "os.system(x)",
        "subprocess.run(x, shell=True)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "keras.models.load_model(p)",
        "load_model(p, safe_mode=False)",
        "tarfile.open(f).extractall()",
        "import zipfile\narchive.extract(member, p)",
        "np.save(p, a, allow_pickle=True)",
        "requests.get(u, verify=False)",
        "shutil.unpack_archive(f)",
    ],
)
def test_what_would_be_dangerous_is_seen(source: str) -> None:
    assert len(list(dangers(source))) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "np.load(f, allow_pickle=False)",
        "keras.models.load_model(p, compile=False, safe_mode=True)",
        "re.compile(x)",
        "cache.load(x)",
        "subprocess.run(x)",
        "json.loads(x)",
        "requests.get(u, verify=True)",
        "ast.literal_eval(x)",
        "redis.eval(script, 0)",
        "propagator.extract(carrier)",
    ],
)
def test_what_is_harmless_is_let_pass(source: str) -> None:
    assert list(dangers(source)) == []
