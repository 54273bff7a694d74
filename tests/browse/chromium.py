"""A headless Chromium, driven by clicks and keys, with a profile of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.remote_connection import RemoteConnection

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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
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
