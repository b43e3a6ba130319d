"""The audit log: what was done, by whom, and whether the record still holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from govern.audit import export, queries
from govern.audit.models import AuditEvent
from govern.audit.queries import Search
from govern.audit.rules import Outcome, changes, outcome
from govern.checkpoints import forgetting
from govern.checkpoints import queries as checkpoints
from govern.core.errors import InvalidInput
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api.audit_events import exported
from govern.web.pages import forms, words

blueprint = Blueprint("audit_events_page", __name__, url_prefix="/audit-events")

_PAGES = {
    "keys": ("keys_page.show", "key_id"),
    "offboardings": ("offboardings_page.show", "removal_id"),
    "people": ("members_page.show", "member"),
    "budgets": ("budgets_page.show", "budget_id"),
    "projects": ("projects_page.show", "project_id"),
}
"""Subjects that have a page of their own: its endpoint and the name of its argument."""


@blueprint.get("")
@requires("audit:read")
def index() -> str:
    """Events, newest first; with `verify` in the address the chain is walked and judged."""
    scope.check_anyone("audit:read")
    after = request.args.get("after", "")
    found = queries.events(
        reads(), _search(), limit=forms.PAGE + 1,
        before=int(after) if after.isascii() and after.isdigit() and len(after) < 18 else None,
    )  # fmt: skip
    verdict = forgetting.verify(reads(), govern().box) if request.args.get("verify") == "yes" else None
    return render_template(
        "audit_events/index.html", page=forms.paged(found, by="seq"), verdict=verdict, subject_address=subject_address,
        outcomes=words.states(Outcome), outcome_of=outcome,
        checkpoint=checkpoints.newest(reads()), sinks=checkpoints.standings(reads(), govern().settings.audit.sinks),
        boundary=checkpoints.boundary(reads()), keep_days=govern().settings.audit.keep_days,
    )  # fmt: skip


@blueprint.get("/export")
@requires("audit:read")
def download() -> Response:
    """The whole log as a file that `govern audit verify` reads, or for a SIEM."""
    scope.check_anyone("audit:read")
    form = request.args.get("format", "jsonl")
    if form not in export.FORMATS:
        raise InvalidInput("There are the formats jsonl and ocsf.", {"format": "Choose jsonl or ocsf."})
    return exported(form, 0)


@blueprint.get("/<string(maxlength=60):event_id>")
@requires("audit:read")
def show(event_id: str) -> str:
    """One event: who, from where, and what it was before and after."""
    scope.check_anyone("audit:read")
    event = queries.get(reads(), event_id)
    together = queries.events(reads(), Search(request_id=event.request_id), limit=forms.PAGE) if event.request_id else []
    return render_template(
        "audit_events/show.html", event=event, outcome=outcome(event.action), changes=changes(event.facts), together=together,
        facts={name: value for name, value in event.facts.items() if name not in ("before", "after")},
        subject_address=subject_address,
    )  # fmt: skip


def _search() -> Search:
    last = _day("to")
    return Search(
        action=forms.query_text("action"), subject_id=forms.query_text("subject"), actor_id=forms.query_text("actor"),
        request_id=forms.query_text("request"), text=forms.query_text("search"), outcome=forms.query_state("outcome", Outcome),
        since=_day("from"), until=last + timedelta(days=1) if last else None,
    )  # fmt: skip


def _day(name: str) -> datetime | None:
    """The beginning of a day in the address, in UTC; a text that is none, or out of the calendar, counts as not asked."""
    try:
        day = datetime.combine(date.fromisoformat(request.args.get(name, "")), time(), UTC)
    except ValueError:
        return None
    return day if 1 < day.year < 9999 else None


def subject_address(event: AuditEvent) -> str | None:
    """The page of what the event is about, if it has one."""
    if event.subject_kind not in _PAGES:
        return None
    endpoint, name = _PAGES[event.subject_kind]
    values: dict[str, Any] = {name: event.subject_id}
    return url_for(endpoint, **values)
