"""`/audit-events`: what was done, by whom, when."""

from __future__ import annotations

from typing import Any, Final

import marshmallow as ma
from flask import Response
from flask.views import MethodView

from govern.audit import export, queries
from govern.audit.models import AuditEvent
from govern.audit.queries import Search
from govern.audit.rules import Outcome, outcome
from govern.core.errors import InvalidInput
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api import paging
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_text, page_of

LINES: Final = "application/x-ndjson"

blueprint = ApiBlueprint("audit-events", "What was done, by whom, when. Append-only.")


class AuditEventOut(Schema):
    """One thing that was done. `seq` has no gaps; `digest` chains it to the event before."""

    seq = ma.fields.Integer(required=True)
    id = ma.fields.String(required=True)
    at = instant(required=True)
    action = ma.fields.String(required=True)
    actor_kind = ma.fields.String(required=True)
    actor_id = ma.fields.String(required=True)
    actor_label = ma.fields.String(required=True)
    subject_kind = ma.fields.String(required=True)
    subject_id = ma.fields.String(required=True)
    facts = ma.fields.Dict(keys=ma.fields.String(), required=True)
    reason = maybe_text()
    ip = maybe_text()
    request_id = maybe_text()
    through = maybe_text()
    digest = ma.fields.String(required=True)
    outcome = ma.fields.Function(lambda event: outcome(event.action).value, metadata={"type": "string"})


class AuditQuery(PageQuery):
    """What to list."""

    subject = Text(1, 120, attribute="subject_id", metadata={"description": "The id of what was changed."})
    actor = Text(1, 120, attribute="actor_id", metadata={"description": "The id of who did it."})
    action = Text(1, 60, metadata={"description": "A whole action (`key.revoked`) or a group (`key.`)."})
    request = Text(1, 64, attribute="request_id", metadata={"description": "All events of one request."})
    reason = Text(1, 200, metadata={"description": "Words of the reason."})
    search = Text(1, 200, attribute="text", metadata={"description": "Words of who, of what it is about, or of the reason."})
    outcome = ma.fields.Enum(Outcome, by_value=True)
    since = instant(metadata={"description": "Not before."})
    until = instant(metadata={"description": "Before; not at."})


@blueprint.route("")
class AuditEvents(MethodView):
    """Audit events."""

    @requires("audit:read")
    @blueprint.arguments(AuditQuery, location="query")
    @blueprint.response(200, page_of(AuditEventOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List audit events, newest first."""
        limit, before = args.pop("limit"), seq_of(paging.after_id(args.pop("cursor", None)))
        rows = queries.events(reads(), Search(**args), before=before, limit=limit + 1)
        items, following = paging.page(rows, limit, lambda row: str(row.seq))
        return {"items": items, "next": following}


def after_field() -> ma.fields.Integer:
    """The field `after`."""
    return ma.fields.Integer(
        load_default=0, validate=ma.validate.Range(0, 2**63 - 1),
        metadata={"description": "Go on behind the event with this `seq`: the last one that you have."},
    )  # fmt: skip


def until_field() -> ma.fields.Integer:
    """The field `until`."""
    return ma.fields.Integer(
        load_default=None, validate=ma.validate.Range(0, 2**63 - 1),
        metadata={"description": "Up to this `seq`, included: so that events and checkpoints end at the same event."},
    )  # fmt: skip


class ExportQuery(Schema):
    """What to hand out."""

    format = ma.fields.String(
        load_default="jsonl", validate=ma.validate.OneOf(list(export.FORMATS)),
        metadata={"description": "`jsonl`: every column, verifiable. `ocsf`: OCSF 1.4.0, class Entity Management."},
    )  # fmt: skip
    after = after_field()
    until = until_field()


@blueprint.route("/export")
class Export(MethodView):
    """The log as a file."""

    @requires("audit:read")
    @blueprint.arguments(ExportQuery, location="query")
    @blueprint.response(200, {"type": "string"}, content_type=LINES, description="A line of JSON per event.")
    def get(self, args: dict[str, Any]) -> Response:
        """Hand out the log, oldest first, as lines of JSON, streamed. An answer that breaks off is gone on with by `after`."""
        scope.check_anyone("audit:read")
        return exported(args["format"], args["after"], args["until"])


@blueprint.route("/<id:event_id>")
class OneEvent(MethodView):
    """One event."""

    @requires("audit:read")
    @blueprint.response(200, AuditEventOut)
    def get(self, event_id: str) -> AuditEvent:
        """Show an event."""
        scope.check_anyone("audit:read")
        return queries.get(reads(), event_id)


def exported(form: str, after: int, until: int | None = None) -> Response:
    """The log as a download, read while it is sent."""
    answer = Response(export.chunks(govern().unit_of_work, form, after=after, until=until), content_type=LINES)
    answer.headers["Content-Disposition"] = f'attachment; filename="audit-after-{after}.{form}"'
    return answer


def seq_of(text: str | None) -> int | None:
    """The number in a cursor. Raises InvalidInput for what is none."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput("The cursor does not belong to this list.", {"cursor": "Send the `next` of the page before."})
    return int(text)
