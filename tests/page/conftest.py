"""A real headless Chromium, and what it says about a page: console errors, requests, widths."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "about:", "chrome:")


def _missing():
    """What is missing to drive a browser, or None."""
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return "selenium is not installed"
    if not any(map(shutil.which, BROWSERS)) or not shutil.which("chromedriver"):
        return "no chromium and chromedriver: make browser installs Debian's"
    return None


class Page:
    """A page in the browser."""

    def __init__(self, driver, path):
        self.driver = driver
        self.requests, self.errors = [], []
        self._read_logs()  # what is left of an earlier page
        self.requests, self.errors = [], []
        driver.get(Path(path).resolve().as_uri())

    def run(self, script, *arguments):
        """What a function body of JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def resize(self, width, height=900):
        """Set the size of the viewport, in CSS pixels: a window cannot be as narrow as a telephone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def colours(self, scheme):
        """Ask for "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def overflow(self):
        """By how many pixels the page is wider than its viewport."""
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def find(self, selector):
        """The first element that a CSS selector names."""
        return self.driver.find_element("css selector", selector)

    def texts(self, selector):
        """What all elements that a CSS selector names read."""
        return [element.text for element in self.driver.find_elements("css selector", selector)]

    def asked_and_complained(self):
        """Addresses beyond the file itself that were asked for, and errors on the console."""
        self._read_logs()
        return [url for url in self.requests if not url.startswith(LOCAL)], self.errors

    def _read_logs(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        self.errors += [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """One browser for all tests."""
    if missing := _missing():
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    profile = tmp_path_factory.mktemp("profile")
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", f"user-data-dir={profile}"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def open_page(driver):
    """Opens a file as a `Page`."""
    return lambda path: Page(driver, path)
