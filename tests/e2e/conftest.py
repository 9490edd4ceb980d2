"""The whole product, started as a user starts it."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from selenium import webdriver

from processes import Client, Process, eventually, free_port, redis_binary, tree

PARTS = {"redis": "redis-server", "worker": "workers.prediction_worker", "web": "granian"}


class Hemline(Process):
    """`make run` with a folder and a port of its own."""

    def __init__(self, home: Path, log: Path, port: int | None = None, **settings: str) -> None:
        self.home = home
        self.port = port or free_port()
        self.http = Client(f"http://127.0.0.1:{self.port}")
        # The parts find the Redis that is to be tested as a user's would be found: by the path.
        path = f"{Path(redis_binary()).parent}:{os.environ['PATH']}"
        # TensorFlow is slow to load and nothing here trains.
        environ = {"PATH": path, "HEMLINE_TRAINING_WORKERS": "0", **settings}
        super().__init__(["make", "run"], log, {"PORT": str(self.port), "HEMLINE_HOME": str(home), **environ})

    def until_ready(self) -> "Hemline":
        self.await_(lambda: "Hemline is ready" in self.output(), "it says that it is ready")
        assert self.http.answers("/health/ready")
        return self

    def part(self, name: str) -> list[psutil.Process]:
        """The processes of a part that live, the first of them the one that was started for it."""
        found = []
        for process in tree(self.popen.pid):
            try:
                words = process.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if any(PARTS[name] in word for word in words):
                found.append(process)
        return found

    def kill_part(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a part and come back when the supervisor has put another in its place."""
        (victim, *_) = eventually(lambda: self.part(name), f"there is a {name}")
        victim.send_signal(number)
        eventually(lambda: any(p.pid != victim.pid for p in self.part(name)[:1]), f"there is a new {name}")

    def interrupt(self) -> int:
        """Ctrl-C: a signal to the whole group of the terminal. Nothing may be left behind."""
        started = tree(self.popen.pid)
        assert len(started) > 3
        self.send(signal.SIGINT)
        status = self.popen.wait(90)
        _, left = psutil.wait_procs(started, timeout=10)
        for process in left:
            process.kill()
        assert not left, f"still there: {left}"
        return status


Start = Callable[..., Hemline]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start an instance; whatever a test leaves running ends with the session."""
    started: list[Hemline] = []

    def run(home: Path | None = None, **options: str) -> Hemline:
        folder = tmp_path_factory.mktemp("hemline")
        instance = Hemline(home or folder / "home", folder / "log", **options)  # type: ignore[arg-type]
        started.append(instance)
        return instance

    yield run
    for instance in started:
        if instance.popen.poll() is None:
            instance.interrupt()


@pytest.fixture(scope="session")
def hemline(start: Start) -> Hemline:
    """An instance that no test harms."""
    return start().until_ready()


@pytest.fixture
def http(hemline: Hemline) -> Client:
    return hemline.http


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        missing = "chromium and chromedriver are not installed: apt install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tmp_path_factory.mktemp("chromium")
    for flag in ("headless=new", "disable-gpu", "no-first-run", "disable-background-networking", "no-proxy-server",
                 "disable-component-update", "disable-sync", "disable-dev-shm-usage", "window-size=1200,1600",
                 f"user-data-dir={profile}", *(["no-sandbox"] if os.getuid() == 0 else [])):  # fmt: skip
        options.add_argument(f"--{flag}")
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()
