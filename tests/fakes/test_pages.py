"""The demo's sign-in and mailbox pages in a real browser."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from govern.fakes.mail import DemoMailbox
from govern.fakes.oidc import Client, DemoProvider, Person
from govern.fakes.server import serve
from tests.peers.browser import page_with_checks
from tests.peers.relying_party import RelyingParty

pytestmark = pytest.mark.browser

ADA = Person("ada@corp.example", "Ada Admin", ["govern-admins"])
EVE = Person("eve@corp.example", "Eve Example")


@pytest.fixture
def party() -> Iterator[RelyingParty]:
    provider = DemoProvider("http://127.0.0.1:1", people=[ADA, EVE])
    with serve(provider.app) as at_provider:
        provider.issuer = at_provider.url
        party = RelyingParty(provider.issuer, "govern", "not real")
        with serve(party.app) as at_party:
            base = party.base = at_party.url
            provider.register(Client("govern", "not real", [f"{base}/auth/callback"], [f"{base}/auth/logged-out"]))
            yield party


@pytest.mark.parametrize(
    "settings", [{}, {"java_script_enabled": False}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 600}}]
)
def test_signing_in_and_out(browser: Browser, party: RelyingParty, settings: dict[str, Any]) -> None:
    with page_with_checks(browser, **settings) as page:
        page.goto(f"{party.base}/auth/login")
        expect(page).to_have_title("Choose who you are · Demo sign-in")
        page.get_by_role("button", name="Ada Admin").click()
        expect(page.locator("#who")).to_have_text(ADA.email)
        page.goto(party.issuer)
        expect(page.get_by_text("You are signed in as Ada Admin")).to_be_visible()
        page.goto(party.base)
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#who")).to_have_text("signed out")
        page.goto(party.issuer)
        expect(page.get_by_text("Nobody is signed in here.")).to_be_visible()


def test_signing_out_at_the_provider_asks_first(browser: Browser, party: RelyingParty) -> None:
    with page_with_checks(browser) as page:
        page.goto(f"{party.base}/auth/login")
        page.get_by_role("button", name="Eve Example").press("Enter")
        page.goto(f"{party.issuer}/logout")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading")).to_have_text("You are signed out")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_enough(browser: Browser, party: RelyingParty, scheme: Any) -> None:
    with page_with_checks(browser, color_scheme=scheme) as page:
        page.goto(f"{party.base}/auth/login")
        for selector in ("h1", ".name", ".email", ".groups", ".plain", ".brand"):
            assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


def test_the_mailbox_shows_what_came(browser: Browser) -> None:
    with DemoMailbox() as mailbox, serve(mailbox.app) as site, page_with_checks(browser) as page:
        page.goto(site.url)
        expect(page.get_by_text("No mail yet.")).to_be_visible()
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@corp.example", "b@corp.example", "80 % <b>used</b>"
        message.set_content("search: 85.00 of 100.00 USD")
        with smtplib.SMTP(mailbox.host, mailbox.port, timeout=5) as smtp:
            smtp.send_message(message)
        page.get_by_role("link", name="Look again").click()
        page.get_by_role("link", name="80 % <b>used</b>").click()
        expect(page.get_by_role("heading")).to_have_text("80 % <b>used</b>")
        expect(page.get_by_text("search: 85.00 of 100.00 USD")).to_be_visible()


# WCAG's contrast ratio of an element's text against the first opaque background behind it.
CONTRAST = """(element) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = element;
  while (numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(light).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
