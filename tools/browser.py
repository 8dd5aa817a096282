"""The browser that tests and pictures use: Chromium as the system has it (Debian: chromium)."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")


class MissingBrowserError(Exception):
    """There is no browser, or nothing to drive it with; the message is one line."""


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser without a window.

    Raises:
        MissingBrowserError: Chromium or playwright is not installed.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise MissingBrowserError(f"no browser: none of {', '.join(NAMES)}")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingBrowserError("playwright is not installed (requirements-dev.txt)") from error
    with sync_playwright() as driver:
        # A sandbox of its own is refused to root, as which containers run.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
