"""A real browser for the tests of pages.

Needs Chromium and its driver (Debian: ``apt-get install chromium-driver``). Where they are missing
the tests are skipped, in continuous integration too: unlike Node.js they take 400 MB.
"""

import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Without these it looks for updates, in vain where there is no network.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1000,900",
)  # fmt: skip


def programs():
    """Paths of the browser and of its driver."""
    browser = next(filter(None, map(shutil.which, PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("there is no Chromium with its driver here, so pages are not tested in one")
    return browser, driver


@contextmanager
def chromium():
    """Start a browser that keeps what a page writes to its console."""
    browser, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()
