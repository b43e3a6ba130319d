"""The audit log: what was done, by whom, and whether the record still holds."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for

from govern.audit import export, queries, service
from govern.audit.models import AuditEvent
from govern.checkpoints import queries as checkpoints
from govern.core.errors import InvalidInput
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api.audit_events import exported
from govern.web.pages import forms

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
        reads(), before=int(after) if after.isascii() and after.isdigit() and len(after) < 18 else None,
        limit=forms.PAGE + 1, subject_id=forms.query_text("subject"), actor_id=forms.query_text("actor"),
        action=forms.query_text("action"),
    )  # fmt: skip
    verdict = service.verify(reads(), govern().box) if request.args.get("verify") == "yes" else None
    return render_template(
        "audit_events/index.html", page=forms.paged(found, by="seq"), verdict=verdict, subject_address=subject_address,
        checkpoint=checkpoints.newest(reads()), sinks=checkpoints.standings(reads(), govern().settings.audit.sinks),
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


def subject_address(event: AuditEvent) -> str | None:
    """The page of what the event is about, if it has one."""
    if event.subject_kind not in _PAGES:
        return None
    endpoint, name = _PAGES[event.subject_kind]
    values: dict[str, Any] = {name: event.subject_id}
    return url_for(endpoint, **values)
