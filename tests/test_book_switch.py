"""The switch between the backends in a real browser: what one sees, and what is remembered."""

import base64
import runpy

import browsing
import pytest
import serving
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book.machinery.config import ROOT

extension = runpy.run_path(str(ROOT / "book" / "_ext" / "backend_switch.py"))
SCRIPT = (ROOT / "book" / "_static" / "backend_switch.js").read_text(encoding="utf8")
STYLE = (ROOT / "book" / "_static" / "backend_switch.css").read_text(encoding="utf8")
# The rule of the theme that makes hidden things invisible to the browser's search, too.
THEME = "[hidden] { display: none !important; } body { margin: 0 1rem; } .cell { margin: 1rem 0; }"
LOREM = "<p>" + "A line of text. " * 150 + "</p>"
CELLS = """
<div class="cell tag_backend-jax" id="backend-jax-{k}"><p class="backend-name">JAX</p>
<pre>one\ntwo\nthree\nfour\nfive\nsix</pre></div>
<div class="cell tag_backend-tfp" id="backend-tfp-{k}"><p class="backend-name">TFP</p>
<pre>walrus</pre></div>
"""
VISIBLE = """
return [...document.querySelectorAll(".cell")].filter((cell) =>
  cell.checkVisibility() && cell.getBoundingClientRect().height > 0
  && cell.querySelector("pre").checkVisibility()).map((cell) => cell.id);
"""
# What the browser would draw before the rest of the page has arrived.
EARLY = """
<script>window.early = [...document.querySelectorAll(".cell")].map(
  (cell) => getComputedStyle(cell).display);</script>
"""
JAX, TFP = ["backend-jax-1", "backend-jax-2"], ["backend-tfp-1", "backend-tfp-2"]


def page_text():
    switch = extension["switch_html"]("JAX and TFP agree to 3e-07", SCRIPT)
    body = LOREM + CELLS.format(k=1) + EARLY + LOREM * 3 + CELLS.format(k=2) + LOREM * 3
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{THEME}{STYLE}</style></head><body><article><section><h1>Title</h1>"
        f"{switch}{body}</section></article></body></html>"
    )


@pytest.fixture(scope="module")
def chromium():
    with browsing.chromium() as running:
        yield running


@pytest.fixture
def address(chromium, tmp_path):
    """Two pages of one book, and a reader who has chosen nothing yet; a site for each test."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.html").write_text(page_text(), encoding="utf8")
    (tmp_path / "favicon.ico").write_bytes(b"")
    chromium.get_log("browser")
    with serving.serve(tmp_path) as (address, _):
        yield address
        assert chromium.get_log("browser") == []
        chromium.get("about:blank")


@pytest.fixture
def go(chromium, address):
    """Open a page of the book.

    A blank one comes between where it is open already, or an address on it would load nothing; and
    only there, since it may take another process, which sees late what this one has stored.
    """

    def opened(name="first", anchor=""):
        page = f"{address}/{name}.html"
        if chromium.current_url.partition("#")[0] == page:
            chromium.get("about:blank")
        chromium.get(page + anchor)
        return chromium

    return opened


def shown(driver):
    return driver.execute_script(VISIBLE)


def ticked(driver):
    inputs = driver.find_elements(By.CSS_SELECTOR, ".lrmf-backends input")
    return [button.get_attribute("value") for button in inputs if button.is_selected()]


def click(driver, name):
    (label,) = driver.find_elements(By.XPATH, f"//label[span='{name}']")
    label.click()


def stored(driver):
    return driver.execute_script("return localStorage.getItem('lrmf-backend')")


def test_first_visit_shows_jax_and_a_click_shows_tfp(kind, go):
    driver = go()
    assert (shown(driver), ticked(driver), stored(driver)) == (JAX, ["jax"], None)
    click(driver, "TFP")
    assert (shown(driver), ticked(driver), stored(driver)) == (TFP, ["tfp"], "tfp")
    # An older browser would show an element that is hidden in a way it does not know.
    marked = driver.find_elements(By.CSS_SELECTOR, "[hidden]")
    assert [cell.get_attribute("id") for cell in marked] == (JAX if kind == "searchable" else [])


def test_choice_holds_on_other_pages_and_after_a_reload(go):
    click(go(), "TFP")
    driver = go("second")
    assert (shown(driver), ticked(driver)) == (TFP, ["tfp"])
    driver.refresh()
    assert (shown(driver), ticked(driver)) == (TFP, ["tfp"])


@pytest.mark.parametrize("name", ["JAX", "TFP"])
def test_nothing_is_drawn_that_must_vanish_again(go, name):
    click(go(), name)
    early = go("second").execute_script("return window.early")
    assert early == (["block", "none"] if name == "JAX" else ["none", "block"])


def test_arrow_keys_move_the_switch(go):
    driver = go()
    ActionChains(driver).send_keys(Keys.TAB).perform()
    focused = driver.switch_to.active_element
    assert focused.get_attribute("value") == "jax"
    ring = "return getComputedStyle(arguments[0].nextElementSibling).outlineStyle"
    assert driver.execute_script(ring, focused) == "solid"
    ActionChains(driver).send_keys(Keys.ARROW_RIGHT).perform()
    assert (shown(driver), stored(driver)) == (TFP, "tfp")
    ActionChains(driver).send_keys(Keys.ARROW_RIGHT).perform()
    assert (shown(driver), stored(driver)) == (JAX, "jax")


def test_arrow_keys_do_not_scroll(go):
    """The theme keeps a margin for its bar; a browser scrolls to bring the switch below it."""
    driver = go()
    driver.execute_script(
        "document.documentElement.style.scrollPaddingTop = '64px'; window.scrollTo(0, 900);"
        "document.querySelector('.lrmf-backends input:checked').focus({preventScroll: true})"
    )
    before = driver.execute_script("return window.scrollY")
    for _ in range(2):  # there and back, as the cells of the two differ in height
        ActionChains(driver).send_keys(Keys.ARROW_RIGHT).perform()
    assert driver.execute_script("return window.scrollY") == pytest.approx(before, abs=2)


def test_it_is_read_aloud_as_a_group_with_a_name(go):
    driver = go()
    (group,) = driver.find_elements(By.CSS_SELECTOR, "fieldset")
    assert (group.aria_role, group.accessible_name) == ("group", "Show code in")
    buttons = group.find_elements(By.CSS_SELECTOR, "input")
    assert [(b.aria_role, b.accessible_name) for b in buttons] == [
        ("radio", "JAX"),
        ("radio", "TFP"),
    ]


def test_another_window_follows(go):
    first = go()
    window = first.current_window_handle
    first.switch_to.new_window("tab")
    second = go("second")
    click(second, "TFP")
    other = second.current_window_handle
    first.switch_to.window(window)
    WebDriverWait(first, 10).until(lambda driver: shown(driver) == TFP)
    assert ticked(first) == ["tfp"]
    first.switch_to.window(other)
    first.close()
    first.switch_to.window(window)


@pytest.fixture(params=["finds hidden text", "does not find hidden text"])
def kind(request, chromium):
    """A browser that opens what a search or a link finds in a hidden element, or an older one."""
    if request.param == "finds hidden text":
        yield "searchable"
        return
    forget = "delete HTMLElement.prototype.onbeforematch"
    name = "Page.addScriptToEvaluateOnNewDocument"
    added = chromium.execute_cdp_cmd(name, {"source": forget})
    yield "older"
    chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize("anchor", ["#backend-tfp-2", "#backend%2Dtfp-2"])
def test_link_into_a_hidden_cell_shows_it(kind, go, anchor):
    driver = go(anchor=anchor)
    assert (shown(driver), ticked(driver)) == (TFP, ["tfp"])
    top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
    assert abs(driver.execute_script(top, TFP[1])) < 5
    assert stored(driver) is None  # a link is not the reader's choice
    driver.execute_script("location.hash = '#backend-jax-1'")
    WebDriverWait(driver, 10).until(lambda driver: shown(driver) == JAX)
    assert abs(driver.execute_script(top, JAX[0])) < 5


def test_links_to_nowhere_change_nothing(go):
    for anchor in ("#nowhere", "#100%"):
        assert shown(go(anchor=anchor)) == JAX


def test_search_finds_a_hidden_cell(go):
    driver = go(anchor="#:~:text=walrus")
    WebDriverWait(driver, 10).until(lambda driver: shown(driver) == TFP)
    assert ticked(driver) == ["tfp"]


def test_what_one_looks_at_stays_where_it_is(kind, go):
    driver = go()
    driver.execute_script(
        "document.getElementById('backend-jax-2').scrollIntoView({block: 'center'})"
    )
    top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
    before, scrolled = driver.execute_script(top, JAX[1]), "return window.scrollY"
    y = driver.execute_script(scrolled)
    click(driver, "TFP")
    assert driver.execute_script(top, TFP[1]) == pytest.approx(before, abs=1.5)
    assert driver.execute_script(scrolled) < y - 50  # the first cell above became shorter
    (switch,) = driver.find_elements(By.CSS_SELECTOR, ".lrmf-backends")
    assert 0 <= driver.execute_script(top.replace("document.getElementById", ""), switch) < 100


def test_it_works_where_nothing_can_be_stored(chromium):
    data = base64.b64encode(page_text().encode("utf8")).decode("ascii")
    chromium.get(f"data:text/html;base64,{data}")
    with pytest.raises(Exception, match="localStorage"):
        stored(chromium)
    assert shown(chromium) == JAX
    click(chromium, "TFP")
    assert (shown(chromium), ticked(chromium)) == (TFP, ["tfp"])
    chromium.get("about:blank")
    assert chromium.get_log("browser") == []


def test_without_scripts_both_are_shown_with_their_names(chromium, go):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = go()
        cells = driver.find_elements(By.CSS_SELECTOR, ".cell")
        assert all(cell.is_displayed() for cell in cells)
        names = driver.find_elements(By.CSS_SELECTOR, ".backend-name")
        assert [name.text for name in names] == ["JAX", "TFP"] * 2
        (switch,) = driver.find_elements(By.CSS_SELECTOR, ".lrmf-backends")
        assert not switch.is_displayed()
        (sentence,) = driver.find_elements(By.CSS_SELECTOR, ".lrmf-agreement")
        assert sentence.text.startswith("JAX and TFP agree")
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_both_are_shown(chromium, go):
    click(go(), "TFP")
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert shown(chromium) == [JAX[0], TFP[0], JAX[1], TFP[1]]
        (switch,) = chromium.find_elements(By.CSS_SELECTOR, ".lrmf-backends")
        assert not switch.is_displayed()
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_fits_a_phone(chromium, go):
    phone = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        driver = go()
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
        (label,) = driver.find_elements(By.XPATH, "//label[span='TFP']")
        assert label.size["height"] >= 24
        assert label.size["width"] >= 44
        assert label.rect["x"] + label.size["width"] <= 360
        click(driver, "TFP")
        assert shown(driver) == TFP
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
