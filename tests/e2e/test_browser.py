"""The pages for people, in a real browser."""

from collections.abc import Callable
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from processes import ROOT, SAMPLES
from product import Hemline


def wait(browser: Chrome, condition: Callable[[Chrome], Any], what: str) -> Any:
    return WebDriverWait(browser, 60).until(condition, what)


def find(browser: Chrome, selector: str) -> WebElement:
    """An element once it is shown."""
    element: WebElement = wait(
        browser, lambda b: next((e for e in b.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None),
        f"{selector} is shown",
    )  # fmt: skip
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def shown(browser: Chrome, selector: str) -> str:
    """The text of what is there, as it changes under the reader's eyes."""
    script = "return Array.from(document.querySelectorAll(arguments[0]), e => e.textContent).join(' ')"
    return str(browser.execute_script(script, selector))


def foreign(browser: Chrome, hemline: Hemline) -> list[str]:
    """What the page loaded from elsewhere."""
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    return [url for url in loaded if not url.startswith((hemline.http.url, "data:", "blob:"))]


def complaints(browser: Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_prediction_can_be_tried_out_in_the_docs(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/docs")
    operation = "#operations-predictions-createPrediction"
    find(browser, f"{operation} .opblock-summary-control").click()
    find(browser, f"{operation} .try-out__btn").click()
    find(browser, f"{operation} .execute").click()
    status = find(browser, f"{operation} .live-responses-table tbody .response-col_status")

    # The example asks to wait, so either of the two is as documented.
    assert status.text.split()[0] in ("201", "202")
    assert "pred_" in find(browser, f"{operation} .live-responses-table tbody .response-col_description").text
    assert foreign(browser, hemline) == []
    assert complaints(browser) == []


def test_a_picture_that_is_chosen_in_the_console_is_named(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/")
    for name in ("trouser", "ankle-boot"):
        browser.find_element(By.ID, "file").send_keys(str(ROOT / "api" / "console" / "samples" / f"{name}.png"))
        find(browser, "#upload button[type=submit]").click()
        wait(browser, lambda b: SAMPLES[name] in shown(b, "#result strong"), f"{name} is named")

    assert foreign(browser, hemline) == []
    assert complaints(browser) == []


def test_a_sample_of_the_console_is_named(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/")
    wait(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, "#samples button")) == len(SAMPLES), "ten samples")
    browser.find_elements(By.CSS_SELECTOR, "#samples button")[0].click()
    wait(browser, lambda b: shown(b, "#result strong") == "T-shirt/top", "named")


def test_a_file_that_is_no_picture_is_refused_in_words(browser: Chrome, hemline: Hemline) -> None:
    browser.get(f"{hemline.http.url}/")
    browser.find_element(By.ID, "file").send_keys(str(ROOT / "pyproject.toml"))
    find(browser, "#upload button[type=submit]").click()
    wait(browser, lambda b: "picture" in shown(b, "#result .error"), "the reason is shown")
