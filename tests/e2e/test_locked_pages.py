"""The console and the docs of a service that asks for keys, in a real browser."""

import json
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from page import barriers, complaints, find, foreign, press, says, shown, tab_to, wait
from processes import Client
from product import Hemline, Start

OPERATOR = "an-operators-token-of-32-letters-or-more"
CREATE = "#operations-predictions-createPrediction"


@pytest.fixture(scope="module")
def site(start: Start) -> Hemline:
    """An instance that asks for keys."""
    return start(HEMLINE_AUTH="keys", HEMLINE_ADMIN_KEY=OPERATOR).until_ready()


@pytest.fixture(scope="module")
def admin(site: Hemline) -> Client:
    client = Client(site.http.url)
    client.session.headers["Authorization"] = f"Bearer {OPERATOR}"
    return client


@pytest.fixture(autouse=True)
def a_new_tab(browser: Chrome, site: Hemline) -> Iterator[None]:
    """One that knows no key; nothing but refusals is complained of, and nobody else is asked."""
    browser.get(f"{site.http.url}/health/live")
    browser.execute_script("sessionStorage.clear()")
    foreign(browser, site.http.url), complaints(browser)
    yield
    assert foreign(browser, site.http.url) == []
    assert all("status of 40" in each for each in complaints(browser))


def token(admin: Client, *scopes: str) -> str:
    return str(admin.post("/v1/keys", {"name": "browser", "scopes": scopes}).json()["token"])


def visit(browser: Chrome, site: Hemline, view: str) -> None:
    browser.get("about:blank")
    browser.get(f"{site.http.url}/#{view}")


def enter(browser: Chrome, key: str, within: str = "") -> None:
    find(browser, f"{within} .key input").send_keys(key, Keys.ENTER)


def test_the_console_asks_for_a_key_and_goes_on_with_it(browser: Chrome, site: Hemline, admin: Client) -> None:
    visit(browser, site, "classify")
    says(browser, ".history", "An API key is needed")
    assert barriers(browser) == []
    enter(browser, "hl_nonsense", ".history")
    says(browser, ".history", "unknown, expired or revoked")
    enter(browser, token(admin, "predict"), ".history")
    says(browser, ".history", "No answers yet")
    find(browser, "[data-sample=bag]").click()
    says(browser, ".verdict .label", "Bag")

    command = shown(browser, "#curl code")
    assert '-H "Authorization: Bearer $HEMLINE_API_KEY"' in command and "hl_" not in command

    visit(browser, site, "training")
    says(browser, ".view", "Your key is not good for that")


def test_a_key_is_entered_and_forgotten_without_a_mouse(browser: Chrome, site: Hemline, admin: Client) -> None:
    visit(browser, site, "system")
    says(browser, ".view", "All is well")
    tab_to(browser, ".key input")
    assert barriers(browser) == []
    enter(browser, token(admin, "predict"))
    assert browser.execute_script("return sessionStorage.getItem('api-key')").startswith("hl_")
    assert browser.execute_script("return localStorage.length") == 0
    press(browser, "Forget it")
    assert browser.execute_script("return sessionStorage.getItem('api-key')") is None
    assert find(browser, ".key input").get_attribute("value") == ""


def test_a_job_is_followed_with_a_key(browser: Chrome, site: Hemline, admin: Client) -> None:
    key = token(admin, "train")
    owner = Client(site.http.url)
    owner.session.headers["Authorization"] = f"Bearer {key}"
    job = owner.post("/v1/training-jobs", {"epochs": 1}).json()["id"]
    visit(browser, site, f"training/{job}")
    enter(browser, key)
    says(browser, ".view", "Waiting for a training worker")

    assert owner.post(f"/v1/training-jobs/{job}/cancel").status_code == 202

    says(browser, ".view", "It was canceled")


def test_a_model_is_downloaded_with_a_key(browser: Chrome, site: Hemline, admin: Client) -> None:
    visit(browser, site, "models/v1")
    enter(browser, token(admin, "predict"))
    press(browser, "Download LiteRT")

    def asked(_: Chrome) -> bool:
        events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
        answers = [e["params"]["response"] for e in events if e["method"] == "Network.responseReceived"]
        return any(a["url"].endswith("/artifacts/litert") and a["status"] == 200 for a in answers)

    wait(browser, asked, "the file comes")


def test_authorize_in_the_docs_sends_the_key(browser: Chrome, site: Hemline, admin: Client) -> None:
    browser.get(f"{site.http.url}/docs")
    press(browser, "Authorize")
    find(browser, ".auth-container input").send_keys(token(admin, "predict"))
    find(browser, ".auth-btn-wrapper button[type=submit]").click()
    find(browser, ".btn-done").click()
    find(browser, f"{CREATE} .opblock-summary-control").click()
    find(browser, f"{CREATE} .try-out__btn").click()
    find(browser, f"{CREATE} .execute").click()
    status = find(browser, f"{CREATE} .live-responses-table tbody .response-col_status")

    assert status.text.split()[0] in ("201", "202")
    assert "Authorization: Bearer" in browser.find_element(By.CSS_SELECTOR, f"{CREATE} .curl-command").text
