"""Lists of people: upload or paste, look at what would become of each, confirm, and watch."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from govern.approvals.models import Approval, ApprovalState
from govern.batches import queries, rules, service
from govern.batches.models import BatchKind, RowState
from govern.batches.plan import limits, plan
from govern.core import csv_reading
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.offboarding import rules as removal_rules
from govern.web import scope
from govern.web.access import current_actor, govern, reads, requires
from govern.web.api.batches import csv_file
from govern.web.pages import counts, forms
from govern.web.pages.acting import act, wait_until
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("batches_page", __name__, url_prefix="/batches")

_KINDS: Final = {"removals": BatchKind.REMOVE, "invites": BatchKind.INVITE}


@blueprint.get("")
@requires("members:read")
def index() -> str:
    """Lists that were sent, newest first."""
    scope.check_anyone("members:read")
    page = forms.paged(queries.find(reads(), before=forms.query_text("after"), limit=forms.PAGE + 1))
    return render_template(
        "batches/index.html", page=page, counts={row.id: queries.counts(reads(), row.id) for row in page.items}
    )


@blueprint.get("/removals/new", defaults={"what": "removals"})
@requires("members:revoke")
def new_removals(what: str) -> str:
    """The form for people who leave."""
    return _form(what, Form())


@blueprint.get("/invites/new", defaults={"what": "invites"})
@requires("members:invite")
def new_invites(what: str) -> str:
    """The form for people who come."""
    return _form(what, Form())


@blueprint.post("/removals/preview", defaults={"what": "removals"})
@requires("members:revoke")
def preview_removals(what: str) -> str | tuple[str, int]:
    """What would become of each."""
    return _preview(what)


@blueprint.post("/invites/preview", defaults={"what": "invites"})
@requires("members:invite")
def preview_invites(what: str) -> str | tuple[str, int]:
    """What would become of each."""
    return _preview(what)


@blueprint.post("/removals", defaults={"what": "removals"})
@requires("members:revoke")
def begin_removals(what: str) -> Response | tuple[str, int]:
    """Begin, once the sentence was typed."""
    return _begin(what)


@blueprint.post("/invites", defaults={"what": "invites"})
@requires("members:invite")
def begin_invites(what: str) -> Response | tuple[str, int]:
    """Begin."""
    return _begin(what)


@blueprint.get("/<string(maxlength=60):batch_id>")
@requires("members:read")
def show(batch_id: str) -> str:
    """How far a list is, person by person; while it is under way the page looks again by itself."""
    scope.check_anyone("members:read")
    batch = queries.get(reads(), batch_id)
    told = queries.rows(reads(), batch, state=forms.query_state("outcome", RowState))
    found = queries.counts(reads(), batch_id)
    approval = reads().get(Approval, batch.approval_id) if batch.approval_id else None
    waits = approval is not None and approval.state is ApprovalState.PENDING
    proven = queries.proven(reads(), batch_id)
    owed = found.get(RowState.STARTED, 0) + found.get(RowState.ALREADY, 0) - proven if batch.kind is BatchKind.REMOVE else 0
    return render_template(
        "batches/show.html",
        batch=batch,
        told=told,
        counts=found,
        total=sum(found.values()),
        proven=proven,
        approval=approval,
        waits=waits,
        moving=RowState.WAITING in found or owed > 0 or (RowState.HELD in found and not waits),
        starter=counts.people(reads(), [batch.created_by]).get(batch.created_by),
    )


@blueprint.get("/<string(maxlength=60):batch_id>/outcome.csv")
@requires("members:read")
def outcome(batch_id: str) -> Response:
    """What became of each, as a file."""
    scope.check_anyone("members:read")
    return csv_file(queries.get(reads(), batch_id))


def _permission(what: str) -> None:
    scope.check_anyone("members:revoke" if what == "removals" else "members:invite")


def _form(what: str, form: Form) -> str:
    _permission(what)
    return render_template("batches/new.html", what=what, form=form, most=rules.MOST_ROWS)


def _preview(what: str) -> str | tuple[str, int]:
    _permission(what)
    try:
        people, remark = _sent()
        return _shown(what, people, forms.text("reason"), Form(), remark)
    except forms.REFUSALS as error:
        return _form(what, forms.refused(error)), status_of(error)


def _shown(what: str, people: str, reason: str, form: Form, remark: str | None = None) -> str:
    kind = _KINDS[what]
    allowed = limits(govern().settings, kind)
    lines = rules.read(kind, people)
    if what == "removals":
        removal_rules.check_reason(reason)
    found = plan(reads(), kind, lines, current_actor(), now=utcnow(), limits=allowed)
    wanted = sum(each.state is RowState.WAITING for each in found)
    return render_template(
        "batches/preview.html", what=what, people=people, reason=reason, found=found, form=form, wanted=wanted, remark=remark,
        held=sum(each.needs_yes for each in found), allowed=allowed, sentence=_confirmation(wanted), once=forms.once(),
    )  # fmt: skip


def _confirmation(wanted: int) -> str:
    return f"remove {wanted}"


def _begin(what: str) -> Response | tuple[str, int]:
    _permission(what)
    kind, people, reason = _KINDS[what], forms.text("people", most=rules.MOST_BYTES), forms.text("reason")
    allowed = limits(govern().settings, kind)
    try:
        lines = rules.read(kind, people)
        if kind is BatchKind.REMOVE:
            found = plan(reads(), kind, lines, current_actor(), now=utcnow(), limits=allowed)
            wanted = _confirmation(sum(each.state is RowState.WAITING for each in found))
            if forms.text("confirm").casefold() != wanted:
                sentence = f"Type “{wanted}” to confirm how many you mean."
                raise InvalidInput("What you typed is something else, so nothing was done.", {"confirm": sentence})
        batch_id = act(lambda uow: service.begin(uow, kind, lines, reason=reason, limits=allowed).id)
    except forms.REFUSALS as error:
        try:
            return _shown(what, people, reason, forms.refused(error)), status_of(error)
        except forms.REFUSALS:
            return _form(what, forms.refused(error)), status_of(error)
    wait_until(lambda session: RowState.WAITING not in queries.counts(session, batch_id))
    return see(url_for("batches_page.show", batch_id=batch_id))


def _sent() -> tuple[str, str | None]:
    """The list that was pasted or uploaded, and a remark about its encoding. Raises InvalidInput."""
    file = request.files.get("file")
    if file is not None and file.filename:
        return csv_reading.decode(file.read(rules.MOST_BYTES + 1), most_bytes=rules.MOST_BYTES)
    people = forms.text("people", most=rules.MOST_BYTES)
    if not people:
        raise InvalidInput("Choose a file, or paste a list.", {"people": "Write one address on each line."})
    return people, None
