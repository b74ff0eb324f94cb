"""The pictures that move on a page without a kernel, in a real browser: mouse, keys and texts."""

from importlib import resources

import browsing
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book.machinery.config import ROOT

STATIC = ROOT / "book" / "_static"
FIGURES = {"gaussian_widget": "fig-course-gaussian", "coupling_widget": "fig-course-coupling"}
AXE = """
const done = arguments[0];
axe.run(".lrmf-try", {resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map((rule) => rule.id + ": " + rule.help)),
  (error) => done([String(error)]));
"""
NARROW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;"


def page(script, figure):
    parts = [(STATIC / name).read_text(encoding="utf8") for name in ("sliders.js", f"{script}.js")]
    style = (STATIC / "sliders.css").read_text(encoding="utf8")
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    scripts = "".join(f"<script>{text}</script>" for text in parts)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body><main><h1>Title</h1>"
        f'<figure id="{figure}"><img src="{pixel}" alt="The still."><figcaption>Caption'
        f"</figcaption></figure></main>{scripts}</body></html>"
    )


@pytest.fixture(scope="module")
def chromium():
    with browsing.chromium() as running:
        running.set_script_timeout(60)
        yield running


@pytest.fixture(params=FIGURES)
def shown(chromium, request, tmp_path):
    """A page with one picture that moves; returns what one sees of it."""
    path = tmp_path / "page.html"
    path.write_text(page(request.param, FIGURES[request.param]), encoding="utf8")
    chromium.get(path.as_uri())
    WebDriverWait(chromium, 20).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".lrmf-try svg[role=img] text")
    )

    def see():
        drawn = chromium.find_elements(By.CSS_SELECTOR, ".lrmf-try > svg")
        return {
            "pictures": [svg.get_attribute("innerHTML") for svg in drawn],
            "texts": [svg.get_attribute("aria-label") for svg in drawn],
            "status": chromium.find_element(By.CSS_SELECTOR, "[role=status]").text,
        }

    return see


def inputs(chromium):
    return chromium.find_elements(By.CSS_SELECTOR, ".lrmf-try input[type=range]")


def test_the_still_gives_way(chromium, shown):
    assert not chromium.find_element(By.TAG_NAME, "img").is_displayed()
    assert len(shown()["pictures"]) == 2


def test_every_slider_moves_the_picture_by_keys(chromium, shown):
    start = shown()
    for slider in inputs(chromium):
        label = chromium.find_element(By.CSS_SELECTOR, f"label[for='{slider.get_attribute('id')}']")
        assert label.text
        before = shown()
        slider.send_keys(Keys.ARROW_RIGHT)
        assert shown()["pictures"] != before["pictures"]
        assert shown()["status"] != before["status"] or shown()["texts"] != before["texts"]
    chromium.find_elements(By.CSS_SELECTOR, ".lrmf-buttons button")[-1].click()
    assert shown() == start


def test_the_other_button_does_what_it_says(chromium, shown):
    chromium.find_element(By.CSS_SELECTOR, ".lrmf-buttons button").click()
    assert any(text in shown()["status"] for text in ("loss 0.000 nats", "0.00 nats on average"))


def test_nothing_is_wider_than_a_phone(chromium, shown):
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        assert chromium.execute_script(NARROW) <= 0
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_axe_finds_no_violation(chromium, shown):
    script = resources.files("axe_core_python") / "axe.min.js"
    chromium.execute_script(script.read_text(encoding="utf8"))
    assert chromium.execute_async_script(AXE) == []
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
