"""`/batches`: many people at once, removed or invited, with an outcome for each. Send with `dry_run=true` first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from flask import Response, jsonify
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.batches import queries, rules, service
from govern.batches.models import Batch, BatchKind, RowState
from govern.batches.plan import Planned, limits, plan
from govern.batches.queries import Told
from govern.batches.rules import Line
from govern.core.clock import utcnow
from govern.core.errors import InvalidInput
from govern.web import scope
from govern.web.access import current_actor, govern, reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("batches", "Many people at once, with an outcome for each.")

_CSV = "A CSV file with headings, or one address on each line; instead of `people`."


class BatchOut(Schema):
    """A list of people. `counts`: how many rows have which outcome; of a removal `proven` are gone by evidence."""

    id = ma.fields.String(required=True)
    kind = ma.fields.Enum(BatchKind, by_value=True, required=True)
    reason = ma.fields.String(required=True)
    created_by = ma.fields.String(required=True)
    created_at = instant(required=True)
    approval = ma.fields.String(
        attribute="approval_id", allow_none=True, metadata={"description": "What the rows that are held wait for."}
    )
    approved_at = maybe_instant()
    finished_at = maybe_instant()
    counts = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    proven = ma.fields.Integer(required=True)


class BatchRowOut(Schema):
    """One person of a list, and what became of it."""

    line = ma.fields.Integer(required=True)
    who = ma.fields.String(required=True)
    outcome = ma.fields.Enum(RowState, by_value=True, required=True)
    sentence = maybe_text()
    subject = ma.fields.String(required=True, allow_none=True, metadata={"description": "The id of the removal or the invite."})
    progress = ma.fields.String(required=True, allow_none=True, metadata={"description": "Its state now."})
    evidence = ma.fields.String(required=True, allow_none=True, metadata={"description": "Once the removal is proven."})


class PlannedOut(Schema):
    """What would become of one person. `waiting`: it would be begun; with `needs_approval` not without a second admin."""

    line = ma.fields.Integer(required=True)
    who = ma.fields.String(required=True)
    outcome = ma.fields.Enum(RowState, by_value=True, required=True)
    sentence = maybe_text()
    subject = ma.fields.String(required=True, allow_none=True)
    needs_approval = ma.fields.Boolean(required=True)
    keys = ma.fields.Integer(required=True)
    personal_keys = ma.fields.Integer(required=True)
    memberships = ma.fields.Integer(required=True)


class BatchPreviewOut(Schema):
    """What a list would do. Nothing was done."""

    dry_run = ma.fields.Boolean(required=True)
    items = ma.fields.List(ma.fields.Nested(PlannedOut), required=True)
    counts = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    needs_approval = ma.fields.Integer(required=True, metadata={"description": "How many would wait for a second admin."})


class BatchQuery(Schema):
    """How."""

    dry_run = ma.fields.Boolean(load_default=False, metadata={"description": "Only say what it would do."})


class RemovalsIn(Schema):
    """Whom to remove."""

    people = ma.fields.List(
        Text(1, 320), validate=ma.validate.Length(1, rules.MOST_ROWS), metadata={"description": "Addresses or ids."}
    )
    csv = Text(1, rules.MOST_BYTES, metadata={"description": _CSV})
    reason = Text(3, 500, required=True, metadata={"example": "the project ended on 31 March"})


class InviteeIn(Schema):
    """Whom to invite."""

    email = Text(1, 320, required=True)
    role = Text(1, 40, load_default="reader", metadata={"description": "reader or owner"})
    projects = ma.fields.List(
        Text(1, 300), load_default=list, metadata={"description": "Ids or names; `:owner` behind one makes them its owner."}
    )


class InvitesIn(Schema):
    """Whom to invite."""

    people = ma.fields.List(ma.fields.Nested(InviteeIn), validate=ma.validate.Length(1, rules.MOST_ROWS))
    csv = Text(1, rules.MOST_BYTES, metadata={"description": _CSV + " Columns: email, role, projects (separated by ;)."})


class RowsQuery(PageQuery):
    """What to list."""

    outcome = ma.fields.Enum(RowState, by_value=True)


_PAGE = page_of(BatchOut)
_BATCH_OR_PREVIEW = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("BatchOut", "BatchPreviewOut")]}


@blueprint.route("")
class Batches(MethodView):
    """Lists of people."""

    @requires("members:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, _PAGE)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List them, newest first."""
        return _listed(args, None)


@blueprint.route("/removals")
class Removals(MethodView):
    """Many removals."""

    @requires("members:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, _PAGE)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List the lists of people to remove, newest first."""
        return _listed(args, BatchKind.REMOVE)

    @requires("members:revoke")
    @blueprint.arguments(BatchQuery, location="query")
    @blueprint.arguments(RemovalsIn)
    @blueprint.response(200, _BATCH_OR_PREVIEW, description="Finished; or, with `dry_run=true`, what it would do.")
    @blueprint.alt_response(202, schema=BatchOut, description="Written down; look at its rows.", success=True)
    def post(self, how: dict[str, Any], args: dict[str, Any]) -> Response:
        """Remove many people. Each is contained at once; beyond a number, the rest waits for a second admin.

        Safe to send twice: nobody is removed twice, and whoever was removed before is told with the same evidence.
        """
        scope.check_anyone("members:revoke")
        people = [{"who": who} for who in args.get("people", ())]
        lines = _lines(BatchKind.REMOVE, people, args.get("csv"))
        return _answer_to(BatchKind.REMOVE, lines, args["reason"], dry_run=how["dry_run"])


@blueprint.route("/invites")
class Invites(MethodView):
    """Many invites."""

    @requires("members:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, _PAGE)
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List the lists of people to invite, newest first."""
        return _listed(args, BatchKind.INVITE)

    @requires("members:invite")
    @blueprint.arguments(BatchQuery, location="query")
    @blueprint.arguments(InvitesIn)
    @blueprint.response(200, _BATCH_OR_PREVIEW, description="Finished; or, with `dry_run=true`, what it would do.")
    @blueprint.alt_response(202, schema=BatchOut, description="Written down; look at its rows.", success=True)
    def post(self, how: dict[str, Any], args: dict[str, Any]) -> Response:
        """Invite many people. Safe to send twice: who is a member or invited already is told so."""
        scope.check_anyone("members:invite")
        people = [
            {"who": each["email"], "role": each["role"], "projects": "\n".join(each["projects"])}
            for each in args.get("people", ())
        ]
        return _answer_to(BatchKind.INVITE, _lines(BatchKind.INVITE, people, args.get("csv")), "", dry_run=how["dry_run"])


@blueprint.route("/<id:batch_id>")
class OneBatch(MethodView):
    """One list."""

    @requires("members:read")
    @blueprint.response(200, BatchOut)
    def get(self, batch_id: str) -> dict[str, Any]:
        """Show how far it is."""
        scope.check_anyone("members:read")
        return _fields(reads(), queries.get(reads(), batch_id))


@blueprint.route("/<id:batch_id>/rows")
class BatchRows(MethodView):
    """The people of one list."""

    @requires("members:read")
    @blueprint.arguments(RowsQuery, location="query")
    @blueprint.response(200, page_of(BatchRowOut))
    def get(self, args: dict[str, Any], batch_id: str) -> dict[str, Any]:
        """List its people, in the order of the list, with what became of each."""
        scope.check_anyone("members:read")
        after = paging.after_id(args.get("cursor")) or "0"
        if not after.isdigit() or len(after) > 9:
            raise InvalidInput("The cursor does not belong to this list.", {"cursor": "Send the `next` of the page before."})
        batch = queries.get(reads(), batch_id)
        found = queries.rows(reads(), batch, after=int(after), limit=args["limit"] + 1, state=args.get("outcome"))
        items, following = paging.page(found, args["limit"], lambda told: str(told.row.number))
        return {"items": [told_row(told) for told in items], "next": following}


@blueprint.route("/<id:batch_id>/outcome.csv")
class BatchCsv(MethodView):
    """The outcome as a file."""

    @requires("members:read")
    @blueprint.response(200, {"type": "string"}, content_type="text/csv", description="A line per person.")
    def get(self, batch_id: str) -> Response:
        """Download the outcome of each person as CSV."""
        scope.check_anyone("members:read")
        return csv_file(queries.get(reads(), batch_id))


def _listed(args: Mapping[str, Any], kind: BatchKind | None) -> dict[str, Any]:
    scope.check_anyone("members:read")
    rows = queries.find(reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, kind=kind)
    items, following = paging.page(rows, args["limit"], lambda row: row.id)
    return {"items": [_fields(reads(), row) for row in items], "next": following}


def csv_file(batch: Batch) -> Response:
    """The outcome of each row as a file."""
    answer = Response("".join(queries.as_csv(reads(), batch)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{batch.id}.csv"'
    return answer


def told_row(told: Told) -> dict[str, Any]:
    """A row as programs are told it, over REST and on the command line alike."""
    return {
        "line": told.row.line, "who": told.row.who, "outcome": told.row.state, "sentence": told.row.sentence or told.trouble,
        "subject": told.row.subject_id, "progress": told.progress, "evidence": told.evidence_id,
    }  # fmt: skip


def _planned(each: Planned) -> dict[str, Any]:
    return {
        "line": each.line.line, "who": each.line.who, "outcome": each.state, "sentence": each.sentence,
        "subject": each.subject_id, "needs_approval": each.needs_yes, "keys": each.keys, "personal_keys": each.personal_keys,
        "memberships": each.memberships,
    }  # fmt: skip


def _lines(kind: BatchKind, people: list[Mapping[str, str]] | list[dict[str, str]], csv: str | None) -> list[Line]:
    if bool(people) is bool(csv):
        raise InvalidInput("Send either people or csv.", {"people": "Send a list of people, or a file in csv."})
    return rules.read(kind, csv) if csv else rules.of_people(kind, people)


def _answer_to(kind: BatchKind, lines: list[Line], reason: str, *, dry_run: bool) -> Response:
    allowed = limits(govern().settings, kind)
    if dry_run:
        found = plan(reads(), kind, lines, current_actor(), now=utcnow(), limits=allowed)
        counts = {state.value: sum(each.state is state for each in found) for state in RowState}
        return jsonify(
            BatchPreviewOut().dump(
                {
                    "dry_run": True, "items": [_planned(each) for each in found],
                    "needs_approval": sum(each.needs_yes for each in found),
                    "counts": {word: number for word, number in counts.items() if number},
                }
            )
        )  # fmt: skip
    return carry_out(lambda uow: service.begin(uow, kind, lines, reason=reason, limits=allowed).id, _answer)


def _answer(session: Session, batch_id: str) -> Answer:
    batch = queries.get(session, batch_id)
    fields = _fields(session, batch)
    done = batch.finished_at is not None
    begun = RowState.WAITING.value not in fields["counts"]
    headers = {} if done else {"Location": f"/api/v1/batches/{batch.id}"}
    return Answer(BatchOut().dump(fields), 200 if done else 202, headers, settled=begun)


def _fields(session: Session, batch: Batch) -> dict[str, Any]:
    counts = {state.value: number for state, number in queries.counts(session, batch.id).items()}
    return with_more(BatchOut, batch, counts=counts, proven=queries.proven(session, batch.id))
