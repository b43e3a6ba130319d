"""Approvals: what waits for the reader, what concerns them, one asking with the decision on it."""

from __future__ import annotations

from flask import Blueprint, render_template, url_for
from werkzeug.wrappers import Response

from govern.approvals import queries, rules, service
from govern.approvals.models import Approval, ApprovalState
from govern.core.clock import utcnow
from govern.core.errors import NotAllowed, NotFound
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.pages import counts, forms, words
from govern.web.pages.acting import act
from govern.web.pages.forms import Form
from govern.web.pages.going import see
from govern.web.problems import status_of

blueprint = Blueprint("approvals_page", __name__, url_prefix="/approvals")


@blueprint.get("")
@requires("approvals:read")
def index() -> str:
    """The inbox, and below it everything that concerns the reader."""
    page = forms.paged(
        queries.find(
            reads(), after=forms.query_text("after"), limit=forms.PAGE + 1, state=forms.query_state("state", ApprovalState),
            concerning=scope.people_within("approvals:read"), reader=current_principal().person_id,
        )
    )  # fmt: skip
    waiting = scope.approvals_waiting(utcnow())
    return render_template(
        "approvals/index.html", page=page, waiting=waiting, states=words.states(ApprovalState),
        people=counts.people(reads(), [row.for_person_id for row in (*page.items, *waiting)]),
    )  # fmt: skip


@blueprint.get("/<string(maxlength=60):approval_id>")
@requires("approvals:read")
def show(approval_id: str) -> str:
    """One asking: what would be done, why, and who decides."""
    return _show(scope.approval("approvals:read", approval_id), Form())


@blueprint.post("/<string(maxlength=60):approval_id>/<string(maxlength=10):deed>")
@requires("approvals:write")
def decide(approval_id: str, deed: str) -> Response | tuple[str, int]:
    """Approve it, deny it, or take it back."""
    if deed not in ("approve", "deny", "withdraw"):
        raise NotFound(f"Nothing is called {deed!r} here.")
    row = scope.approval("approvals:write", approval_id)
    back = url_for("approvals_page.show", approval_id=row.id)
    try:
        if deed == "withdraw":
            act(lambda uow: service.withdraw(uow, approval_id).id)
            return see(back, "It is taken back.")
        reason, by, acts = forms.text("reason"), scope.decider(), govern().acts
        approve = deed == "approve"
        act(lambda uow: service.decide(uow, approval_id, by=by, approve=approve, reason=reason, acts=acts).id)
    except forms.REFUSALS as error:
        return _show(queries.get(reads(), approval_id), forms.refused(error)), status_of(error)
    except NotAllowed as error:
        return see(back, error.sentence, "warning")
    return see(back, "It is approved, and carried out." if approve else "It is denied.")


def _show(row: Approval, form: Form) -> str:
    me, principal = current_principal().person_id, current_principal()
    pending = row.state is ApprovalState.PENDING and row.expires_at > utcnow()
    question = queries.question(reads(), row)
    mine = (me is not None and me in question.askers) or row.requested_by == principal.actor_id
    decides = me is not None and principal.may("approvals:write")
    return render_template(
        "approvals/show.html", approval=row, form=form, once=forms.once(), approvers=queries.approvers(reads(), row.id),
        people=counts.people(reads(), [row.for_person_id, row.requested_person_id, row.decided_person_id]),
        may_decide=pending and decides and rules.may_decide(question, {me or ""}, queries.held_by(reads(), me or "")),
        may_withdraw=pending and mine and principal.may("approvals:write"),
    )  # fmt: skip
