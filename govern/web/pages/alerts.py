"""Alerts: which thresholds were crossed, and who was told."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from govern.budgets import queries, service
from govern.usage import queries as usage
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.pages import budgets, forms
from govern.web.pages.acting import act
from govern.web.pages.going import see

blueprint = Blueprint("alerts_page", __name__, url_prefix="/alerts")


@blueprint.get("")
@requires("alerts:read")
def index() -> str:
    """Alerts within reach, newest first, with what was sent about each."""
    found = queries.find_alerts(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, budget_id=forms.query_text("budget"),
        budget_ids=visible_budget_ids(), person_ids=visible_people(),
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "alerts/index.html", page=page, deliveries=queries.deliveries(reads(), [alert.id for alert in page.items]),
        freshness=usage.freshness(reads()),
    )  # fmt: skip


def visible_budget_ids() -> list[str] | None:
    """The budgets whose alerts the reader may see; None: all."""
    if scope.people_within("alerts:read") is None:
        return None
    return [budget.id for budget in budgets.visible(limit=1000, retired=True)]


def visible_people() -> list[str]:
    """The people whose alerts the reader may see, beside those of the budgets."""
    return scope.people_within("alerts:read") or []


@blueprint.post("/deliveries/<string(maxlength=60):delivery_id>/send")
@requires("budgets:write")
def send_again(delivery_id: str) -> Response:
    """Owe a delivery again that was given up."""
    scope.check_anyone("budgets:write")
    act(lambda uow: service.send_again(uow, delivery_id).id)
    return see(url_for("alerts_page.index"), "It is sent again.")
