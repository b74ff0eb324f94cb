"""Some built pages in a real browser: axe finds no violation, and none loads a megabyte.

They belong to a built book, so ``make book`` comes first; without one these tests are skipped.
"""

from importlib import resources

import browsing
import pytest
import serving
from selenium.webdriver.support.ui import WebDriverWait

from book.machinery.config import ROOT

pytestmark = pytest.mark.slow
HTML = ROOT / "_build" / "html"
PAGES = (
    "book/intro",
    "book/matching/alignment_problem",  # proofs that fold, tables
    "book/likelihood_ratio/gaussian",  # sliders and the backend switch
    "book/experiments/realnvp",  # players, many figures
    "book/experiments/affine_rate",  # long formulas
    "book/course/student/flows",
    "book/library/install",
    "book/library/quick_start",
    "book/library/guide",
    "book/library/gallery",
    "book/library/interface/aligners",  # long signatures
    "book/library/interface/data",
    "book/appendix/claims",
    "book/appendix/notation",
)
LOOKS = {"light": (1400, "light"), "dark": (1400, "dark"), "phone": (390, "light")}
BUDGET = 1_000_000  # bytes on the wire, compressed as static hosts do
READY = """
const done = arguments[0];
const set = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
// A colour that is still on its way from another one has no contrast of its own.
const settled = () => Promise.allSettled(document.getAnimations()
  .filter((one) => one instanceof CSSTransition).map((one) => one.finished));
set.then(settled).then(() => done());
"""
# Formulas are MathJax's own business; its markup is most of a page, and checked by its authors.
RUN = """
const done = arguments[0];
axe.run({exclude: [["mjx-container"]]}, {resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map((rule) => rule.id + ": " + rule.help + "; "
    + rule.nodes.map((node) => node.target.join(" ")).join(", "))),
  (error) => done([String(error)]));
"""


@pytest.fixture(scope="module")
def chromium():
    missing = [page for page in PAGES if not (HTML / f"{page}.html").exists()]
    if missing:
        pytest.skip(f"_build/html has no {missing[0]}: run make book")
    with browsing.chromium() as running:
        running.set_script_timeout(120)
        yield running


@pytest.fixture(scope="module")
def server(chromium):
    with serving.serve(HTML) as (address, sent):
        yield address, sent


@pytest.fixture(scope="module")
def show(chromium, server):
    """Open a page and wait until its formulas are set."""

    def open_page(page, *, width=1400, mode="light"):
        chromium.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        scheme = {"name": "prefers-color-scheme", "value": mode}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        chromium.get(f"{server[0]}/{page}.html")
        WebDriverWait(chromium, 60).until(
            lambda driver: driver.execute_script("return document.readyState === 'complete'")
        )
        chromium.execute_async_script(READY)

    return open_page


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_no_violation(chromium, show, page, look):
    width, mode = LOOKS[look]
    show(page, width=width, mode=mode)
    script = resources.files("axe_core_python") / "axe.min.js"
    chromium.execute_script(script.read_text(encoding="utf8"))
    assert chromium.execute_async_script(RUN) == []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_sticks_out_on_a_phone(chromium, show, page):
    show(page, width=390)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390


def test_axe_sees_a_violation_where_there_is_one(chromium, show):
    show("book/appendix/notation")
    chromium.execute_script("document.querySelector('main').append(document.createElement('img'))")
    script = resources.files("axe_core_python") / "axe.min.js"
    chromium.execute_script(script.read_text(encoding="utf8"))
    assert [line.partition(":")[0] for line in chromium.execute_async_script(RUN)] == ["image-alt"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_less_than_a_megabyte(chromium, server, show, page):
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.clearBrowserCache", {})  # of pages that were open before
    chromium.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    _, sent = server
    sent.clear()
    show(page)
    heaviest = sorted(sent.items(), key=lambda item: -item[1])[:5]
    assert f"/{page}.html" in sent
    assert sum(sent.values()) < BUDGET, heaviest
