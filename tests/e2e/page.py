"""A page in a real browser, as its user meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

AXE = (Path(__file__).parent / "axe.min.js").read_text()


def wait(browser: Chrome, condition: Callable[[Chrome], Any], what: str, seconds: float = 60) -> Any:
    return WebDriverWait(browser, seconds).until(condition, what)


def find(browser: Chrome, selector: str) -> WebElement:
    """An element once it is shown."""
    element: WebElement = wait(
        browser, lambda b: next((e for e in b.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None),
        f"{selector} is shown",
    )  # fmt: skip
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def press(browser: Chrome, words: str) -> None:
    """Press the button or follow the link that says this."""
    script = (
        "return [...document.querySelectorAll('button, a, .segments label, summary')].find(e => "
        "(e.ariaLabel ?? e.textContent).trim().startsWith(arguments[0]) && e.checkVisibility() && !e.disabled)"
    )
    element = wait(browser, lambda b: b.execute_script(script, words), f"there is something to press that says {words}")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def shown(browser: Chrome, selector: str) -> str:
    """The text of what is there, as it changes under the reader's eyes."""
    script = "return Array.from(document.querySelectorAll(arguments[0]), e => e.textContent).join(' ')"
    return str(browser.execute_script(script, selector))


def says(browser: Chrome, selector: str, words: str, seconds: float = 60) -> None:
    """Come back when an element says these words."""
    try:
        wait(browser, lambda b: words in shown(b, selector), f"{selector} says {words}", seconds)
    except Exception as never:
        raise AssertionError(f"{selector} says {shown(browser, selector)!r}, never {words!r}") from never


def tab_to(browser: Chrome, selector: str) -> None:
    """Go there as one does without a mouse."""
    for _ in range(80):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def keys(browser: Chrome, *pressed: str) -> None:
    ActionChains(browser).send_keys(*pressed).perform()


def foreign(browser: Chrome, url: str) -> list[str]:
    """What was asked of anybody else since the last call, by the browser's own log."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [each for each in asked if each.startswith(("http", "ws")) and not each.startswith(url)]


def complaints(browser: Chrome) -> list[str]:
    """What the browser complained about since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def barriers(browser: Chrome) -> list[str]:
    """What axe finds against the page as it is, with everything unfolded."""
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
    browser.execute_script(AXE)
    found = browser.execute_async_script("axe.run(document).then(arguments[arguments.length - 1])")
    return [f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]]
