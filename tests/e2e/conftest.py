"""The whole product, started as a user starts it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from processes import Client
from product import Hemline, Start


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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()
