"""Every page: no fault that axe finds, light and dark; nothing wider than a phone; nothing in the console."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, ViewportSize, expect

from tests.browser.axe import violations
from tests.browser.conftest import Furnished, sign_in
from tests.peers.browser import page_with_checks

pytestmark = pytest.mark.browser


FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
DESK, PHONE = ViewportSize(width=1280, height=720), ViewportSize(width=360, height=740)


def test_every_page_is_sound_in_light_in_dark_and_on_a_phone(browser: Browser, furnished: Furnished) -> None:
    """Each page is opened once: opening it again for the dark or for a phone would take as long as all the looking."""
    faults: list[str] = []
    for who, pages in (("Ada Admin", furnished.pages), ("Eve Employee", furnished.own_pages)):
        with page_with_checks(browser, color_scheme="light", reduced_motion="reduce", viewport=DESK) as page:
            page.goto(furnished.live.url)
            faults += seen(page, f"{who}: sign-in")
            sign_in(page, furnished.live, who)
            for name, address in pages.items():
                page.goto(furnished.live.url + address)
                faults += seen(page, f"{who}: {name}")
    assert not faults, "\n".join(faults)


def seen(page: Page, name: str) -> list[str]:
    """What is wrong with the page that is open."""
    light = violations(page)
    page.emulate_media(color_scheme="dark")
    dark = violations(page, ["color-contrast", "link-in-text-block"])  # nothing else knows of a scheme
    page.set_viewport_size(PHONE)
    wide = []
    try:
        page.wait_for_function(FITS, timeout=2_000)
    except TimeoutError:  # a chart takes a moment to draw itself anew
        wide.append("wider than a phone")
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    return [f"{name}: {fault}" for fault in [*light, *(f"dark: {fault}" for fault in dark), *wide]]


def test_without_a_script_dark_is_dark_too(browser: Browser, furnished: Furnished) -> None:
    with page_with_checks(browser, color_scheme="dark", java_script_enabled=False) as page:
        sign_in(page, furnished.live, "Ada Admin")
        light = page.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
        assert max(int(part) for part in light.strip("rgb()").split(",")) < 60
        expect(page.get_by_role("table", name="")).not_to_have_count(0)  # a chart without a script is its table


def test_the_chart_draws_its_table(browser: Browser, furnished: Furnished) -> None:
    with page_with_checks(browser) as page:
        sign_in(page, furnished.live, "Ada Admin", "/usage?by=project&range=30")
        figure = page.locator("figure.chart")
        expect(figure.locator("canvas")).to_be_visible()
        figure.get_by_text("Table", exact=True).click()
        rows = figure.locator("details tbody tr")
        assert rows.count() == 30
        plotted = figure.evaluate("(figure) => figure.plot.data[1].map((sum) => Math.round(sum * 100))")
        added = figure.evaluate(
            "(figure) => [...figure.querySelectorAll('details tbody tr')].map((row) => Math.round(100 * "
            "[...row.querySelectorAll('td')].reduce((sum, cell) => sum + Number(cell.dataset.value), 0)))"
        )
        assert plotted == added
        assert sum(plotted) > 0
