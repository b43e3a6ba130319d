"""Every page: no fault that axe finds, light and dark; nothing wider than a phone; nothing in the console."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import violations
from tests.browser.conftest import Furnished, sign_in
from tests.peers.browser import page_with_checks

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, furnished: Furnished, scheme: Any) -> None:
    found: dict[str, list[str]] = {}
    with page_with_checks(browser, color_scheme=scheme, reduced_motion="reduce") as page:
        page.goto(furnished.live.url)
        found["sign-in"] = violations(page)
        sign_in(page, furnished.live, "Ada Admin")
        for name, address in furnished.pages.items():
            page.goto(furnished.live.url + address)
            found[name] = violations(page)
    with page_with_checks(browser, color_scheme=scheme) as page:
        sign_in(page, furnished.live, "Eve Employee")
        for name, address in furnished.own_pages.items():
            page.goto(furnished.live.url + address)
            found[f"own {name}"] = violations(page)
    faults = [f"{name}: {fault}" for name, faults in found.items() for fault in faults]
    assert not faults, "\n".join(faults)


def test_without_a_script_dark_is_dark_too(browser: Browser, furnished: Furnished) -> None:
    with page_with_checks(browser, color_scheme="dark", java_script_enabled=False) as page:
        sign_in(page, furnished.live, "Ada Admin")
        light = page.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
        assert max(int(part) for part in light.strip("rgb()").split(",")) < 60
        expect(page.get_by_role("table", name="")).not_to_have_count(0)  # a chart without a script is its table


def test_nothing_is_wider_than_a_phone(browser: Browser, furnished: Furnished) -> None:
    wide = {}
    with page_with_checks(browser, viewport={"width": 360, "height": 740}) as page:
        sign_in(page, furnished.live, "Ada Admin")
        for name, address in furnished.pages.items():
            page.goto(furnished.live.url + address)
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                wide[name] = over
    assert wide == {}


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
