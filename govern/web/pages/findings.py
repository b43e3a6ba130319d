"""Findings: the inbox of what should not be, one finding, and what is decided about it."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.core.errors import InvalidInput, NotFound
from govern.findings import queries, service
from govern.findings.models import FindingState, Severity
from govern.findings.types import TYPES
from govern.people import queries as people
from govern.projects import queries as projects
from govern.usage import queries as usage
from govern.web import scope
from govern.web.access import current_actor, govern, reads, release_reads, requires
from govern.web.pages import forms, words
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("findings_page", __name__, url_prefix="/findings")


@blueprint.get("")
@requires("findings:read")
def index() -> str:
    """What waits for somebody, with filters."""
    scope.check_anyone("findings:read")
    return _index(Form())


@blueprint.post("")
@requires("findings:write")
def fix_many() -> Response | tuple[str, int]:
    """Fix those that were ticked."""
    scope.check_anyone("findings:write")
    ids = request.form.getlist("finding")[: forms.PAGE]
    try:
        if not ids:
            raise InvalidInput("Tick at least one finding.", {"finding": "Tick at least one."})
        reason = forms.text("reason")
        if len(reason) < 3:
            raise InvalidInput("Say why, in at least three characters.", {"reason": "Say why."})
    except forms.REFUSALS as error:
        return _index(forms.refused(error)), status_of(error)
    release_reads()
    with govern().unit_of_work(current_actor()) as uow:
        outcomes = service.fix_many(uow, ids, reason=reason, overlap=_overlap())
    failed = [problem for problem in outcomes.values() if problem]
    sentence = f"{len(outcomes) - len(failed)} of {len(outcomes)} are being fixed."
    return see(url_for("findings_page.index"), f"{sentence} {failed[0]}" if failed else sentence)


@blueprint.get("/<string(maxlength=60):finding_id>")
@requires("findings:read")
def show(finding_id: str) -> str:
    """One finding, what its fix would do, and the decisions."""
    scope.check_anyone("findings:read")
    return _show(finding_id, Form())


@blueprint.post("/<string(maxlength=60):finding_id>/<string(maxlength=10):deed>")
@requires("findings:write")
def decide(finding_id: str, deed: str) -> Response | tuple[str, int]:
    """Fix it, accept it, assign it, or record who answers for it."""
    scope.check_anyone("findings:write")
    if deed not in ("fix", "accept", "assign", "adopt"):
        raise NotFound(f"Nothing is called {deed!r} here.")
    queries.get(reads(), finding_id)
    try:
        reason = forms.text("reason")
        if deed == "fix":
            act(lambda uow: service.fix(uow, finding_id, reason=reason, overlap=_overlap()).id)
        elif deed == "accept":
            until = _day("until")
            act(lambda uow: service.accept(uow, finding_id, reason=reason, until=until).id)
        else:
            person = forms.text("person", most=320)
            if deed == "assign":
                act(lambda uow: service.assign(uow, finding_id, person).id)
            else:
                act(lambda uow: service.adopt(uow, finding_id, person, reason=reason).id)
    except forms.REFUSALS as error:
        return _show(finding_id, forms.refused(error)), status_of(error)
    return see(url_for("findings_page.show", finding_id=finding_id))


def _index(form: Form) -> str:
    chosen = forms.query_text("type")
    found = queries.find(
        reads(), before=forms.query_text("after"), limit=forms.PAGE + 1, type_=chosen if chosen in TYPES else None,
        state=forms.query_state("state", FindingState), severity=forms.query_state("severity", Severity),
    )  # fmt: skip
    page = forms.paged(found)
    return render_template(
        "findings/index.html", page=page, form=form, types=TYPES, states=words.states(FindingState),
        severities=words.states(Severity), counts=queries.counts(reads()), freshness=usage.freshness(reads()),
        owners=people.names(reads(), [row.owner_id for row in page.items if row.owner_id]),
        places=projects.names(reads(), [row.project_id for row in page.items if row.project_id]),
    )  # fmt: skip


def _show(finding_id: str, form: Form) -> str:
    planned = queries.preview(reads(), finding_id)
    row = planned.finding
    names = people.names(reads(), [person for person in (row.owner_id, row.assigned_to) if person])
    return render_template(
        "findings/show.html", finding=row, planned=planned, type=TYPES[row.type], form=form, names=names,
        place=projects.find(reads(), row.project_id) if row.project_id else None,
        adoptable=row.type in ("unmanaged_key", "orphan") and row.subject_kind == "observed_keys",
        open=row.state in service.OPEN_TO_CHANGE, freshness=usage.freshness(reads()),
    )  # fmt: skip


def _overlap() -> timedelta:
    return timedelta(hours=govern().settings.keys.overlap_hours)


def _day(name: str) -> date:
    try:
        return date.fromisoformat(forms.text(name, most=10))
    except ValueError:
        raise InvalidInput("That is not a day.", {name: "Write it like 2026-03-31."}) from None
