"""`/approvals`: what waits for somebody else's yes. Saying it carries out what was asked for, in the same transaction."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.approvals import queries, service
from govern.approvals.models import Approval, ApprovalState
from govern.core.clock import utcnow
from govern.core.uow import UnitOfWork
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("approvals", "What waits for somebody else's yes.")


class ApprovalOut(Schema):
    """An asking and how it was decided. `result` is the id of what a yes made or changed."""

    id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True, metadata={"description": "What is carried out on a yes."})
    subject_kind = ma.fields.String(required=True)
    subject_id = ma.fields.String(required=True)
    summary = ma.fields.String(required=True)
    facts = ma.fields.Dict(required=True)
    reason = ma.fields.String(required=True)
    state = ma.fields.Enum(ApprovalState, by_value=True, required=True)
    requested_by = ma.fields.String(required=True)
    requested_name = ma.fields.String(attribute="requested_label", required=True)
    person = ma.fields.String(
        attribute="for_person_id", allow_none=True, metadata={"description": "For whom it is, if for somebody."}
    )
    approvers = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "People named to decide it."})
    permission = maybe_text()
    asked_at = instant(required=True)
    expires_at = instant(required=True)
    decided_by = maybe_text()
    decided_at = maybe_instant()
    decision_reason = maybe_text()
    result = ma.fields.String(attribute="result_id", allow_none=True)


class ApprovalsQuery(PageQuery):
    """What to list."""

    state = ma.fields.Enum(ApprovalState, by_value=True)
    waiting_for_me = ma.fields.Boolean(load_default=False, metadata={"description": "Only what you may decide now."})


class ApproveIn(Schema):
    """A word to whoever asked."""

    reason = Text(3, 500, load_default="Approved.")


class DenyIn(Schema):
    """Why not."""

    reason = Text(3, 500, required=True)


def _fields(session: Session, row: Approval) -> dict[str, Any]:
    named = [person.id for person in queries.approvers(session, row.id)]
    return with_more(ApprovalOut, row, approvers=named)


def _answer(session: Session, approval_id: str) -> Answer:
    return Answer(ApprovalOut().dump(_fields(session, queries.get(session, approval_id))))


@blueprint.route("")
class Approvals(MethodView):
    """Approvals."""

    @requires("approvals:read")
    @blueprint.arguments(ApprovalsQuery, location="query")
    @blueprint.response(200, page_of(ApprovalOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List approvals, newest first: those that concern you or your reports, and those that you are named to decide.

        `waiting_for_me` gives what you may decide now, in one page, the oldest first.
        """
        if args["waiting_for_me"]:
            rows = list(scope.approvals_waiting(utcnow()))
            return {"items": [_fields(reads(), row) for row in rows], "next": None}
        found = queries.find(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, state=args.get("state"),
            concerning=scope.people_within("approvals:read"), reader=current_principal().person_id,
        )  # fmt: skip
        items, following = paging.page(found, args["limit"], lambda row: row.id)
        return {"items": [_fields(reads(), row) for row in items], "next": following}


@blueprint.route("/<id:approval_id>")
class OneApproval(MethodView):
    """One approval."""

    @requires("approvals:read")
    @blueprint.response(200, ApprovalOut)
    def get(self, approval_id: str) -> dict[str, Any]:
        """Show an approval."""
        return _fields(reads(), scope.approval("approvals:read", approval_id))


@blueprint.route("/<id:approval_id>/approve")
class Approving(MethodView):
    """Yes."""

    @requires("approvals:write")
    @blueprint.arguments(ApproveIn)
    @blueprint.response(200, ApprovalOut, description="It was carried out; `result` is the id of what it made or changed.")
    def post(self, args: dict[str, Any], approval_id: str) -> Response:
        """Say yes, and have it carried out. Nobody approves what they asked for, or what is for themselves."""
        return _decide(approval_id, approve=True, reason=args["reason"])


@blueprint.route("/<id:approval_id>/deny")
class Denying(MethodView):
    """No."""

    @requires("approvals:write")
    @blueprint.arguments(DenyIn)
    @blueprint.response(200, ApprovalOut)
    def post(self, args: dict[str, Any], approval_id: str) -> Response:
        """Say no, and why."""
        return _decide(approval_id, approve=False, reason=args["reason"])


@blueprint.route("/<id:approval_id>/withdraw")
class Withdrawal(MethodView):
    """Taken back."""

    @requires("approvals:write")
    @blueprint.response(200, ApprovalOut)
    def post(self, approval_id: str) -> Response:
        """Take back what you asked for."""
        scope.approval("approvals:write", approval_id)
        return carry_out(lambda uow: service.withdraw(uow, approval_id).id, _answer)


def _decide(approval_id: str, *, approve: bool, reason: str) -> Response:
    scope.approval("approvals:write", approval_id)
    by, acts = scope.decider(), govern().acts

    def command(uow: UnitOfWork) -> str:
        return service.decide(uow, approval_id, by=by, approve=approve, reason=reason, acts=acts).id

    return carry_out(command, _answer)
