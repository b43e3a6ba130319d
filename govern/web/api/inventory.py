"""`/inventory`: everything at OpenAI that can spend money or administer, and OpenAI's own audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import marshmallow as ma
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.findings import queries as findings
from govern.inventory import freshness, items, queries
from govern.inventory.items import Item, Shown
from govern.inventory.listings import LISTINGS
from govern.inventory.models import ProviderEvent, Verdict
from govern.inventory.queries import LogState
from govern.people import queries as people
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, PageQuery, Schema, Text, Who, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("inventory", "Everything at OpenAI that can spend money or administer, and OpenAI's own audit log.")


class KindOut(Schema):
    """A kind of thing, how many there are, and how fresh that is."""

    kind = ma.fields.String(required=True, metadata={"enum": list(LISTINGS)})
    title = ma.fields.String(required=True)
    listed = ma.fields.Integer(required=True)
    vanished = ma.fields.Integer(required=True)
    seen_at = instant(
        required=True, allow_none=True, metadata={"description": "All of it is at least as new as this; null: not all was read."}
    )
    read = ma.fields.Integer(required=True, metadata={"description": "How many listings of it the last sweep has read."})
    of = ma.fields.Integer(required=True, metadata={"description": "How many listings there are (one per project, say)."})
    is_whole = ma.fields.Boolean(required=True)


class LogOut(Schema):
    """How far OpenAI's audit log is to be believed."""

    state = ma.fields.Enum(LogState, by_value=True, required=True)
    known_from = maybe_instant()
    read_until = maybe_instant()
    not_shown = ma.fields.Integer(
        required=True, metadata={"description": "Changes of ours that it does not show a quarter of an hour later."}
    )


class InventoryOut(Schema):
    """All kinds, and the log."""

    items = ma.fields.List(ma.fields.Nested(KindOut), required=True)
    openai_audit_log = ma.fields.Nested(LogOut, required=True)


class ItemOut(Schema):
    """A thing. `facts` depend on its kind; `findings` are the ids of what was found about it and waits."""

    kind = ma.fields.String(required=True)
    id = ma.fields.String(required=True)
    native = maybe_text()
    label = ma.fields.String(required=True)
    facts = ma.fields.Dict(keys=ma.fields.String(), required=True)
    project = ma.fields.String(attribute="project_id", allow_none=True)
    project_name = maybe_text()
    owner = ma.fields.String(attribute="owner_id", allow_none=True, metadata={"description": "Who answers for it, if known."})
    owner_name = maybe_text()
    key = ma.fields.String(attribute="key_id", allow_none=True, metadata={"description": "The key of ours that it belongs to."})
    findings = ma.fields.List(ma.fields.String(), required=True)
    first_seen_at = instant(required=True)
    last_seen_at = maybe_instant()
    vanished_at = maybe_instant()


class ItemsQuery(PageQuery):
    """What to list."""

    search = Text(1, 200)
    project = Id()
    owner = Who()
    show = ma.fields.Enum(Shown, by_value=True, load_default=Shown.LISTED)


class EventOut(Schema):
    """An event of OpenAI's audit log. `verdict`: whose change it was; `call` of ours that explains it, found `joined_by`."""

    id = ma.fields.String(required=True)
    native = ma.fields.String(attribute="remote_id", required=True)
    type = ma.fields.String(required=True)
    at = instant(required=True)
    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    about = ma.fields.String(attribute="resource_remote_id", allow_none=True)
    actor_kind = maybe_text()
    actor = ma.fields.String(attribute="actor_remote_id", allow_none=True)
    actor_email = maybe_text()
    actor_key = ma.fields.String(attribute="actor_key_remote_id", allow_none=True)
    request_id = maybe_text()
    call = ma.fields.String(attribute="call_id", allow_none=True)
    joined_by = maybe_text()
    before_we_watched = ma.fields.Boolean(attribute="is_history", required=True)
    details = ma.fields.Dict(keys=ma.fields.String(), required=True)


class EventsQuery(PageQuery):
    """What to list."""

    verdict = ma.fields.Enum(Verdict, by_value=True)
    type = Text(1, 120, metadata={"description": "A type, or a beginning that ends in a dot: `api_key.`"})
    about = Id(metadata={"description": "OpenAI's id of what was changed."})
    actor = Who(metadata={"description": "An address, or OpenAI's id of a user or of an admin key."})
    search = Text(1, 200)
    since = instant()


def plain(value: object) -> object:
    """A fact as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.value if isinstance(value, Enum) else value


def _fields(session: Session, rows: Sequence[Item]) -> list[dict[str, Any]]:
    about = findings.waiting_about(session, [row.id for row in rows])
    return [
        asdict(row)
        | {
            "facts": {word: plain(value) for word, value in row.facts.items()},
            "findings": [finding.id for finding in about.get(row.id, ())],
        }
        for row in rows
    ]


@blueprint.route("")
class Inventory(MethodView):
    """The whole."""

    @requires("findings:read")
    @blueprint.response(200, InventoryOut)
    def get(self) -> dict[str, Any]:
        """Say what there is of each kind, how fresh that is, and how far OpenAI's audit log is to be believed."""
        scope.check_anyone("findings:read")
        fresh = freshness.of_all(reads())
        kinds = [
            {
                "kind": kind, "title": LISTINGS[kind].title, "listed": listed, "vanished": vanished,
                "seen_at": fresh[kind].seen_at, "read": fresh[kind].read, "of": fresh[kind].of,
                "is_whole": fresh[kind].is_whole,
            }
            for kind, (listed, vanished) in items.counts(reads()).items()
        ]  # fmt: skip
        return {"items": kinds, "openai_audit_log": asdict(queries.log_standing(reads(), utcnow()))}


@blueprint.route("/events")
class Events(MethodView):
    """OpenAI's own audit log."""

    @requires("findings:read")
    @blueprint.arguments(EventsQuery, location="query")
    @blueprint.response(200, page_of(EventOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List changes, newest first, each with whose it was."""
        scope.check_anyone("findings:read")
        rows = queries.find_events(
            reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, verdict=args.get("verdict"),
            type_=args.get("type"), search=args.get("search"), about=args.get("about"), actor=args.get("actor"),
            since=args.get("since"),
        )  # fmt: skip
        kept, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": [_event(row) for row in kept], "next": following}


@blueprint.route("/events/<id:event_id>")
class OneEvent(MethodView):
    """One change."""

    @requires("findings:read")
    @blueprint.response(200, EventOut)
    def get(self, event_id: str) -> dict[str, Any]:
        """Show an event, by our id or OpenAI's."""
        scope.check_anyone("findings:read")
        return _event(queries.get_event(reads(), event_id))


def _event(row: ProviderEvent) -> dict[str, Any]:
    return with_more(EventOut, row, verdict=row.verdict)


@blueprint.route("/<id:kind>")
class Items(MethodView):
    """Things of one kind."""

    @requires("findings:read")
    @blueprint.arguments(ItemsQuery, location="query")
    @blueprint.response(200, page_of(ItemOut))
    def get(self, args: dict[str, Any], kind: str) -> dict[str, Any]:
        """List the things of a kind: those that OpenAI lists now, those that it lists no more, or both."""
        scope.check_anyone("findings:read")
        project = projects.get(reads(), args["project"]) if args.get("project") else None
        owner = people.get(reads(), args["owner"]).id if args.get("owner") else None
        rows = items.find(
            reads(), kind, after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, search=args.get("search"),
            project=project, person_id=owner, shown=args["show"],
        )  # fmt: skip
        kept, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), kept), "next": following}


@blueprint.route("/<id:kind>/<id:item_id>")
class OneItem(MethodView):
    """One thing."""

    @requires("findings:read")
    @blueprint.response(200, ItemOut)
    def get(self, kind: str, item_id: str) -> dict[str, Any]:
        """Show a thing, by our id or OpenAI's."""
        scope.check_anyone("findings:read")
        return _fields(reads(), [items.get(reads(), kind, item_id)])[0]
