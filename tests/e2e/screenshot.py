"""Take the picture of the console that the README shows: `make screenshot`, with the service running."""

import os
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=2",
)  # fmt: skip


def main(target: Path) -> None:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        browser.set_window_size(980, 790)
        browser.get(f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/")
        WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#samples button img"))
        browser.find_element(By.CSS_SELECTOR, "#samples button[title=sneaker]").click()
        WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#result .bar"))
        browser.save_screenshot(str(target))
    finally:
        browser.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
