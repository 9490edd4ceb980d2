"""The guide and the README, followed word by word on a copy of the repository, and looked at in a browser."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from documents import Block, blocks, is_shown, names
from ml import datasets
from ml.images import CLASS_NAMES
from processes import BIN, ROOT, Process, free_port, redis_binary
from product import Hemline, copy_repository

SAMPLE = ROOT / "tests" / "data" / "fashion-mnist-sample"

# What a block may need that a machine which runs tests need not have. Such a block is checked, but not run.
NOT_HERE = {
    "docker": "the Docker daemon",
    "aws": "an AWS account, and Terraform",
    "cluster": "a Kubernetes cluster",
    "packages": "a package index; the SDK is taken from its folder",
    "collector": "somebody who collects traces",
    "gpu": "a GPU, and JAX for it",
    "machines": "several machines, their Redis and their bucket",
    "ourselves": "it is what runs this test",
}
# All that is not run, so that nobody stops running a block without saying so here.
NOT_RUN = {
    "README.md": {"ourselves": 1}, "docs/guide/back-up.md": {"aws": 1},
    "docs/guide/deploy.md": {"docker": 5, "aws": 3, "cluster": 2}, "docs/guide/observe.md": {"collector": 1},
    "docs/guide/operate.md": {"ourselves": 2}, "docs/guide/own-network.md": {"gpu": 1},
    "docs/guide/programs.md": {"packages": 1}, "docs/guide/scale-out.md": {"machines": 6},
    "docs/guide/webhooks.md": {"machines": 1},
}  # fmt: skip
PAGES = [name for name in names() if blocks(name)]
_STRICT = 'curl() { command curl --fail-with-body "$@"; }'  # an answer that is an error ends the page


class Reader:
    """Someone at two terminals: in one the service runs, in the other there is a shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "repository"
        self.port = free_port()
        path = f"{Path(redis_binary()).parent}:{os.environ['PATH']}"
        sdk = self.checkout / "openapi" / "sdk" / "python"
        self.environ = {
            "PATH": f"{folder}:{path}", "PYTHONPATH": f"{self.checkout}:{sdk}", "PORT": str(self.port),
            "HEMLINE_DATA_DIR": str(SAMPLE), "HEMLINE_URL": f"http://127.0.0.1:{self.port}",
            "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        self.service: Process | None = None
        self._copy()
        command = folder / "hemline"  # as pip would install it
        command.write_text(f"#!{BIN / 'python'}\nfrom hemline.cli import main\nraise SystemExit(main())\n", "utf-8")
        command.chmod(0o755)
        self.serve("make run")
        self.shell = Shell(self.checkout, {**_inherited(), **self.environ})

    def _copy(self) -> None:
        """The repository as it stands, in which the sample of Fashion-MNIST passes for the whole."""
        copy_repository(self.checkout)
        code = self.checkout / "ml" / "datasets.py"
        text = code.read_text("utf-8")
        for name, digests in datasets.OFFICIAL.items():
            packed = (SAMPLE / f"{name}.gz").read_bytes()
            for digest, content in zip(digests, (packed, gzip.decompress(packed)), strict=True):
                assert digest in text
                text = text.replace(digest, hashlib.md5(content).hexdigest())
        code.write_text(text, "utf-8")

    def serve(self, command: str) -> str:
        """Start the service, or start it again, as a line of the guide says; returns what it printed."""
        self.stop()
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        *variables, make, run = command.split()
        settings = dict(variable.split("=") for variable in variables)
        service = Process([make, "--directory", str(self.checkout), run], log, {**self.environ, **settings})
        service.await_(lambda: "Hemline is ready" in service.output(), "it says that it is ready")
        self.service = service
        return service.output()

    def stop(self) -> None:
        if self.service and self.service.popen.poll() is None:
            self.service.send(signal.SIGINT)
            self.service.popen.wait(90)

    def follow(self, block: Block) -> None:
        """Do what a block says; what it shows must come out."""
        code = block.code.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        if block.marks.get("service") == "stopped":
            self.stop()
        if re.fullmatch(r"(\w+=\S+ )*make run", code.strip()):
            output = self.serve(code.strip())
        elif block.language == "python":
            output = self.shell.run(f"{BIN / 'python'} - <<'END_OF_BLOCK'\n{code}\nEND_OF_BLOCK")
        else:
            refused = '"status":4' in (block.shown or "")  # what the page shows is an error
            output = self.shell.run(code if refused else f"{_STRICT}\n{code}\nunset -f curl")
        output = output.replace(f"127.0.0.1:{self.port}", "127.0.0.1:8000")
        assert block.shown is None or is_shown(block.shown, output), f"{block} shows\n{block.shown}\nand got\n{output}"

    def end(self) -> None:
        self.shell.end()
        self.stop()


class Shell:
    """One Bash for a whole page, so that a block finds the variables of those before it."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._script = folder.parent / "block.sh"
        self._popen = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1,
        )  # fmt: skip

    def run(self, code: str) -> str:
        """What a script printed. It fails where one of its commands does."""
        self._script.write_text(code, "utf-8")
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.write(f"set -o pipefail; set -e; source {self._script} </dev/null; printf '\\n\\036\\n'\n")
        lines: list[str] = []
        for line in self._popen.stdout:
            if line == "\036\n":
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"failed with {self._popen.wait()}:\n{code}\n{''.join(lines)}")

    def end(self) -> None:
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.close()
        self._popen.stdout.close()
        self._popen.wait(60)


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HEMLINE_") and name != "PORT"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    someone = Reader(tmp_path_factory.mktemp("reader"))
    _own_pictures(someone.checkout)
    yield someone
    someone.end()


def _own_pictures(folder: Path) -> None:
    """What the reader of "Train on your own data" has: pictures in folders, and the same as CSV and as IDX."""
    images, labels = datasets.read_file(SAMPLE / "train-images-idx3-ubyte.gz")
    assert labels is not None
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / "clothes" / CLASS_NAMES[label].replace("/", "-").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place / f"{number}.png"), image)
    rows = (",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels, strict=True))
    (folder / "clothes.csv").write_text("\n".join(rows))
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(SAMPLE / f"train-{kind}-ubyte.gz", folder / f"clothes-{kind}-ubyte.gz")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(PAGES, key=lambda name: (not name.endswith("tutorial.md"), name)))
def test_a_page_does_what_it_says(reader: Reader, name: str) -> None:
    for block in blocks(name):
        if "needs" not in block.marks:
            reader.follow(block)


def test_every_block_is_run_apart_from_those_that_cannot_be() -> None:
    found: dict[str, dict[str, int]] = {}
    for block in (block for name in PAGES for block in blocks(name)):
        assert set(block.marks) <= {"needs", "service"}, block
        if need := block.marks.get("needs"):
            assert need in NOT_HERE, block
            of_page = found.setdefault(block.page, {})
            of_page[need] = of_page.get(need, 0) + 1

    assert found == NOT_RUN


def _is_there(word: str) -> bool:
    return (ROOT / word).exists() or bool(re.search(rf"^{re.escape(word)}:", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("block", [b for name in PAGES for b in blocks(name) if "needs" in b.marks], ids=str)
def test_a_block_that_is_not_run_is_a_script_and_names_what_is_there(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)
    for line in block.code.splitlines():
        match line.split():
            case ["make", target, *_]:
                assert _is_there(target), line
            case ["docker", "compose", *words]:
                services = re.findall(r"^  (\w+):$", (ROOT / "docker-compose.yml").read_text("utf-8"), re.MULTILINE)
                named = [word.partition("=")[0] for word in words[1:] if not word.startswith("-")]
                assert set(named) <= set(services), line
            case ["cd", folder]:
                assert _is_there(folder), line
    for module in re.findall(r"\b(?:workers\.\w+|api\.asgi)\b", block.code):
        assert _is_there(module.replace(".", "/") + ".py"), module


@pytest.mark.parametrize("block", [b for name in PAGES for b in blocks(name) if b.language == "python"], ids=str)
def test_python_is_written_for_the_oldest_version_that_is_promised(block: Block) -> None:
    compile(block.code, str(block), "exec")
    imported = set(re.findall(r"^(?:import|from) (\w+)", block.code, re.MULTILINE))
    known = {*sys.stdlib_module_names, "hemline", "standardwebhooks"}  # what receivers verify messages with
    assert imported <= known, "pages show what runs with nothing installed but the SDK"


PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["", "/tutorial", "/http-api", "/settings"])
def test_a_page_fits_its_window(browser: Chrome, hemline: Hemline, name: str, size: tuple[int, int]) -> None:
    # A window cannot be made as narrow as a phone, a page's view of it can.
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE,
    })  # fmt: skip
    browser.get(f"{hemline.http.url}/guide{name}")
    width, loaded = browser.execute_script(
        "return [document.documentElement.scrollWidth, performance.getEntriesByType('resource').map(e => e.name)]"
    )
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    assert width <= size[0]
    assert loaded and all(url.startswith(hemline.http.url) for url in loaded)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_block_is_copied_with_its_button(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/guide/tutorial")
    wait = WebDriverWait(browser, 60)
    button = wait.until(lambda b: b.find_element(By.CSS_SELECTOR, ".code button"))
    browser.execute_cdp_cmd("Browser.grantPermissions", {
        "origin": hemline.http.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"],
    })  # fmt: skip
    browser.execute_script("arguments[0].click()", button)
    wait.until(lambda _: button.text == "Copied" or button.get_attribute("textContent") == "Copied")

    assert browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])") == "make run"


def test_the_guide_is_read_from_its_first_page_to_its_last(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/")
    link = WebDriverWait(browser, 60).until(lambda b: b.find_element(By.CSS_SELECTOR, 'header a[href="/guide"]'))
    browser.get(str(link.get_attribute("href")))
    listed = [str(a.get_attribute("href")) for a in browser.find_elements(By.CSS_SELECTOR, "#pages > ul > li > a")]
    read = []
    while following := browser.find_elements(By.CSS_SELECTOR, "a[rel=next]"):
        browser.get(str(following[0].get_attribute("href")))
        read.append(browser.current_url)

    assert listed and read == listed


def test_the_page_is_dark_where_that_is_wanted(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/guide")
    button = WebDriverWait(browser, 60).until(lambda b: b.find_element(By.CSS_SELECTOR, "#theme:not([hidden])"))
    grounds = []
    for _ in range(2):
        button.click()
        grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    browser.execute_script("localStorage.clear()")

    assert len(set(grounds)) == 2
