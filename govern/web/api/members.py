"""`/members`: seats in the organization, and the removal of a person."""

from __future__ import annotations

from typing import Any, Final

import marshmallow as ma
from flask import Response, jsonify
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.errors import NotFound
from govern.members import queries
from govern.members.models import Member
from govern.offboarding import queries as removals
from govern.offboarding import service as offboarding
from govern.offboarding.preview import facts, preview
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.offboardings import OffboardingOut, RemovalPreviewOut, shown
from govern.web.api.shapes import PageQuery, Schema, Text, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("members", "Seats in the organization.")


class MemberOut(Schema):
    """A seat as last seen at OpenAI."""

    id = ma.fields.String(required=True)
    remote_id = ma.fields.String(required=True, metadata={"description": "OpenAI's user id."})
    email = maybe_text()
    name = maybe_text()
    role = ma.fields.String(required=True)
    person = ma.fields.String(attribute="person_id", allow_none=True, metadata={"description": "The person's id here."})
    is_scim_managed = ma.fields.Boolean(required=True)
    added_at = instant(required=True)
    last_seen_at = instant(required=True)
    vanished_at = maybe_instant()


class PlaceOut(Schema):
    """A place in a project."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    role = ma.fields.String(required=True)


class MemberWithPlaces(MemberOut):
    """A seat, and where it stands."""

    projects = ma.fields.List(ma.fields.Nested(PlaceOut), required=True)


class MembersQuery(PageQuery):
    """What to list."""

    search = Text(1, 100, metadata={"description": "Part of the address or name, without case."})
    role = Text(1, 40)
    vanished = ma.fields.Boolean(load_default=False, metadata={"description": "Also members who are gone."})


class RemovalIn(Schema):
    """Why."""

    reason = Text(1, 500, required=True, metadata={"example": "left on 31 March"})


class RemovalQuery(Schema):
    """How."""

    dry_run = ma.fields.Boolean(load_default=False, metadata={"description": "Only say what it would do."})


PROOF_TAKES_LONGER: Final = 0.3
"""Seconds. The person is contained when the transaction commits; the proof needs listings twice, and nobody waits for it."""

_REMOVAL_OR_PREVIEW = {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("OffboardingOut", "RemovalPreviewOut")]}


@blueprint.route("")
class Members(MethodView):
    """Members."""

    @requires("members:read")
    @blueprint.arguments(MembersQuery, location="query")
    @blueprint.response(200, page_of(MemberOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List members."""
        rows = queries.find_members(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, search=args.get("search"),
            role=args.get("role"), with_vanished=args["vanished"], person_ids=scope.people_within("members:read"),
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}


@blueprint.route("/<who:member>")
class OneMember(MethodView):
    """One member."""

    @requires("members:read")
    @blueprint.response(200, MemberWithPlaces)
    def get(self, member: str) -> dict[str, Any]:
        """Show a member, by an id or an address."""
        row = _visible(member)
        places = [
            {"id": project.id, "name": project.name, "role": place.role}
            for project, place in projects.places_of(reads(), row.remote_id)
        ]
        return with_more(MemberOut, row, projects=places)


def _visible(member: str) -> Member:
    missing = f"There is no member {member!r}."
    row = queries.find_member(reads(), member)
    if row is None:
        raise NotFound(missing)
    scope.check_person("members:read", row.person_id, missing)
    return row


@blueprint.route("/<who:member>/revoke")
class Revocation(MethodView):
    """Removal."""

    @requires("members:revoke")
    @blueprint.response(200, RemovalPreviewOut)
    def get(self, member: str) -> dict[str, Any]:
        """Say what a removal would end, rotate and break. The same as a POST with `dry_run=true`."""
        _removable(member)
        return facts(preview(reads(), member, utcnow()))

    @requires("members:revoke")
    @blueprint.arguments(RemovalQuery, location="query")
    @blueprint.arguments(RemovalIn)
    @blueprint.response(
        200, _REMOVAL_OR_PREVIEW,
        description="Done: complete listings show nothing of them any more. Or, with `dry_run=true`, what it would do.",
    )  # fmt: skip
    @blueprint.alt_response(202, schema=OffboardingOut, description="Contained; the proof is pending.", success=True)
    def post(self, how: dict[str, Any], args: dict[str, Any], member: str) -> Response:
        """Remove a person: keys, service accounts, invites, places in projects and the seat, then prove it.

        Cut off here at once. Repeating it does no harm.
        """
        _removable(member)
        if how["dry_run"]:
            return jsonify(RemovalPreviewOut().dump(facts(preview(reads(), member, utcnow()))))
        return carry_out(
            lambda uow: offboarding.start(uow, member, reason=args["reason"]).id, _removal, at_most=PROOF_TAKES_LONGER
        )


def _removable(member: str) -> None:
    subject = removals.subject_of(reads(), member)
    missing = f"There is no member, person or open invite {member!r}."
    scope.check_person("members:revoke", subject.person.id if subject.person else None, missing)


def _removal(session: Session, removal_id: str) -> Answer:
    return shown(removals.get(session, removal_id))
