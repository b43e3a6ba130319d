"""`/observed-keys`: every project key that OpenAI lists, ours or not; any of them can be frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.errors import Conflict
from govern.core.uow import UnitOfWork
from govern.keys import freezing, queries
from govern.keys.models import FreezeState, ObservedKey
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.freezes import FreezeIn, FreezesOut, ThawIn, freezes_answer, generation
from govern.web.api.shapes import Id, PageQuery, Schema, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("observed-keys", "Every project key that OpenAI lists, ours or not.")


class ObservedKeyOut(Schema):
    """A key as OpenAI lists it. `version`: the version of ours that it is, where we issued it."""

    id = ma.fields.String(required=True)
    native = ma.fields.String(attribute="remote_id", required=True, metadata={"description": "OpenAI's id of the key."})
    name = ma.fields.String(required=True)
    redacted = ma.fields.String(required=True)
    project = ma.fields.String(attribute="project_id", required=True)
    project_name = maybe_text()
    version = ma.fields.String(attribute="version_id", allow_none=True)
    owner_kind = ma.fields.String(required=True)
    owner = ma.fields.String(attribute="owner_remote_id", allow_none=True)
    owner_name = maybe_text()
    access = ma.fields.String(required=True)
    frozen = ma.fields.Enum(FreezeState, by_value=True, allow_none=True)
    created_at = instant(required=True)
    last_used_at = maybe_instant()
    expires_at = maybe_instant()
    first_seen_at = instant(required=True)
    last_seen_at = instant(required=True)
    vanished_at = maybe_instant()


class ObservedKeysQuery(PageQuery):
    """What to list."""

    owner = Id(metadata={"description": "OpenAI's id of the user or service account."})


def _fields(session: Session, rows: Sequence[ObservedKey]) -> list[dict[str, Any]]:
    names = projects.names(session, [row.project_id for row in rows])
    frozen = queries.frozen_natives(session, [row.remote_id for row in rows])
    return [
        with_more(ObservedKeyOut, row, project_name=names.get(row.project_id), frozen=frozen.get(row.remote_id)) for row in rows
    ]


def _answer(session: Session, observed_id: str) -> Answer:
    observed = queries.observed_key(session, observed_id)
    rows = list(queries.freezes_of_native(session, observed.remote_id))
    return freezes_answer(rows, f"/api/v1/observed-keys/{observed.id}")


@blueprint.route("")
class ObservedKeys(MethodView):
    """Keys at OpenAI."""

    @requires("keys:read")
    @blueprint.arguments(ObservedKeysQuery, location="query")
    @blueprint.response(200, page_of(ObservedKeyOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List the keys that OpenAI listed last."""
        scope.check_anyone("keys:read")
        rows = queries.observed_keys(
            reads(), owner_remote_id=args.get("owner"), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1
        )
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}


@blueprint.route("/<id:observed_id>")
class OneObservedKey(MethodView):
    """One of them."""

    @requires("keys:read")
    @blueprint.response(200, ObservedKeyOut)
    def get(self, observed_id: str) -> dict[str, Any]:
        """Show a key that OpenAI lists, by our id or OpenAI's."""
        scope.check_anyone("keys:read")
        return _fields(reads(), [queries.observed_key(reads(), observed_id)])[0]


@blueprint.route("/<id:observed_id>/freeze")
class Freezing(MethodView):
    """Stop."""

    @requires("keys:revoke")
    @blueprint.arguments(FreezeIn)
    @blueprint.response(200, FreezesOut, description="Frozen; `proven_at` when OpenAI's own log shows so.")
    @blueprint.alt_response(202, schema=FreezesOut, description="OpenAI is being asked; look again at Location.", success=True)
    def post(self, args: dict[str, Any], observed_id: str) -> Response:
        """Stop a key, also one that we did not issue. Repeating it does no harm."""
        scope.check_anyone("keys:revoke")
        found, row_id = generation(), queries.observed_key(reads(), observed_id).id

        def command(uow: UnitOfWork) -> str:
            freezing.freeze_observed(uow, row_id, reason=args["reason"], generation=found)
            return row_id

        return carry_out(command, _answer)


@blueprint.route("/<id:observed_id>/thaw")
class Thawing(MethodView):
    """Go on."""

    @requires("keys:revoke")
    @blueprint.arguments(ThawIn)
    @blueprint.response(200, FreezesOut, description="It may do again exactly what it might before.")
    @blueprint.alt_response(202, schema=FreezesOut, description="OpenAI is being asked; look again at Location.", success=True)
    def post(self, args: dict[str, Any], observed_id: str) -> Response:
        """Let a frozen key go on."""
        scope.check_anyone("keys:revoke")
        observed = queries.observed_key(reads(), observed_id)
        row_id, lasting = observed.id, queries.open_freeze(reads(), observed.remote_id)
        if lasting is None:
            raise Conflict("The key is not frozen.")
        freeze_id = lasting.id

        def command(uow: UnitOfWork) -> str:
            freezing.thaw(uow, freeze_id, reason=args["reason"], restore=args.get("restore"))
            return row_id

        return carry_out(command, _answer)
