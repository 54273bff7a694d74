"""A headless Chromium, driven by clicks and keys, with a profile of its own."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.support.ui import WebDriverWait

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
)
SECONDS_MAX = 280  # a machine with much else to do takes long for anything


@contextmanager
def chromium() -> Iterator[Chrome]:
    """The browser for the time of the block."""
    options = ChromeOptions()
    options.binary_location = _found("chromium")
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Early each time, not now and then: so a test that does not wait by `follow` fails always.
    options.page_load_strategy = "eager"
    with tempfile.TemporaryDirectory(prefix="s3fs-local-chromium-") as profile:
        options.add_argument(f"--user-data-dir={profile}")
        driver = Chrome(options=options, service=Service(_found("chromedriver")))
        try:
            connection = driver.command_executor
            assert isinstance(connection, RemoteConnection)
            connection.client_config.timeout = SECONDS_MAX
            driver.set_page_load_timeout(SECONDS_MAX)
            yield driver
        finally:
            driver.quit()


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is missing: scripts/setup --tests installs it"
    return path


def wear(driver: Chrome, *, width: int, height: int, scheme: str = "light") -> None:
    """The window has that size, and the person prefers light or dark."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def enter(driver: Chrome, link: str) -> None:
    """The browser came in by the link, and the first page is there."""
    driver.get(link)
    _wait(driver).until(lambda driver: "/tree/" in driver.current_url)
    _wait(driver).until(_is_complete)


def visit(driver: Chrome, url: str) -> None:
    """The page is there, with all that it loads."""
    follow(driver, lambda: driver.get(url))


def follow(driver: Chrome, act: Callable[[], object]) -> None:
    """What the act leads to is there, with all that it loads.

    The driver's own wait is not enough: on a slow machine it ends now and then as soon as the page
    before is gone, while the stylesheet of the next is still on its way.
    """
    before = driver.find_element(By.TAG_NAME, "html")
    act()
    _wait(driver).until(lambda driver: driver.find_element(By.TAG_NAME, "html") != before)
    _wait(driver).until(_is_complete)


def _wait(driver: Chrome) -> WebDriverWait[Chrome]:
    return WebDriverWait(driver, SECONDS_MAX, poll_frequency=0.05)


def _is_complete(driver: Chrome) -> bool:
    return bool(driver.execute_script("return document.readyState") == "complete")


def complaints(driver: Chrome) -> list[str]:
    """What the browser wrote to its console since the last time."""
    return [entry["message"] for entry in _log(driver, "browser")]


def history(driver: Chrome) -> list[str]:
    """What was asked for and what came of it since the last time, each with its second."""
    lines = []
    urls = {}
    for entry in _log(driver, "performance"):
        event = json.loads(entry["message"])["message"]
        about = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                url = urls[about["requestId"]] = about["request"]["url"]
                what = f"{about['request']['method']} {url}"
            case "Network.responseReceived":
                what = f"{about['response']['status']} {about['response']['url']}"
            case "Network.loadingFailed":
                what = f"{about['errorText']} {urls.get(about['requestId'], '')}"
            case "Page.loadEventFired":
                what = "loaded"
            case _:
                continue
        lines.append(f"{entry['timestamp'] / 1000:.3f} {what}")
    return lines


def _log(driver: Chrome, kind: str) -> list[dict[str, Any]]:
    # selenium has no types for this function yet.
    entries: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries
