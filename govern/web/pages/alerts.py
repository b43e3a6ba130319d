"""Alerts: the inbox of thresholds that were crossed, one alert, who was told, and what is decided about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.budgets import handling, queries, service
from govern.budgets.models import AlertState, Scope
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput, NotFound
from govern.people import queries as people
from govern.usage import queries as usage
from govern.web import scope
from govern.web.access import current_principal, reads, requires
from govern.web.pages import budgets, forms, words
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

RESTS: Final = (("4", "4 hours"), ("24", "a day"), ("72", "three days"), ("168", "a week"), ("720", "30 days"))
"""For how long an alert may be snoozed here: hours, and in words."""

blueprint = Blueprint("alerts_page", __name__, url_prefix="/alerts")


@blueprint.get("")
@requires("alerts:read")
def index() -> str:
    """Alerts within reach, newest first, with what was sent about each: those that wait, or as the filters say."""
    state = forms.query_state("state", AlertState)
    everything = request.args.get("state") == "all" or "budget" in request.args
    found = queries.find_alerts(
        reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, budget_id=forms.query_text("budget"),
        budget_ids=visible_budget_ids(), person_ids=visible_people(),
        state=state or (None if everything else AlertState.OPEN),
        assigned_to=current_principal().person_id if request.args.get("mine") == "yes" else None,
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "alerts/index.html", page=page, deliveries=queries.deliveries(reads(), [alert.id for alert in page.items]),
        freshness=usage.freshness(reads()), now=utcnow(), states=[*words.states(AlertState)[1:], ("all", "all")],
        names=people.names(reads(), [alert.assigned_to for alert in page.items if alert.assigned_to]),
    )  # fmt: skip


def visible_budget_ids() -> list[str] | None:
    """The budgets whose alerts the reader may see; None: all."""
    if scope.people_within("alerts:read") is None:
        return None
    return [budget.id for budget in budgets.visible(limit=1000, retired=True)]


def visible_people() -> list[str]:
    """The people whose alerts the reader may see, beside those of the budgets."""
    return scope.people_within("alerts:read") or []


@blueprint.get("/<string(maxlength=60):alert_id>")
@requires("alerts:read")
def show(alert_id: str) -> str:
    """One alert, who was told, and the decisions."""
    return _show(alert_id, Form())


@blueprint.post("/<string(maxlength=60):alert_id>/<string(maxlength=11):deed>")
@requires("alerts:write")
def decide(alert_id: str, deed: str) -> Response | tuple[str, int]:
    """Acknowledge it, snooze it, give it to somebody, or open it again."""
    scope.alert("alerts:write", alert_id, in_projects=False)
    try:
        if deed == "acknowledge":
            act(lambda uow: handling.acknowledge(uow, alert_id).id)
        elif deed == "snooze":
            rest = _rest()
            act(lambda uow: handling.snooze(uow, alert_id, until=uow.now + rest).id)
        elif deed == "assign":
            person = forms.text("person", most=320)
            act(lambda uow: handling.assign(uow, alert_id, person).id)
        elif deed == "reopen":
            act(lambda uow: handling.reopen(uow, alert_id).id)
        else:
            raise NotFound(f"Nothing is called {deed!r} here.")
    except forms.REFUSALS as error:
        return _show(alert_id, forms.refused(error)), status_of(error)
    return see(url_for("alerts_page.show", alert_id=alert_id))


def _rest() -> timedelta:
    hours = forms.text("hours", most=4)
    if hours not in dict(RESTS):
        raise InvalidInput("Say for how long.", {"hours": "Choose one of these."})
    return timedelta(hours=int(hours))


def _show(alert_id: str, form: Form) -> str:
    alert, now = scope.alert("alerts:read", alert_id), utcnow()
    within = scope.people_within("alerts:write") if current_principal().may("alerts:write") else []
    budget = queries.get(reads(), alert.budget_id)
    about = {alert.person_id, budget.scope_id if budget.scope is Scope.PERSON else ""} - {""}
    return render_template(
        "alerts/show.html", alert=alert, budget=budget, form=form, now=now, state_now=alert.state(now), rests=RESTS,
        deliveries=queries.deliveries(reads(), [alert.id])[alert.id], freshness=usage.freshness(reads()),
        names=people.names(reads(), [alert.assigned_to] if alert.assigned_to else []),
        decidable=(within is None or bool(about & set(within)))
        and alert.state(now) not in (AlertState.WITHDRAWN, AlertState.SUPERSEDED),
    )  # fmt: skip


@blueprint.post("/deliveries/<string(maxlength=60):delivery_id>/send")
@requires("budgets:write")
def send_again(delivery_id: str) -> Response:
    """Owe a delivery again that was given up."""
    scope.check_anyone("budgets:write")
    act(lambda uow: service.send_again(uow, delivery_id).id)
    return see(url_for("alerts_page.index"), "It is sent again.")
