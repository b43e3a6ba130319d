"""What every template may use: how times, money and states are written, the menu, addresses with a changed query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, request, url_for
from flask.blueprints import BlueprintSetupState

from govern.core.clock import utcnow
from govern.identity.permissions import Reach
from govern.identity.principals import Principal
from govern.web import access, app
from govern.web.pages import words

blueprint = Blueprint("rendering", __name__)

THEME_COOKIE = "govern-theme"
"""Set by the browser's script only; holds light or dark, and nothing while the system decides."""


@blueprint.app_template_filter("utc")
def utc(at: datetime) -> str:
    """`2026-03-10 12:00 UTC`, for readers without a script and for the hint."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


@blueprint.app_template_filter("iso")
def iso(at: datetime) -> str:
    """For machines: `2026-03-10T12:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@blueprint.app_template_filter("from_iso")
def from_iso(text: str) -> datetime:
    """The instant that a row holds as text."""
    return datetime.fromisoformat(text)


@blueprint.app_template_filter("ago")
def ago(at: datetime) -> str:
    """`3 min ago`, `in 5 days`: how far from now."""
    gap = utcnow() - at
    amount = span(abs(gap))
    if amount == "0 s":
        return "just now"
    return f"{amount} ago" if gap > timedelta(0) else f"in {amount}"


@blueprint.app_template_filter("span")
def span(gap: timedelta) -> str:
    """A length of time in its largest unit."""
    seconds = int(gap.total_seconds())
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {unit}{'s' if unit == 'day' and amount != 1 else ''}"
    return f"{seconds} s"


@blueprint.app_template_filter("day")
def day(on: date) -> str:
    """`10 Mar 2026`."""
    return f"{on.day} {on:%b %Y}"


@blueprint.app_template_filter("day_before")
def day_before(on: date) -> str:
    """The last day of a stretch that ends, without it, on this one."""
    return day(on - timedelta(days=1))


@blueprint.app_template_filter("usd")
def usd(amount: Decimal) -> str:
    """`$1,234.56`; an amount under a cent is shown with two significant digits, because $0.00 would be a lie."""
    if amount == 0:
        return "$0.00"
    if abs(amount) < Decimal("0.01"):
        return f"{'−' if amount < 0 else ''}${_significant(abs(amount))}"
    rounded = amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return f"{'−' if rounded < 0 else ''}${abs(rounded):,.2f}"


def _significant(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1)):f}"


@blueprint.app_template_filter("exact_usd")
def exact_usd(amount: Decimal) -> str:
    """Every digit that is stored."""
    text = f"{amount:f}"
    return "$" + (text.rstrip("0").rstrip(".") if "." in text else text)


@blueprint.app_template_filter("count")
def count(number: int) -> str:
    """`1,234`."""
    return f"{number:,}"


@blueprint.app_template_filter("percent")
def percent(share: Decimal | float) -> str:
    """0.853 → `85 %`."""
    return f"{round(share * 100)} %"


@blueprint.app_template_filter("fact")
def fact(value: object) -> str:
    """A fact of the audit log as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(fact(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {fact(item)}" for name, item in value.items()) or "none"
    return str(value)


@dataclass(frozen=True)
class Entry:
    """One entry of the menu."""

    label: str
    icon: str
    endpoint: str
    active: bool


_MENU: tuple[tuple[str, tuple[tuple[str, str, str, str, Reach], ...]], ...] = (
    ("", (("Overview", "layout-dashboard", "overview_page.index", "members:read", Reach.REPORTS),)),
    (
        "People",
        (
            ("People", "user-circle", "people_page.index", "members:read", Reach.REPORTS),
            ("Members", "users", "members_page.index", "members:read", Reach.REPORTS),
            ("Invites", "mail", "invites_page.index", "members:read", Reach.ANYONE),
            ("Removals", "shield-check", "offboardings_page.index", "members:read", Reach.ANYONE),
            ("Batches", "users", "batches_page.index", "members:read", Reach.ANYONE),
            ("Evidence", "circle-check", "evidence_page.index", "members:read", Reach.ANYONE),
        ),
    ),
    (
        "Access",
        (
            ("Findings", "alert-triangle", "findings_page.index", "findings:read", Reach.ANYONE),
            ("Inventory", "eye", "inventory_page.index", "findings:read", Reach.ANYONE),
            ("Keys", "key", "keys_page.index", "keys:read", Reach.REPORTS),
            ("Policies", "shield-check", "policies_page.index", "policies:read", Reach.ANYONE),
            ("Projects", "folder", "projects_page.index", "projects:read", Reach.REPORTS),
        ),
    ),
    (
        "Money",
        (
            ("Usage", "chart-histogram", "usage_page.index", "usage:read", Reach.REPORTS),
            ("Chargeback", "coin", "chargeback_page.index", "usage:read", Reach.ANYONE),
            ("Estimates", "check", "estimates_page.index", "usage:read", Reach.ANYONE),
            ("Budgets", "wallet", "budgets_page.index", "budgets:read", Reach.REPORTS),
            ("Alerts", "bell", "alerts_page.index", "alerts:read", Reach.REPORTS),
        ),
    ),
    (
        "Operations",
        (
            ("Audit", "clipboard-list", "audit_events_page.index", "audit:read", Reach.ANYONE),
            ("Jobs", "calendar-time", "jobs_page.index", "jobs:read", Reach.ANYONE),
        ),
    ),
    (
        "Yours",
        (
            ("My page", "user-circle", "me_page.index", "self:read", Reach.SELF),
            ("Approvals", "circle-check", "approvals_page.index", "approvals:read", Reach.SELF),
            ("API tokens", "api", "tokens_page.index", "tokens:read", Reach.SELF),
        ),
    ),
)
"""Sections of the menu: label, icon, endpoint, and the permission with the reach from which the entry is of use."""


def menu(principal: Principal | None) -> list[tuple[str, list[Entry]]]:
    """What this person may open, by section. Somebody who only reaches themself sees no lists of one."""
    if principal is None:
        return []
    here = (request.endpoint or "").partition(".")[0].replace("people_imports_page", "people_page")
    sections = []
    for title, entries in _MENU:
        shown = [
            Entry(label, icon, endpoint, endpoint.partition(".")[0] == here)
            for label, icon, endpoint, permission, least in entries
            if principal.grants.get(permission, 0) >= least
        ]
        if shown:
            sections.append((title, shown))
    return sections


def with_query(page: str | None = None, /, **changed: object) -> str:
    """This page's address (or another one's) with some of its query changed; None takes a part out."""
    query = {name: value for name, value in request.args.items() if name not in changed}
    query |= {name: str(value) for name, value in changed.items() if value is not None}
    address = url_for(page or request.endpoint or "", **(request.view_args or {}))
    return f"{address}?{urlencode(query)}" if query else address


@blueprint.app_context_processor
def page_context() -> dict[str, Any]:
    """Sections of the menu and the reader's theme."""
    theme = request.cookies.get(THEME_COOKIE)
    return {"menu": menu(access.principal_or_none()), "theme": theme if theme in ("light", "dark") else None}


@blueprint.record
def add_globals(state: BlueprintSetupState) -> None:
    """Imported macros see no request context, so what they use is global."""
    state.app.jinja_env.globals.update(
        asset=app.asset, state_of=words.state_of, job_words=words.JOBS, with_query=with_query, utcnow=utcnow
    )
