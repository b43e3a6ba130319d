"""`/leak-reports`: a key that got out is found, stopped and replaced. The value is in the request and in no answer."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.crypto import Secret
from govern.core.uow import UnitOfWork
from govern.keys import leaks, queries
from govern.keys.models import LeakRemedy, LeakReport, LeakState
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.freezes import generation
from govern.web.api.key_versions import standing_overlap
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of

blueprint = ApiBlueprint("leak-reports", "Keys that got out.")


class LeakIn(Schema):
    """The key that was found where it should not be, and what to do with it."""

    value = Text(1, 500, required=True, load_only=True, metadata={"format": "password"})
    remedy = ma.fields.Enum(LeakRemedy, by_value=True, load_default=LeakRemedy.REVOKE)
    successor = ma.fields.Boolean(load_default=False, metadata={"description": "Issue a new version in its place (only of ours)"})


class LeakOut(Schema):
    """What became of it. `key`: one of ours; `observed`: one that OpenAI lists and that we did not issue."""

    id = ma.fields.String(required=True)
    state = ma.fields.Enum(LeakState, by_value=True, required=True)
    remedy = ma.fields.Enum(LeakRemedy, by_value=True, required=True)
    successor = ma.fields.Boolean(required=True)
    key = ma.fields.String(attribute="key_id", allow_none=True)
    observed = ma.fields.String(attribute="observed_id", allow_none=True)
    owner = maybe_text()
    outcome = maybe_text()
    reported_by = ma.fields.String(required=True)
    reported_at = instant(required=True)
    settled_at = maybe_instant()


def _answer(session: Session, report_id: str) -> Answer:
    row = queries.leak_report(session, report_id)
    settled = row.state is not LeakState.SEARCHING
    return Answer(LeakOut().dump(row), 201 if settled else 202, {"Location": f"/api/v1/leak-reports/{row.id}"}, settled)


@blueprint.route("")
class LeakReports(MethodView):
    """Reports."""

    @requires("keys:revoke")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(LeakOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List reports, the newest first: one's own, or all where the permission holds over anyone."""
        rows = queries.leak_reports(
            reads(), reported_by=scope.own_unless_anyone("keys:revoke"), after=paging.after_id(args.get("cursor")),
            limit=args["limit"] + 1,
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}

    @requires("keys:revoke")
    @blueprint.arguments(LeakIn)
    @blueprint.response(201, LeakOut, description="It was traced; `outcome` says in a sentence what was done.")
    @blueprint.alt_response(202, schema=LeakOut, description="OpenAI is being asked; look again at Location.", success=True)
    def post(self, args: dict[str, Any]) -> Response:
        """Report a leaked key. Who holds the value may act on it, whosever it is: they could also spend with it."""
        value, found, overlap = Secret(args["value"]), generation(), standing_overlap()

        def command(uow: UnitOfWork) -> str:
            remedy, successor = args["remedy"], args["successor"]
            return leaks.report(uow, value, remedy=remedy, successor=successor, overlap=overlap, generation=found).id

        return carry_out(command, _answer)


@blueprint.route("/<id:report_id>")
class OneLeakReport(MethodView):
    """One report."""

    @requires("keys:revoke")
    @blueprint.response(200, LeakOut)
    def get(self, report_id: str) -> LeakReport:
        """Show what became of it."""
        return queries.leak_report(reads(), report_id, reported_by=scope.own_unless_anyone("keys:revoke"))
