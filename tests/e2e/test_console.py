"""The console, used as people use it: on a desktop and on a phone, in light and in dark, without a mouse."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from page import barriers, complaints, find, foreign, keys, press, says, shown, tab_to, wait
from processes import ROOT, SAMPLES, eventually, sample
from product import Hemline, Start

SCREENS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}
DATA = ROOT / "tests" / "data" / "fashion-mnist-sample"


@pytest.fixture(scope="module")
def site(start: Start) -> Hemline:
    """An instance that trains, with a small data set to train on."""
    instance = start(HEMLINE_TRAINING_WORKERS="1").until_ready()
    files = {part: (part, next(DATA.glob(f"train-{part}-*")).read_bytes()) for part in ("images", "labels")}
    assert instance.http.request("POST", "/v1/datasets", files=files).status_code == 201
    return instance


@pytest.fixture(scope="module", params=SCREENS)
def screen(request: pytest.FixtureRequest, browser: Chrome) -> str:
    """The browser has the screen of one of these."""
    width, height, is_phone = SCREENS[request.param]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_to_complain_about(browser: Chrome, site: Hemline, screen: str) -> Iterator[None]:
    """No error in the browser's console, no request to anybody else, nothing wider than the screen."""
    foreign(browser, site.http.url), complaints(browser)
    yield
    assert foreign(browser, site.http.url) == []
    assert complaints(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def visit(browser: Chrome, site: Hemline, view: str) -> None:
    """Open a view by its address, in a page of its own."""
    browser.get("about:blank")
    browser.get(f"{site.http.url}/#{view}")


def photograph(name: str) -> bytes:
    """A garment on a light ground, in colour, larger than the model's pictures."""
    gray = ImageOps.invert(Image.open(BytesIO(sample(name))).convert("L")).resize((280, 280), Image.Resampling.BICUBIC)
    photo = Image.new("RGB", (420, 400), "white")
    photo.paste(ImageOps.colorize(gray, "navy", "white"), (70, 60))
    file = BytesIO()
    photo.save(file, "JPEG", quality=92)
    return file.getvalue()


def test_a_sample_is_named(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "")
    find(browser, "[data-sample=sneaker]").click()

    says(browser, ".verdict .label", "Sneaker")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".bars li")) == 10
    assert "Answered by v" in shown(browser, ".facts")


def test_a_photograph_stands_beside_what_the_model_saw(browser: Chrome, site: Hemline, tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(photograph("trouser"))
    visit(browser, site, "classify")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "mine.jpg"))

    says(browser, ".verdict .label", "Trouser")
    assert find(browser, ".seen .original").is_displayed()
    assert find(browser, ".seen .pixels").get_attribute("src").startswith("data:image/png")
    press(browser, "The curl command")
    says(browser, "#curl code", "base64 -w0 mine.jpg")


def test_an_answer_has_an_address_of_its_own_and_can_be_forgotten(browser: Chrome, site: Hemline) -> None:
    made = site.http.predict("bag", wait=20).json()["id"]
    visit(browser, site, f"classify/{made}")
    says(browser, ".verdict .label", "Bag")
    press(browser, "Models")
    says(browser, "h1", "Models")
    browser.back()
    says(browser, ".verdict .label", "Bag")
    assert find(browser, f".thumbs a[href='#classify/{made}'] img").is_displayed()
    press(browser, "Forget this picture")

    says(browser, ".answer", "Nothing asked yet")
    wait(browser, lambda b: not b.find_elements(By.CSS_SELECTOR, f".thumbs a[href='#classify/{made}']"), "it is gone")
    assert site.http.get(f"/v1/predictions/{made}").status_code == 404


def test_a_drawing_is_answered(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "classify")
    press(browser, "Draw")
    press(browser, "Broad")
    pad = find(browser, "#pad")
    side = pad.size["width"]

    def draw_legs() -> None:
        for x in (-0.13, 0.13):
            pen = ActionChains(browser).move_to_element_with_offset(pad, round(x * side), round(-0.35 * side))
            pen.click_and_hold().move_by_offset(0, round(0.7 * side)).release().perform()

    draw_legs()
    press(browser, "Undo")
    press(browser, "Clear")
    assert not browser.find_element(By.CSS_SELECTOR, ".pad .primary").is_enabled()
    find(browser, "#pad")
    draw_legs()
    press(browser, "Classify the drawing")

    says(browser, ".verdict", "%")
    # What was drawn is what the model saw: bright legs, a dark ground.
    pixels = browser.execute_async_script("""
        const [done] = arguments, image = document.querySelector('.seen .pixels');
        const canvas = new OffscreenCanvas(28, 28).getContext('2d');
        image.decode().then(() => {
            canvas.drawImage(image, 0, 0);
            done([...canvas.getImageData(0, 14, 28, 1).data].filter((_, i) => i % 4 === 0));
        });
    """)  # fmt: skip
    assert pixels[0] == pixels[27] == 0 and max(pixels[8:12]) > 200 and max(pixels[16:20]) > 200


def test_why_is_offered_where_the_service_can_explain(browser: Chrome, site: Hemline) -> None:
    document = site.http.get("/openapi.json").json()
    explains = "explain" in document["components"]["schemas"]["PredictionRequest"]["properties"]
    visit(browser, site, "classify")
    find(browser, "[data-sample=coat]").click()
    says(browser, ".verdict .label", "Coat")
    assert bool(browser.find_elements(By.CSS_SELECTOR, ".why")) == explains
    if explains:
        press(browser, "Why?")
        assert find(browser, ".explanation img").get_attribute("src").startswith("data:image/")


def test_a_file_that_is_no_picture_is_refused_in_words(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "classify")
    browser.find_element(By.ID, "file").send_keys(str(ROOT / "pyproject.toml"))

    says(browser, ".answer .notice", "The picture cannot be read")
    assert all("422" in each for each in complaints(browser))


def test_a_service_that_is_away_is_said_to_be_and_can_be_tried_again(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "classify")
    find(browser, "[data-sample=dress]")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/v1/predictions*"]})
    find(browser, "[data-sample=dress]").click()
    says(browser, ".answer .notice", "The service does not answer")
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    assert all("ERR_BLOCKED" in each for each in complaints(browser))
    press(browser, "Try again")

    says(browser, ".verdict .label", "Dress")


def test_two_hundred_pictures_are_answered_filtered_and_saved(browser: Chrome, site: Hemline, tmp_path: Path) -> None:
    names = [f"{name}-{number}.png" for number in range(20) for name in SAMPLES]
    for name in names[:-1]:
        (tmp_path / name).write_bytes(sample(name.rpartition("-")[0]))
    (tmp_path / names[-1]).write_bytes(b"no picture")
    visit(browser, site, "batches")
    browser.find_element(By.ID, "files").send_keys("\n".join(str(tmp_path / name) for name in names))

    says(browser, "h1", "200 pictures")
    says(browser, ".view", "199 answered, 1 failed")
    press(browser, "Failed 1")
    says(browser, ".results tbody", names[-1])
    assert len(browser.find_elements(By.CSS_SELECTOR, ".results tbody tr")) == 1
    saved = tmp_path / "saved"
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
    press(browser, "Download CSV")
    eventually((saved / "hemline.csv").exists, "the file is saved")
    with (saved / "hemline.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == names
    assert [row["label"] for row in rows[:10]] == list(SAMPLES.values())


def test_a_version_is_trained_before_ones_eyes_promoted_and_rolled_back(browser: Chrome, site: Hemline) -> None:
    before = site.http.get("/v1/models/production").json()["version"]
    dataset = site.http.get("/v1/datasets").json()["items"][0]["id"]
    visit(browser, site, "training")
    for field, value in {"epochs": "3", "network": "tutorial_cnn", "dataset": dataset}.items():
        find(browser, f"[name={field}]").send_keys(value)
    press(browser, "Start training")
    says(browser, ".badge", "running", 240)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".plot .dot"), "a first point", 240)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".plot polyline"), "a line", 240)
    says(browser, ".view", "It made v", 240)
    assert "3 of 3 epochs" in shown(browser, ".view")

    made = shown(browser, ".notice.good a")
    press(browser, made)
    says(browser, "h1", "Models")
    find(browser, f"input[aria-label='Compare {before}']").click()
    says(browser, ".view h2", f"{made} and {before}")
    wait(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, "table.heat")) == 2, "two confusion matrices")
    press(browser, f"Promote {made}")
    says(browser, ".moves", f"{before} → {made}")
    assert site.http.get("/v1/models/production").json()["version"] == made
    press(browser, f"Roll back to {before}")
    says(browser, ".moves", f"{made} → {before}")
    assert site.http.get("/v1/models/production").json()["version"] == before


def test_a_training_job_with_a_value_out_of_range_is_pointed_at(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "training")
    find(browser, "[name=epochs]").send_keys("3")
    find(browser, ".advanced summary").click()
    find(browser, "[name=hyperparameters]").send_keys("dense=3")
    press(browser, "Start training")

    says(browser, ".field .wrong", "no such hyperparameter")
    assert all("422" in each for each in complaints(browser))


def test_the_system_says_who_is_at_work(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "system")

    says(browser, ".view", "All is well")
    says(browser, ".tiles", "train models1")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_barrier(browser: Chrome, site: Hemline, theme: str) -> None:
    prediction = site.http.predict("shirt", wait=20).json()["id"]
    batch = site.http.post("/v1/batches", {"images": ["no picture"]}, wait=20).json()["id"]
    job = site.http.get("/v1/training-jobs").json()["items"][0]["id"]
    models = ",".join(model["version"] for model in site.http.get("/v1/models?limit=2").json()["items"])
    views = {
        "classify": ".thumbs li", f"classify/{prediction}": ".facts", "batches": ".rows li",
        f"batches/{batch}": ".results", "training": ".fields", f"training/{job}": ".plot svg",
        "training/tuning": ".fields", f"models/{models}": "table.heat", "system": ".tiles .tile",
    }  # fmt: skip
    wish = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wish]})
    for view, sign in views.items():
        visit(browser, site, view)
        find(browser, sign)
        assert barriers(browser) == [], view
    visit(browser, site, "classify")
    press(browser, "Draw")
    assert barriers(browser) == []
    find(browser, "#theme").click()
    assert browser.execute_script("return document.documentElement.dataset.theme") != theme
    browser.execute_script("localStorage.clear()")


def test_everything_in_classify_can_be_done_without_a_mouse(browser: Chrome, site: Hemline) -> None:
    visit(browser, site, "classify")
    find(browser, "[data-sample=bag]")
    browser.execute_script("window.scrollTo(0, 0)")
    tab_to(browser, ".skip")
    keys(browser, Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "content"
    tab_to(browser, "#file")
    tab_to(browser, "[data-sample=bag]")
    keys(browser, Keys.ENTER)
    says(browser, ".verdict .label", "Bag")

    visit(browser, site, "classify")
    tab_to(browser, ".segments input")
    keys(browser, Keys.ARROW_RIGHT)
    tab_to(browser, "#pad")
    keys(browser, Keys.SPACE, *[Keys.ARROW_DOWN] * 8, *[Keys.ARROW_RIGHT] * 6, *[Keys.ARROW_UP] * 8, Keys.SPACE)
    tab_to(browser, ".pad .primary")
    keys(browser, Keys.ENTER)
    says(browser, ".verdict", "%")
    tab_to(browser, ".answered button.quiet")
    keys(browser, Keys.ENTER)
    says(browser, ".answer", "Nothing asked yet")
