"""The built images, run as in production against a real Redis: `make image-test`."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from conftest import Stack
from containers import Container, Image
from processes import ROOT, SAMPLES, Client, eventually

pytestmark = pytest.mark.images

DATA = ROOT / "tests" / "data" / "fashion-mnist-sample"
TARGETS = ["web", "worker", "trainer"]


@pytest.fixture
def shell(images: dict[str, Image], tmp_path: Path) -> Shell:
    return Shell(images, tmp_path)


class Shell:
    """Commands in containers of their own."""

    def __init__(self, images: dict[str, Image], folder: Path) -> None:
        self.images = images
        self.folder = folder
        folder.chmod(0o777)

    def run(self, target: str, *command: str, **environ: str) -> tuple[int, str]:
        """The exit status of a command, and what it printed."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        ran: Container = self.images[target].run(self.folder, log, environ, list(command))
        return ran.popen.wait(120), ran.output()


def python(shell: Shell, target: str, code: str) -> str:
    status, output = shell.run(target, "python", "-c", code)
    assert status == 0, output
    return output.strip()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_picture_is_classified(http: Client, name: str) -> None:
    answer = http.predict(name, wait=20)

    assert answer.status_code == 201, answer.text
    assert answer.json()["result"]["label"] == SAMPLES[name]


def test_a_picture_is_explained(http: Client) -> None:
    answer = http.predict(wait=20, explain=True)

    assert answer.status_code == 201, answer.text
    assert answer.json()["result"]["explanation"]


@pytest.mark.parametrize("path", ["/", "/docs", "/guide", "/guide/tutorial", "/openapi.json", "/v1/models"])
def test_pages_and_documents_are_in_the_image(http: Client, path: str) -> None:
    assert http.answers(path)


def test_a_version_is_trained_and_answers(http: Client) -> None:
    parts = {"images": "images-idx3", "labels": "labels-idx1"}
    files = {field: (DATA / f"train-{kind}-ubyte.gz").open("rb") for field, kind in parts.items()}
    dataset = http.request("POST", "/v1/datasets", files=files)
    for file in files.values():
        file.close()
    assert dataset.status_code == 201, dataset.text
    job = http.post("/v1/training-jobs", {"network": "tutorial_cnn", "dataset": dataset.json()["id"], "epochs": 1})
    assert job.status_code == 202, job.text
    path = job.headers["Location"]
    eventually(lambda: http.get(path).json()["status"] not in ("queued", "running"), "the job has ended", 240)
    ended = http.get(path).json()
    assert ended["status"] == "succeeded", ended

    answer = http.predict(wait=20, model=ended["result"]["model_version"])

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("target", TARGETS)
def test_a_part_that_works_is_healthy(stack: Stack, images: dict[str, Image], http: Client, shell: Shell,
                                      target: str) -> None:  # fmt: skip
    kind, *command = images[target].config["Healthcheck"]["Test"]
    environ = {**stack.environ, "PORT": http.url.rpartition(":")[2]}

    assert kind == "CMD"
    eventually(lambda: shell.run(target, *command, **environ)[0] == 0, "it is healthy")


@pytest.mark.parametrize("target", TARGETS)
def test_a_part_without_the_rest_is_not_healthy(images: dict[str, Image], shell: Shell, target: str) -> None:
    _, *command = images[target].config["Healthcheck"]["Test"]

    assert shell.run(target, *command, PORT="1", HEMLINE_REDIS_URL="redis://127.0.0.1:1")[0] != 0


@pytest.mark.parametrize("target", ["web", "worker"])
def test_tensorflow_is_in_the_trainer_alone(shell: Shell, target: str) -> None:
    found = "import importlib.util as i; print([n for n in ('tensorflow', 'keras', 'pip') if i.find_spec(n)])"

    assert python(shell, target, found) == "[]"


def test_the_trainer_has_tensorflow(shell: Shell) -> None:
    assert python(shell, "trainer", "import tensorflow as t; print(t.reduce_sum([1, 2]).numpy())").endswith("3")


@pytest.mark.parametrize("target", TARGETS)
def test_a_part_has_no_rights_and_writes_to_its_state_and_to_tmp_alone(shell: Shell, target: str) -> None:
    status, output = shell.run(target, "sh", "-c", """
        id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status
        for folder in /app /opt/venv /opt/bytecode /etc /var/lib/hemline /tmp; do
          touch $folder/new 2>/dev/null && echo $folder
        done; true""")  # fmt: skip

    assert status == 0
    assert output.split() == ["10001", "CapEff:", "0" * 16, "NoNewPrivs:", "1", "/var/lib/hemline", "/tmp"]


@pytest.mark.parametrize(("target", "module"), [("web", "api.app"), ("worker", "ml.runtime"), ("trainer", "ml.export")])
def test_nothing_that_a_part_imports_is_compiled_again(shell: Shell, target: str, module: str) -> None:
    report = python(shell, target, f"""
import sys, importlib, pathlib
importlib.import_module({module!r})
for name, found in sys.modules.items():
    source, compiled = getattr(found, "__file__", None), getattr(found, "__cached__", None)
    if compiled and str(source).endswith(".py") and not pathlib.Path(compiled).exists():
        print("compiled again:", name)
""")  # fmt: skip

    assert re.findall("compiled again: (.+)", report) == []


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_says_what_it_is(images: dict[str, Image], target: str) -> None:
    labels = images[target].config["Labels"]
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version and labels["org.opencontainers.image.version"] == version[1]
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["org.opencontainers.image.revision"])
    assert images[target].config["User"] == "10001:10001"
    assert images[target].config["StopSignal"] == "SIGTERM"


def test_the_parts_end_by_themselves_when_they_are_asked_to(stack: Stack, http: Client) -> None:
    """The last one: it ends what the others use."""
    ended = {target: part.end(signal.SIGTERM) for target, part in stack.parts.items()}

    assert ended == dict.fromkeys(TARGETS, 0)
