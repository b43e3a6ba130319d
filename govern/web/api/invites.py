"""`/invites`: seats offered."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import sqlalchemy as sa
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.errors import Rejected
from govern.members import queries, service
from govern.members.models import Invite, InviteState
from govern.projects.models import Project
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("invites", "Seats offered.")

_WAITING = (InviteState.REQUESTED, InviteState.CANCELLING)


class GrantIn(Schema):
    """A place in a project that comes with the seat."""

    id = Id(required=True, metadata={"description": "The project's id, ours or OpenAI's."})
    role = ma.fields.String(load_default="member", validate=ma.validate.OneOf(("member", "owner")))


class InviteIn(Schema):
    """A seat to offer."""

    email = Text(3, 320, required=True, metadata={"example": "eve@acme.example"})
    role = ma.fields.String(load_default="reader", validate=ma.validate.OneOf(("reader", "owner")))
    projects = ma.fields.List(ma.fields.Nested(GrantIn), load_default=list, validate=ma.validate.Length(max=200))


class GrantOut(Schema):
    """A place that comes with the seat; `name` where we know the project."""

    id = ma.fields.String(required=True)
    name = maybe_text()
    role = ma.fields.String(required=True)


class InviteOut(Schema):
    """An invite. `requested`: owed; `pending`: at OpenAI, unanswered; `refused`: OpenAI said no."""

    id = ma.fields.String(required=True)
    remote_id = ma.fields.String(allow_none=True, metadata={"description": "OpenAI's id."})
    email = ma.fields.String(required=True)
    role = ma.fields.String(required=True)
    projects = ma.fields.List(ma.fields.Nested(GrantOut), required=True)
    state = ma.fields.Enum(InviteState, by_value=True, required=True)
    problem = maybe_text()
    created_at = instant(required=True)
    expires_at = maybe_instant()
    settled_at = maybe_instant()


class InvitesQuery(PageQuery):
    """What to list."""

    state = ma.fields.Enum(InviteState, by_value=True)


def _fields(session: Session, rows: list[Invite]) -> list[dict[str, Any]]:
    remote_ids = {place["id"] for row in rows for place in row.projects}
    found = session.scalars(sa.select(Project).where(Project.remote_id.in_(remote_ids))) if remote_ids else ()
    known = {project.remote_id: project for project in found}

    def places(row: Invite) -> list[dict[str, Any]]:
        pairs = [(place, known.get(place["id"])) for place in row.projects]
        return [
            {"id": project.id if project else place["id"], "name": project.name if project else None, "role": place["role"]}
            for place, project in pairs
        ]

    return [with_more(InviteOut, row, projects=places(row)) for row in rows]


def _answer(status: int) -> Any:
    def answer(session: Session, invite_id: str) -> Answer:
        row = queries.get_invite(session, invite_id)
        location = {"Location": f"/api/v1/invites/{row.id}"}
        if row.state is InviteState.REFUSED:
            raise Rejected(row.problem or "OpenAI refused the invite.")
        settled = row.state not in _WAITING
        return Answer(InviteOut().dump(_fields(session, [row])[0]), status if settled else 202, location, settled)

    return answer


@blueprint.route("")
class Invites(MethodView):
    """Invites."""

    @requires("members:read")
    @blueprint.arguments(InvitesQuery, location="query")
    @blueprint.response(200, page_of(InviteOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List invites, newest first."""
        scope.check_anyone("members:read")
        rows = queries.find_invites(
            reads(), before=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, state=args.get("state")
        )
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}

    @requires("members:invite")
    @blueprint.arguments(InviteIn)
    @blueprint.response(201, InviteOut, description="OpenAI holds the invite.")
    @blueprint.alt_response(202, schema=InviteOut, description="It will be sent; look again at Location.", success=True)
    def post(self, args: dict[str, Any]) -> Response:
        """Offer a seat in the organization, with places in projects."""
        scope.check_anyone("members:invite")
        grants = [(place["id"], place["role"]) for place in args["projects"]]
        return carry_out(lambda uow: service.invite(uow, args["email"], args["role"], grants).id, _answer(201))


@blueprint.route("/<id:invite_id>")
class OneInvite(MethodView):
    """One invite."""

    @requires("members:read")
    @blueprint.response(200, InviteOut)
    def get(self, invite_id: str) -> dict[str, Any]:
        """Show an invite."""
        scope.check_anyone("members:read")
        return _fields(reads(), [queries.get_invite(reads(), invite_id)])[0]


@blueprint.route("/<id:invite_id>/cancel")
class Cancellation(MethodView):
    """Taking back."""

    @requires("members:invite")
    @blueprint.response(200, InviteOut)
    @blueprint.alt_response(202, schema=InviteOut, description="It is being cancelled.", success=True)
    def post(self, invite_id: str) -> Response:
        """Take an invite back. Repeating it does no harm."""
        scope.check_anyone("members:invite")
        return carry_out(lambda uow: service.cancel_invite(uow, invite_id).id, _answer(200))


@blueprint.route("/<id:invite_id>/resend")
class Resending(MethodView):
    """Sending again."""

    @requires("members:invite")
    @blueprint.response(200, InviteOut)
    @blueprint.alt_response(202, schema=InviteOut, description="It is being sent again.", success=True)
    def post(self, invite_id: str) -> Response:
        """Send an invite again: the old one is cancelled and a new one made, because OpenAI has no re-send."""
        scope.check_anyone("members:invite")
        return carry_out(lambda uow: service.resend_invite(uow, invite_id).id, _answer(200))
