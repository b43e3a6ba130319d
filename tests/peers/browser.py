"""A real Chromium for tests, and pages that fail the test when the browser complains."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.peers.absence import missing

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# No calls home, which would be cut off here and fill the log; no sandbox, which Chromium cannot have as root.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# The page's own report names the directive, the address and the place; the console's text does not always.
REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => console.error(
  `CSP: ${event.violatedDirective} blocked ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


def program() -> str | None:
    """The installed Chromium or Chrome: CHROMIUM names one, else the usual names on PATH. None for Playwright's own."""
    if given := os.environ.get("CHROMIUM"):
        return given
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser: an installed one, else the one that Playwright downloaded.

    Where there is neither, it skips the test, or fails it in CI. Start one per thread and share it (a session fixture):
    Playwright's synchronous interface refuses a second one, and `asyncio.run` does not work beside it.
    """
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=program(), args=list(ARGUMENTS))
        except PlaywrightError as error:
            reason = error.message.splitlines()[0]
            missing(f"No browser: install chromium, or run `playwright install chromium`. ({reason})")
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def page_with_checks(browser: Browser, *, allow: Sequence[str] = (), **context: Any) -> Iterator[Page]:
    """A page in a fresh profile. At the end the test fails if there was an error in the console, an uncaught exception,
    a violation of the content security policy, or a request that left the machine.

    `allow` holds regular expressions of complaints that the test provokes ("422" for a form sent with mistakes).
    `context` goes to `browser.new_context`: `color_scheme="dark"`, `java_script_enabled=False`, …
    """
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    profile = browser.new_context(**context)
    try:
        profile.add_init_script(REPORT_VIOLATIONS)
        profile.on("weberror", lambda error: complaints.append(f"uncaught: {error.error}"))
        profile.on("console", on_console)
        profile.on("request", lambda request: _note_request(request.url, complaints))
        yield profile.new_page()
    finally:
        profile.close()
    unexpected = [each for each in complaints if not any(re.search(pattern, each) for pattern in allow)]
    assert not unexpected, "the browser complained:\n" + "\n".join(unexpected)


def _note_request(url: str, complaints: list[str]) -> None:
    if not re.match(r"(https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/|data:|blob:|about:)", url):
        complaints.append(f"left the machine: {url}")
