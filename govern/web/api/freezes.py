"""`/keys/{id}/freeze`, `/thaw`, `/freezes`: stop a key without ending it, and let it go on as before."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.errors import Rejected
from govern.keys import freezing, queries
from govern.keys.models import Freeze, FreezeState, ScopesSource
from govern.web import scope
from govern.web.access import govern, reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, Text, instant, maybe_instant, maybe_text

blueprint = ApiBlueprint("freezes", "Keys that are stopped without being ended.", under="keys")

MOVING = (FreezeState.FREEZING, FreezeState.THAWING)


class FreezeOut(Schema):
    """One native key that was stopped. `original`: what it might do before ("all", or names); null where nobody knows."""

    id = ma.fields.String(required=True)
    native = ma.fields.String(attribute="remote_id", required=True, metadata={"description": "OpenAI's id of the key."})
    state = ma.fields.Enum(FreezeState, by_value=True, required=True)
    reason = ma.fields.String(required=True)
    original = ma.fields.Method("dump_original", metadata={"type": ["array", "null"], "items": {"type": "string"}})
    original_source = ma.fields.Enum(ScopesSource, by_value=True, allow_none=True)
    requested_by = ma.fields.String(required=True)
    requested_at = instant(required=True)
    frozen_at = maybe_instant()
    proven_at = maybe_instant()
    thaw_reason = maybe_text()
    thawed_by = maybe_text()
    thaw_requested_at = maybe_instant()
    ended_at = maybe_instant()
    problem = maybe_text()

    def dump_original(self, row: Freeze) -> list[str] | None:
        return [row.original] if isinstance(row.original, str) else row.original


class FreezesOut(Schema):
    """Freezes of a key, the newest first; there are few, so they come at once."""

    items = ma.fields.List(ma.fields.Nested(FreezeOut), required=True)


class FreezeIn(Schema):
    """Why."""

    reason = Text(1, 500, load_default="Frozen over the API.")


class ThawIn(Schema):
    """Why; and, only where nobody knows what the key might do before, what it shall be allowed."""

    reason = Text(1, 500, load_default="Thawed over the API.")
    restore = ma.fields.List(
        Text(1, 100),
        validate=ma.validate.Length(1, 50),
        metadata={"description": 'Permissions by name, or the one word "all". Never an empty list.'},
    )


def freezes_answer(rows: list[Freeze], where: str) -> Answer:
    """200 when they stand still, 202 while OpenAI is being asked. Raises Rejected with OpenAI's sentence."""
    newest_first = sorted(rows, key=lambda row: row.id, reverse=True)
    if newest_first and newest_first[0].state is FreezeState.REFUSED:
        raise Rejected(newest_first[0].problem or "OpenAI refused to freeze the key.")
    moving = any(row.state in MOVING for row in newest_first)
    items = [FreezeOut().dump(row) for row in newest_first]
    return Answer({"items": items}, 202 if moving else 200, {"Location": where}, not moving)


def generation() -> str:
    """Which generation of OpenAI's API the settings name."""
    return govern().settings.openai.generation


def _answer(session: Session, key_id: str) -> Answer:
    return freezes_answer(list(queries.freezes_of(session, key_id)), f"/api/v1/keys/{key_id}/freezes")


@blueprint.route("/<id:key_id>/freezes")
class Freezes(MethodView):
    """Freezes."""

    @requires("keys:read")
    @blueprint.response(200, FreezesOut)
    def get(self, key_id: str) -> dict[str, Any]:
        """List when the key was frozen and thawed, the newest first."""
        scope.check_key("keys:read", queries.get(reads(), key_id))
        return {"items": list(reversed(queries.freezes_of(reads(), key_id)))}


@blueprint.route("/<id:key_id>/freeze")
class Freezing(MethodView):
    """Stop."""

    @requires("keys:revoke")
    @blueprint.arguments(FreezeIn)
    @blueprint.response(200, FreezesOut, description="Frozen; `proven_at` when OpenAI's own log shows so.")
    @blueprint.alt_response(202, schema=FreezesOut, description="OpenAI is being asked; look again at Location.", success=True)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Stop every live version of a key. Repeating it does no harm."""
        scope.check_key("keys:revoke", queries.get(reads(), key_id))
        found = generation()
        return carry_out(lambda uow: freezing.freeze_key(uow, key_id, reason=args["reason"], generation=found).id, _answer)


@blueprint.route("/<id:key_id>/thaw")
class Thawing(MethodView):
    """Go on."""

    @requires("keys:revoke")
    @blueprint.arguments(ThawIn)
    @blueprint.response(200, FreezesOut, description="It may do again exactly what it might before.")
    @blueprint.alt_response(202, schema=FreezesOut, description="OpenAI is being asked; look again at Location.", success=True)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Let a frozen key go on. What somebody else froze, only who may end anybody's key thaws."""
        scope.check_key("keys:revoke", queries.get(reads(), key_id))
        scope.check_thaw(list(queries.open_freezes(reads(), key_id)))
        restore = args.get("restore")
        return carry_out(lambda uow: freezing.thaw_key(uow, key_id, reason=args["reason"], restore=restore).id, _answer)
