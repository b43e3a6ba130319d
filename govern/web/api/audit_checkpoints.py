"""`/audit-checkpoints`: what was signed of the audit log."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView

from govern.checkpoints import export, queries
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api import paging
from govern.web.api.audit_events import LINES, after_field, seq_of, until_field
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, instant, maybe_instant, maybe_text, page_of

blueprint = ApiBlueprint("audit-checkpoints", "Signed checkpoints of the audit log. The key that checks them: `/evidence/key`.")


class CheckpointOut(Schema):
    """The log up to the event `seq`, signed."""

    seq = ma.fields.Integer(required=True)
    at = instant(required=True)
    digest = ma.fields.String(required=True, metadata={"description": "The keyed digest of the event `seq`."})
    root = ma.fields.String(required=True, metadata={"description": "SHA-256 over all exported lines up to it, in hex."})
    key = ma.fields.String(attribute="key_id", required=True)
    line = ma.fields.String(required=True, metadata={"description": "What was signed, with its signature: a line of the file."})


class SinkOut(Schema):
    """A place outside where checkpoints are kept: up to which event, how many it lacks, and what is wrong, since when."""

    name = ma.fields.String(required=True, metadata={"example": "syslog"})
    seq = ma.fields.Integer(required=True)
    lacks = ma.fields.Integer(required=True)
    pushed_at = maybe_instant()
    problem = maybe_text()
    failing_since = maybe_instant()


class SinksOut(Schema):
    """All that are set up."""

    items = ma.fields.List(ma.fields.Nested(SinkOut), required=True)


class FileQuery(Schema):
    """What to hand out."""

    after = after_field()
    until = until_field()


@blueprint.route("")
class Checkpoints(MethodView):
    """Checkpoints."""

    @requires("audit:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(CheckpointOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List checkpoints, newest first."""
        scope.check_anyone("audit:read")
        rows = queries.recent(reads(), before=seq_of(paging.after_id(args.get("cursor"))), limit=args["limit"] + 1)
        items, following = paging.page(rows, args["limit"], lambda row: str(row.seq))
        return {"items": items, "next": following}


@blueprint.route("/sinks")
class Sinks(MethodView):
    """Where checkpoints are kept outside."""

    @requires("audit:read")
    @blueprint.response(200, SinksOut)
    def get(self) -> dict[str, Any]:
        """Show how far each sink has the checkpoints, and which ones fail."""
        scope.check_anyone("audit:read")
        return {"items": queries.standings(reads(), govern().settings.audit.sinks)}


@blueprint.route("/export")
class File(MethodView):
    """Checkpoints as a file."""

    @requires("audit:read")
    @blueprint.arguments(FileQuery, location="query")
    @blueprint.response(200, {"type": "string"}, content_type=LINES, description="A signed line per checkpoint.")
    def get(self, args: dict[str, Any]) -> Response:
        """Hand out the checkpoints, oldest first, streamed: what `govern audit verify --checkpoints` reads."""
        scope.check_anyone("audit:read")
        answer = Response(export.chunks(govern().unit_of_work, after=args["after"], until=args["until"]), content_type=LINES)
        answer.headers["Content-Disposition"] = 'attachment; filename="audit-checkpoints.jsonl"'
        return answer
