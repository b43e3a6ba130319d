"""`/findings`: what should not be as it is, and what people decide about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.uow import UnitOfWork
from govern.findings import queries, service
from govern.findings.models import Finding, FindingState, Severity
from govern.findings.types import FIXES, TYPES
from govern.people import queries as people
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, PageQuery, Schema, Text, Usd, Who, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("findings", "What exists at OpenAI that should not, and what ends it.")


class FindingOut(Schema):
    """A finding. `fix` names what would end it; `none`: only people can."""

    id = ma.fields.String(required=True)
    type = ma.fields.String(required=True, metadata={"enum": list(TYPES)})
    subject_kind = ma.fields.String(required=True)
    subject_id = ma.fields.String(required=True)
    generation = ma.fields.Integer(required=True, metadata={"description": "How often it was opened."})
    state = ma.fields.Enum(FindingState, by_value=True, required=True)
    severity = ma.fields.Enum(Severity, by_value=True, required=True)
    label = ma.fields.String(required=True)
    sentence = ma.fields.String(required=True)
    owner = maybe_text()
    project = ma.fields.String(attribute="project_id", allow_none=True)
    assigned_to = maybe_text()
    fix = ma.fields.String(required=True, metadata={"enum": list(FIXES)})
    spend_30d_usd = Usd(attribute="spend_30d", required=True)
    age_days = ma.fields.Integer(required=True)
    since_at = instant(required=True)
    opened_at = instant(required=True)
    last_seen_at = instant(required=True)
    closed_at = maybe_instant()
    accepted_reason = maybe_text()
    accepted_until = ma.fields.Date(allow_none=True)
    problem = maybe_text()


class FindingsQuery(PageQuery):
    """What to list. Without a state: what waits for somebody."""

    type = ma.fields.String(validate=ma.validate.OneOf(list(TYPES)))
    state = ma.fields.Enum(FindingState, by_value=True)
    severity = ma.fields.Enum(Severity, by_value=True)
    owner = Who()


class FixIn(Schema):
    """Why; `dry_run` only says what would be done."""

    reason = Text(3, 500, required=True)
    dry_run = ma.fields.Boolean(load_default=False)


class FixManyIn(Schema):
    """Which, and why."""

    ids = ma.fields.List(Id(), required=True, validate=ma.validate.Length(1, 200))
    reason = Text(3, 500, required=True)


class OutcomeOut(Schema):
    """What became of one of them."""

    id = ma.fields.String(required=True)
    problem = ma.fields.String(required=True, allow_none=True, metadata={"description": "null: its end is owed."})


class OutcomesOut(Schema):
    """One outcome for each."""

    items = ma.fields.List(ma.fields.Nested(OutcomeOut), required=True)


class AcceptIn(Schema):
    """Why it may stay, and until which day."""

    reason = Text(3, 500, required=True)
    until = ma.fields.Date(required=True)


class AssignIn(Schema):
    """Who is to look at it."""

    person = Who(required=True)


class AdoptIn(AssignIn):
    """Who answers for the key from now on, and why."""

    reason = Text(3, 500, required=True)


def _fields(session: Session, rows: list[Finding]) -> list[dict[str, Any]]:
    names = people.names(session, [row.owner_id for row in rows if row.owner_id])
    now = utcnow()
    return [
        with_more(FindingOut, row, owner=names.get(row.owner_id or ""), age_days=max(0, (now - row.since_at).days))
        for row in rows
    ]


def _answer(session: Session, finding_id: str) -> Answer:
    return Answer(FindingOut().dump(_fields(session, [queries.get(session, finding_id)])[0]))


@blueprint.route("")
class Findings(MethodView):
    """Findings."""

    @requires("findings:read")
    @blueprint.arguments(FindingsQuery, location="query")
    @blueprint.response(200, page_of(FindingOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List findings, newest first."""
        scope.check_anyone("findings:read")
        owner = people.get(reads(), args["owner"]).id if args.get("owner") else None
        rows = queries.find(
            reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, type_=args.get("type"),
            state=args.get("state"), severity=args.get("severity"), owner_id=owner,
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}

    @requires("findings:write")
    @blueprint.arguments(FixManyIn)
    @blueprint.response(200, OutcomesOut)
    def post(self, args: dict[str, Any]) -> Response:
        """Fix several. One that cannot be fixed does not stop the others."""
        scope.check_anyone("findings:write")
        overlap = timedelta(hours=govern().settings.keys.overlap_hours)
        outcomes: dict[str, str | None] = {}

        def command(uow: UnitOfWork) -> str:
            outcomes.update(service.fix_many(uow, args["ids"], reason=args["reason"], overlap=overlap))
            return str(args["ids"][0])

        def answer(_session: Session, _first: str) -> Answer:
            items = [{"id": finding_id, "problem": problem} for finding_id, problem in outcomes.items()]
            return Answer(OutcomesOut().dump({"items": items}))

        return carry_out(command, answer)


@blueprint.route("/<id:finding_id>")
class OneFinding(MethodView):
    """One finding."""

    @requires("findings:read")
    @blueprint.response(200, FindingOut)
    def get(self, finding_id: str) -> dict[str, Any]:
        """Show a finding."""
        scope.check_anyone("findings:read")
        return _fields(reads(), [queries.get(reads(), finding_id)])[0]


@blueprint.route("/<id:finding_id>/fix")
class Fix(MethodView):
    """Its end."""

    @requires("findings:write")
    @blueprint.arguments(FixIn)
    @blueprint.response(200, FindingOut)
    def post(self, args: dict[str, Any], finding_id: str) -> Response | dict[str, Any]:
        """Owe what ends it. It is called fixed when a later look shows it no more. A dry run changes nothing."""
        scope.check_anyone("findings:write")
        if args["dry_run"]:
            return _fields(reads(), [queries.preview(reads(), finding_id).finding])[0]
        overlap = timedelta(hours=govern().settings.keys.overlap_hours)
        return carry_out(lambda uow: service.fix(uow, finding_id, reason=args["reason"], overlap=overlap).id, _answer)


@blueprint.route("/<id:finding_id>/accept")
class Acceptance(MethodView):
    """It may stay."""

    @requires("findings:write")
    @blueprint.arguments(AcceptIn)
    @blueprint.response(200, FindingOut)
    def post(self, args: dict[str, Any], finding_id: str) -> Response:
        """Let it be until a day; then it is open again."""
        scope.check_anyone("findings:write")
        return carry_out(lambda uow: service.accept(uow, finding_id, **args).id, _answer)


@blueprint.route("/<id:finding_id>/assign")
class Assignment(MethodView):
    """Somebody's."""

    @requires("findings:write")
    @blueprint.arguments(AssignIn)
    @blueprint.response(200, FindingOut)
    def post(self, args: dict[str, Any], finding_id: str) -> Response:
        """Ask somebody to look at it."""
        scope.check_anyone("findings:write")
        return carry_out(lambda uow: service.assign(uow, finding_id, args["person"]).id, _answer)


@blueprint.route("/<id:finding_id>/adopt")
class Adoption(MethodView):
    """Taken under management."""

    @requires("findings:write")
    @blueprint.arguments(AdoptIn)
    @blueprint.response(200, FindingOut)
    def post(self, args: dict[str, Any], finding_id: str) -> Response:
        """Record who answers for a key that this service did not issue."""
        scope.check_anyone("findings:write")
        return carry_out(lambda uow: service.adopt(uow, finding_id, args["person"], reason=args["reason"]).id, _answer)
