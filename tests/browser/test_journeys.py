"""The main journeys in a real browser, with a script and without, on a desk and on a phone."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import sign_in
from tests.browser.live import Live
from tests.given import EVE, MAX, OLA
from tests.peers.browser import page_with_checks

pytestmark = pytest.mark.browser

KINDS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True},
    "no script": {"java_script_enabled": False},
}


def works(service: Live, value: str) -> bool:
    """Whether the data plane takes the key."""
    answer = httpx.get(f"{service.openai_url}/v1/models", headers={"Authorization": f"Bearer {value}"})
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def until_shown(page: Page, text: str | re.Pattern[str], *, by_hand: bool) -> None:
    """Wait for the page's own progress, or reload as somebody without a script does."""
    if by_hand:
        for _ in range(40):
            if page.get_by_text(text).locator("visible=true").count():
                break
            page.wait_for_timeout(250)
            page.reload()
    expect(page.get_by_text(text).locator("visible=true").first).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("kind", KINDS)
def test_from_sign_in_to_the_proof_of_a_removal(browser: Browser, service: Live, kind: str) -> None:
    by_hand = kind == "no script"
    # The form that is refused on purpose answers 422, which Chromium writes into its console as an error.
    with page_with_checks(browser, allow=["status of 422"], **KINDS[kind]) as page:
        sign_in(page, service, "Ada Admin")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()

        page.get_by_role("link", name="Invite", exact=True).click()
        page.get_by_label("E-mail").fill("nora@acme.example")
        page.get_by_label(service.world.project().name, exact=True).check()
        page.get_by_role("button", name="Send the invite").click()
        expect(page.get_by_text("nora@acme.example is invited.")).to_be_visible()
        until_shown(page, "waiting for an answer", by_hand=by_hand)

        page.goto(f"{service.url}/members/{EVE}")
        page.get_by_role("link", name="Issue a key").click()
        expect(page.get_by_label("For whom")).to_have_value(EVE)
        page.get_by_label("Project").select_option(label=service.world.project().name)
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Issue the key").click()
        until_shown(page, "It works at OpenAI until it expires or is revoked.", by_hand=by_hand)
        page.get_by_role("button", name="Show the value once").click()
        value = page.get_by_label("API key").input_value()
        assert works(service, value)
        page.get_by_role("link", name="I have it").click()
        expect(page.get_by_role("button", name="Show the value once")).to_have_count(0)
        assert value not in page.content()

        page.goto(f"{service.url}/members/{EVE}")
        page.get_by_role("link", name="Preview the removal").click()
        expect(page.get_by_text("Nothing has happened yet.")).to_be_visible()
        page.get_by_label("Why?").fill("left on 31 March")
        page.get_by_label(f"Type {EVE} to confirm").fill("eve@acme.exampel")
        with page.expect_response(re.compile("revoke")) as refused:
            page.get_by_role("button", name=f"Remove {EVE}").click()
        assert refused.value.status == 422
        assert works(service, value)
        expect(page.get_by_label("Why?")).to_have_value("left on 31 March")
        page.get_by_label(f"Type {EVE} to confirm").fill(EVE)
        page.get_by_role("button", name=f"Remove {EVE}").click()
        until_shown(page, "Complete listings show nothing of them any more.", by_hand=by_hand)
        assert not works(service, value)

        page.get_by_role("link", name="Audit log of this removal").click()
        expect(page.get_by_text("member.revoked").first).to_be_visible()
        page.get_by_role("link", name="Verify the chain").click()
        expect(page.get_by_text("The chain holds.")).to_be_visible()
    assert value not in str(service.world.audited())


@pytest.mark.parametrize("kind", KINDS)
def test_an_employee_gets_a_key_and_gives_it_back(browser: Browser, service: Live, kind: str) -> None:
    by_hand = kind == "no script"
    with page_with_checks(browser, **KINDS[kind]) as page:
        sign_in(page, service, "Eve Employee")
        expect(page.get_by_role("heading", name="Hello, Eve Employee")).to_be_visible()
        page.get_by_role("link", name="Get a key").first.click()
        page.get_by_label("Project").select_option(index=1)
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Get the key").click()
        until_shown(page, "It works at OpenAI until it expires or is revoked.", by_hand=by_hand)
        page.get_by_role("button", name="Show the value once").click()
        value = page.get_by_label("API key").input_value()
        assert works(service, value)
        page.get_by_role("link", name="I have it").click()
        page.get_by_role("link", name="Revoke", exact=True).click()
        page.get_by_label("Why?").fill("new laptop")
        page.get_by_role("button", name="Revoke the key").click()
        until_shown(page, re.compile("Proven absent at"), by_hand=by_hand)
        assert not works(service, value)


def test_progress_goes_on_by_itself_and_survives_a_reload(browser: Browser, service: Live) -> None:
    with page_with_checks(browser) as page:
        sign_in(page, service, "Ada Admin")
        service.openai.fault("admin.organization.users.delete", kind="delay:2")
        page.goto(f"{service.url}/members/{MAX}/revoke")
        page.get_by_label("Why?").fill("has left")
        page.get_by_label(f"Type {MAX} to confirm").fill(MAX)
        page.get_by_role("button", name=f"Remove {MAX}").click()
        page.wait_for_url("**/offboardings/**")
        page.reload()
        expect(page.get_by_text("Complete listings show nothing of them any more.").first).to_be_visible(timeout=20_000)
        assert page.locator("[hx-trigger]").count() == 0


def test_a_token_is_shown_once_copied_and_revoked(browser: Browser, service: Live) -> None:
    context = {"permissions": ["clipboard-read", "clipboard-write"]}
    with page_with_checks(browser, **context) as page:
        sign_in(page, service, "Ada Admin", "/tokens")
        page.get_by_role("link", name="New token").first.click()
        page.get_by_label("Name").fill("pipeline")
        page.get_by_label("members:read").check()
        page.get_by_role("button", name="Make the token").click()
        value = page.get_by_label("Token", exact=True).input_value()
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == value
        headers = {"Authorization": f"Bearer {value}"}
        assert httpx.get(f"{service.url}/api/v1/members", headers=headers).status_code == 200
        page.get_by_role("link", name="I have it").click()
        page.get_by_role("link", name="Revoke the token pipeline").click()
        page.get_by_role("button", name="Revoke the token").click()
        assert httpx.get(f"{service.url}/api/v1/members", headers=headers).status_code == 401


def test_the_theme_is_remembered_and_times_are_local(browser: Browser, service: Live) -> None:
    zone = {"timezone_id": "Asia/Kolkata", "locale": "en-GB"}
    with page_with_checks(browser, **zone) as page:
        sign_in(page, service, "Ada Admin", f"/members/{OLA}")
        expect(page.locator("html")).not_to_have_attribute("data-bs-theme", re.compile("."))
        page.locator("label", has=page.get_by_role("radio", name="Dark")).click()
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        page.goto(f"{service.url}/audit-events")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        moment = page.locator("time[data-local]").first
        shown, exact = moment.inner_text(), moment.get_attribute("datetime") or ""
        hour = (int(exact[11:13]) * 60 + int(exact[14:16]) + 330) // 60 % 24
        assert re.search(rf"\b{hour:02d}:", shown), (shown, exact)
        assert "UTC" in (moment.get_attribute("title") or "")
        page.locator("label", has=page.get_by_role("radio", name="As the system")).click()
        expect(page.locator("html")).not_to_have_attribute("data-bs-theme", re.compile("."))


def test_signing_out_ends_the_session(browser: Browser, service: Live) -> None:
    with page_with_checks(browser) as page:
        sign_in(page, service, "Ola Auditor")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        page.goto(f"{service.url}/members")
        expect(page.get_by_role("link", name="Sign in with Acme sign-in")).to_be_visible()


def test_the_menu_opens_on_a_phone_and_by_keyboard(browser: Browser, service: Live) -> None:
    with page_with_checks(browser, **KINDS["phone"]) as page:
        sign_in(page, service, "Ada Admin")
        members = page.get_by_role("navigation", name="Main").get_by_role("link", name="Members")
        expect(members).to_be_hidden()
        page.get_by_role("button", name="Menu").press("Enter")
        expect(members).to_be_visible()
        page.keyboard.press("Escape")
        expect(members).to_be_hidden()
        page.get_by_role("button", name="Menu").click()
        members.click()
        expect(page.get_by_role("heading", name="Members")).to_be_visible()
