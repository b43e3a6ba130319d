"""Estimates: how well they meet the bill, by model and day, and which models have no price."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, render_template

from govern.core.clock import utcnow
from govern.usage import queries, reports
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import forms, ranges
from govern.web.pages.spend import Chart, Point, Series

blueprint = Blueprint("estimates_page", __name__, url_prefix="/estimates")

LISTED = 25
"""Days of models that the page lists; the API has all of them."""


@blueprint.get("")
@requires("usage:read")
def index() -> str:
    """Estimated against billed."""
    scope.check_anyone("usage:read")
    days = ranges.asked()
    found = reports.accuracy(reads(), days.start, days.end)
    model = forms.query_text("model")
    shown = [each for each in found.days if model in (None, each.model or "none")]
    worst = sorted(shown, key=lambda each: (-abs(each.error or Decimal(0)), each.day, each.model))
    by_day = {day: [each for each in shown if each.day == day] for day in sorted({each.day for each in shown})}
    chart = Chart(
        [Point(day.isoformat(), f"{day.day} {day:%b %Y}") for day in by_day],
        [
            Series("Billed", [sum((each.billed for each in rows), Decimal(0)) for rows in by_day.values()]),
            Series("Estimated", [sum((each.estimated for each in rows), Decimal(0)) for rows in by_day.values()], "line"),
        ],
    )
    return render_template(
        "estimates/index.html",
        days=days,
        found=found,
        model=model,
        models=found.models(),
        target=reports.TARGET,
        meets=reports.meets,
        worst=[each for each in worst if each.error is not None][:LISTED],
        chart=chart,
        presets=ranges.PRESETS,
        freshness=queries.freshness(reads()),
        coverage=reports.coverage(reads(), days.start, days.end, utcnow().date()),
        totals=queries.totals(reads(), days.start, days.end),
    )
