"""`/people/imports`: directory files that were brought in."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, jsonify
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.uow import UnitOfWork
from govern.people import directory, queries
from govern.people.models import ImportState
from govern.people.plan import told
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Flag, PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("people-imports", "Directory files that were brought in.", under="people/imports")


class ImportIn(Schema):
    """A directory file. The text is CSV, its first line names the columns."""

    csv = ma.fields.String(
        required=True,
        validate=ma.validate.Length(1, 900_000),
        metadata={"example": "email,name,team,cost_centre,manager,starts_on,ends_on\neve@acme.example,Eve,Search,100,,,"},
    )
    complete = Flag(
        load_default=False,
        metadata={"description": "The file names everybody: whoever is not in it becomes “not in the directory”."},
    )
    effective_on = ma.fields.Date(
        load_default=None, allow_none=True, metadata={"description": "From when rows hold that name no day; today without it."}
    )
    file_name = Text(1, 200, load_default="directory.csv")


class ImportQuery(Schema):
    """How."""

    dry_run = ma.fields.Boolean(load_default=False, metadata={"description": "Only say what it would change."})


class ChangeOut(Schema):
    """One thing that changes, in words."""

    what = ma.fields.String(required=True)
    before = maybe_text()
    after = maybe_text()


class RowOut(Schema):
    """What becomes of a line: `new`, `changed`, `problem` (not used; the sentence says what to do), `left` (they have left)."""

    line = ma.fields.Integer(required=True)
    email = maybe_text()
    outcome = ma.fields.String(required=True)
    sentence = maybe_text()
    changes = ma.fields.List(ma.fields.Nested(ChangeOut), required=True)


class CountsOut(Schema):
    """How many of each."""

    new = ma.fields.Integer()
    changed = ma.fields.Integer()
    unchanged = ma.fields.Integer()
    problems = ma.fields.Integer()
    left = ma.fields.Integer()
    missing = ma.fields.Integer()


class ImportOut(Schema):
    """An import. A `draft` was made on the dashboard and waits to be confirmed there."""

    id = ma.fields.String(allow_none=True, metadata={"description": "Null for a dry run."})
    state = ma.fields.Enum(ImportState, by_value=True, required=True)
    file_name = ma.fields.String(required=True)
    complete = ma.fields.Boolean(required=True)
    effective_on = ma.fields.Date(required=True)
    made_label = ma.fields.String(required=True, data_key="made_by")
    made_at = instant(required=True)
    done_at = maybe_instant()
    counts = ma.fields.Nested(CountsOut, required=True)


class ImportWithRows(ImportOut):
    """An import, row by row; rows that said what was known already are only counted."""

    rows = ma.fields.List(ma.fields.Nested(RowOut), required=True)
    missing = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Addresses that are not in the file."})
    notes = ma.fields.List(ma.fields.String(), required=True)


class PlanOut(Schema):
    """What a file would change."""

    dry_run = ma.fields.Boolean(required=True)
    counts = ma.fields.Nested(CountsOut, required=True)
    rows = ma.fields.List(ma.fields.Nested(RowOut), required=True)
    missing = ma.fields.List(ma.fields.String(), required=True)
    notes = ma.fields.List(ma.fields.String(), required=True)


@blueprint.route("")
class Imports(MethodView):
    """Imports."""

    @requires("people:write")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(ImportOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List imports, newest first."""
        scope.check_anyone("people:write")
        rows = queries.find_imports(reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1)
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}

    @requires("people:write")
    @blueprint.arguments(ImportQuery, location="query")
    @blueprint.arguments(ImportIn)
    @blueprint.response(200, {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("ImportWithRows", "PlanOut")]})
    def post(self, how: dict[str, Any], args: dict[str, Any]) -> Response:
        """Bring the directory up to a file, with an outcome per row. Sending it twice does no harm.

        A row that cannot be used is named with its line and what to do; the others are carried out.
        """
        scope.check_anyone("people:write")
        on = args["effective_on"] or utcnow().date()
        if how["dry_run"]:
            found = directory.preview(reads(), args["csv"], complete=args["complete"], effective_on=on)
            return jsonify(PlanOut().dump({"dry_run": True, **told(found)}))

        def command(uow: UnitOfWork) -> str:
            row = directory.draft(
                uow, args["csv"], file_name=args["file_name"], complete=args["complete"], effective_on=args["effective_on"]
            )
            return directory.carry_out(uow, row.id).id

        return carry_out(command, _answer)


@blueprint.route("/<id:import_id>")
class OneImport(MethodView):
    """One import."""

    @requires("people:write")
    @blueprint.response(200, ImportWithRows)
    def get(self, import_id: str) -> dict[str, Any]:
        """Show an import, row by row."""
        scope.check_anyone("people:write")
        return _whole(reads(), import_id)


def _whole(session: Session, import_id: str) -> dict[str, Any]:
    row = queries.get_import(session, import_id)
    if row.state is ImportState.DONE:
        return with_more(ImportWithRows, row)
    return with_more(ImportWithRows, row, **told(directory.plan_of(session, row)))


def _answer(session: Session, import_id: str) -> Answer:
    return Answer(ImportWithRows().dump(_whole(session, import_id)))
