"""Take the picture of the console that the README shows: `make screenshot`, with the service running."""

import os
import shutil
import sys
from pathlib import Path

import cv2
from selenium import webdriver

from page import find, says

sys.path.append(str(Path(__file__).parents[1]))
from processes import SAMPLES  # noqa: E402

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--no-proxy-server",
)  # fmt: skip


def main(target: Path) -> None:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 1200, "height": 960, "deviceScaleFactor": 2, "mobile": False})
        browser.get(f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/")
        for sample in sorted(SAMPLES, key="sneaker".__eq__):  # the sneaker last
            find(browser, f"[data-sample={sample}]").click()
            says(browser, ".verdict .label", SAMPLES[sample])
            says(browser, ".thumbs li:first-child", SAMPLES[sample])
        browser.execute_script("window.scrollTo(0, 0)")
        browser.save_screenshot(str(target))
    finally:
        browser.quit()
    # Half the bytes: a page has few colours, and PNG's best filters want time that a browser does not take.
    cv2.imwrite(str(target), cv2.imread(str(target)), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
