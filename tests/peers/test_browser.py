from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response
from playwright.sync_api import Browser, expect

from govern.fakes.server import serve
from tests.peers.browser import browser as start_browser
from tests.peers.browser import page_with_checks

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    app = Flask(__name__)
    bodies = {
        "good": "<h1>Good</h1>",
        "script": "<h1>Blocked</h1><script>1</script>",
        "image": "<h1>Blocked</h1><img src='http://192.0.2.1/x.png' alt=''>",
    }

    @app.get("/<name>")
    def page(name: str) -> Response:
        policy = "default-src 'self'; img-src data:" if name != "image" else "default-src 'self'; img-src *"
        start = '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">'
        return Response(start + bodies[name], headers={"Content-Security-Policy": policy})

    @app.get("/throw.js")
    def throw() -> Response:
        return Response("throw new Error('thrown on purpose')", mimetype="text/javascript")

    @app.get("/throwing")
    def throwing() -> str:
        return '<!doctype html><html lang="en"><title>T</title><link rel="icon" href="data:,"><script src="/throw.js"></script>'

    with serve(app) as server:
        yield server.url


def visit(browser: Browser, url: str) -> None:
    with page_with_checks(browser) as page:
        # Not until it is loaded: the image that is elsewhere never is.
        page.goto(url, wait_until="domcontentloaded")
        page.wait_for_timeout(200)


def test_a_good_page_passes(browser: Browser, site: str) -> None:
    with page_with_checks(browser) as page:
        page.goto(f"{site}/good")
        expect(page.get_by_role("heading")).to_have_text("Good")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("script", "CSP: script-src-elem blocked inline"),
        ("throwing", "uncaught: thrown on purpose"),
        ("missing.js", "console: Failed to load resource: the server responded with a status of 500"),
        ("image", "left the machine: http://192.0.2.1/x.png"),
    ],
)
def test_a_complaint_fails_the_test(browser: Browser, site: str, path: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        visit(browser, f"{site}/{path}")


def test_an_expected_complaint_can_be_allowed(browser: Browser, site: str) -> None:
    with page_with_checks(browser, allow=["thrown on purpose"]) as page:
        page.goto(f"{site}/throwing")


def test_profiles_are_apart_and_can_be_told_what_to_be(browser: Browser, site: str) -> None:
    with page_with_checks(browser) as page:
        page.goto(f"{site}/good")
        page.evaluate("document.cookie = 'kept=1'")
    with page_with_checks(browser, color_scheme="dark", java_script_enabled=True) as page:
        page.goto(f"{site}/good")
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is True


def test_without_a_browser_it_fails_in_ci_and_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> None:
        with start_browser():
            pass

    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    monkeypatch.delenv("CI", raising=False)
    # In a thread of its own: Playwright's synchronous interface runs once per thread.
    with ThreadPoolExecutor(1) as thread, pytest.raises(pytest.skip.Exception, match="No browser"):
        thread.submit(start).result()
    monkeypatch.setenv("CI", "true")
    with ThreadPoolExecutor(1) as thread, pytest.raises(pytest.fail.Exception, match="No browser"):
        thread.submit(start).result()
