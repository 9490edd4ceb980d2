"""The documentation of the API, in a real browser."""

from selenium.webdriver import Chrome

from page import complaints, find, foreign
from product import Hemline


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
    assert foreign(browser, hemline.http.url) == []
    assert complaints(browser) == []
