"""`/members/{id-or-email}/suspend` and `/resume`: the gentler verb, which gives everything back."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.keys.models import FreezeState
from govern.offboarding import queries as removals
from govern.offboarding import suspending
from govern.offboarding.models import KeyFate, SuspensionState
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Schema, Text, instant, maybe_instant, maybe_text

blueprint = ApiBlueprint("suspensions", "Cutting a person off for a while.", under="members")


class SuspendIn(Schema):
    """Why, and what becomes of their keys."""

    reason = Text(1, 500, required=True, metadata={"example": "on leave until June"})
    keys = ma.fields.Enum(
        KeyFate, by_value=True, load_default=KeyFate.FREEZE,
        metadata={"description": "freeze: given back at the return. revoke, leave: where OpenAI's API cannot narrow keys."},
    )  # fmt: skip


class ResumeIn(Schema):
    """Why."""

    reason = Text(1, 500, required=True, metadata={"example": "back from leave"})


class SuspensionOut(Schema):
    """A suspension. `freezes` counts the keys that it froze by how they stand now; `remains` says what it does not stop."""

    id = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    person = ma.fields.String(required=True)
    state = ma.fields.Enum(SuspensionState, by_value=True, required=True)
    keys = ma.fields.Enum(KeyFate, by_value=True, required=True)
    reason = ma.fields.String(required=True)
    started_by = ma.fields.String(required=True)
    started_at = instant(required=True)
    ended_by = maybe_text()
    ended_at = maybe_instant()
    end_reason = maybe_text()
    freezes = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), required=True)
    revoked = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Ids of keys; not given back."})
    remains = ma.fields.List(ma.fields.String(), required=True)


class SuspensionPreviewOut(Schema):
    """What a suspension would do. Nothing was done."""

    email = ma.fields.String(required=True)
    freezes = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Names of keys that we issued."})
    freezes_own = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Names of keys that they made."})
    withdraws = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Keys that are only promised."})
    remains = ma.fields.List(ma.fields.String(), required=True)
    refused = ma.fields.String(required=True, allow_none=True, metadata={"description": "Why it may not be done."})


@blueprint.route("/<who:member>/suspend")
class Suspend(MethodView):
    """Suspension."""

    @requires("members:suspend")
    @blueprint.response(200, SuspensionPreviewOut)
    def get(self, member: str) -> dict[str, Any]:
        """Say what a suspension would stop, and what it could not."""
        _visible(member)
        generation, actor_id = govern().settings.openai.generation, current_principal().actor_id
        return suspending.foreseen(suspending.preview(reads(), member, actor_id=actor_id, generation=generation))

    @requires("members:suspend")
    @blueprint.arguments(SuspendIn)
    @blueprint.response(200, SuspensionOut, description="Suspended, and every key frozen.")
    @blueprint.alt_response(202, schema=SuspensionOut, description="Suspended; keys are still being frozen.", success=True)
    def post(self, args: dict[str, Any], member: str) -> Response:
        """Suspend a person: sign-ins, tokens and devices end at once, their keys are frozen. Repeating it does no harm."""
        _visible(member)
        generation = govern().settings.openai.generation
        return carry_out(
            lambda uow: suspending.suspend(uow, member, reason=args["reason"], generation=generation, fate=args["keys"]).id,
            _shown,
        )


@blueprint.route("/<who:member>/resume")
class Resume(MethodView):
    """The return."""

    @requires("members:suspend")
    @blueprint.arguments(ResumeIn)
    @blueprint.response(200, SuspensionOut, description="Resumed, and every key as it was.")
    @blueprint.alt_response(202, schema=SuspensionOut, description="Resumed; keys are still being thawed.", success=True)
    def post(self, args: dict[str, Any], member: str) -> Response:
        """Give everything back: sign-in, and exactly the keys that the suspension froze. Repeating it does no harm."""
        _visible(member)
        return carry_out(lambda uow: suspending.resume(uow, member, reason=args["reason"]).id, _shown)


def _visible(member: str) -> None:
    subject = removals.subject_of(reads(), member)
    missing = f"There is no member, person or open invite {member!r}."
    scope.check_person("members:suspend", subject.person.id if subject.person else None, missing)


def _shown(session: Session, suspension_id: str) -> Answer:
    row = removals.get_suspension(session, suspension_id)
    counts = suspending.standing(session, row)
    under_way = FreezeState.FREEZING if row.state is SuspensionState.SUSPENDED else FreezeState.THAWING
    settled = counts[under_way] == 0
    return Answer(SuspensionOut().dump(suspending.facts(row, session)), 200 if settled else 202, settled=settled)
