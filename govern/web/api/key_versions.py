"""What becomes of a key in the course of its life: versions, rotation (of one, of many), and who may open a shared one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.bootstrap import key_defaults
from govern.core.errors import NotFound
from govern.core.uow import UnitOfWork
from govern.keys import queries, rotation, sharing
from govern.keys.models import KeyState
from govern.people import queries as people
from govern.policies import renewing
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.api.acting import Answer, carry_out
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, Schema, Text, Who, instant, maybe_instant, maybe_text

blueprint = ApiBlueprint("key_versions", "Versions of a key, their rotation, and who may open a shared one.", under="keys")
rotations = ApiBlueprint("key-rotations", "Rotation of several keys at once.")


class VersionOut(Schema):
    """One native credential of a key. `retire_at`: it ends then, or as soon as its successor is seen in use."""

    id = ma.fields.String(required=True)
    number = ma.fields.Integer(required=True)
    state = ma.fields.Enum(KeyState, by_value=True, required=True)
    redacted = maybe_text()
    created_at = instant(required=True)
    issued_at = maybe_instant()
    expires_at = maybe_instant()
    revealed_at = maybe_instant()
    seen_in_use_at = maybe_instant()
    retire_at = maybe_instant()
    ended_at = maybe_instant()
    reason = maybe_text()


class VersionsOut(Schema):
    """A key's versions, the newest first; there are few, so they come at once."""

    items = ma.fields.List(ma.fields.Nested(VersionOut), required=True)


class RotateIn(Schema):
    """Why, and for how many hours the old version works on at most (setting keys.overlap_hours)."""

    reason = Text(1, 500, load_default="Rotated over the API.")
    overlap_hours = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 720))


class RenewIn(Schema):
    """For how long, and for how many hours the old version works on at most (setting keys.overlap_hours)."""

    expires_in_days = ma.fields.Integer(
        strict=True,
        validate=ma.validate.Range(1, 365),
        metadata={"description": "Without it as long as the old version, or as long as the policy allows."},
    )
    overlap_hours = ma.fields.Integer(strict=True, validate=ma.validate.Range(0, 720))


class RotationsIn(RotateIn):
    """Several keys at once."""

    keys = ma.fields.List(Id(), required=True, validate=ma.validate.Length(1, 500))


class RotationOut(Schema):
    """What became of one key: rotating, or why not."""

    key = ma.fields.String(required=True)
    rotating = ma.fields.Boolean(required=True)
    problem = maybe_text()


class RotationsOut(Schema):
    """An outcome per key."""

    items = ma.fields.List(ma.fields.Nested(RotationOut), required=True)


class PersonIn(Schema):
    """Whom."""

    person = Who(required=True, metadata={"description": "An id or an e-mail address.", "example": "eve@acme.example"})


class EntitledOut(Schema):
    """Who may open a shared key: its owner and these people."""

    owner = ma.fields.String(required=True)
    people = ma.fields.List(ma.fields.String(), required=True)


def _visible(permission: str, key_id: str) -> str:
    key = queries.get(reads(), key_id)
    scope.check_key(permission, key)
    return key.id


def _person(args: dict[str, Any]) -> str:
    person = people.find(reads(), args["person"])
    if person is None:
        raise NotFound(f"There is no person {args['person']!r}.")
    return person.id


def standing_overlap() -> timedelta:
    """How long an old version works on where nothing else is said."""
    return timedelta(hours=govern().settings.keys.overlap_hours)


def _overlap(args: dict[str, Any]) -> timedelta:
    return timedelta(hours=args["overlap_hours"]) if "overlap_hours" in args else standing_overlap()


def _versions(session: Session, key_id: str) -> Answer:
    newest = queries.newest_version(session, key_id)
    items = [VersionOut().dump(version) for version in reversed(queries.versions_of(session, key_id))]
    settled = newest.state is not KeyState.REQUESTED
    return Answer({"items": items}, 200 if settled else 202, {"Location": f"/api/v1/keys/{key_id}/versions"}, settled)


def _entitled(session: Session, key_id: str) -> Answer:
    key = queries.get(session, key_id)
    return Answer({"owner": key.person_id, "people": list(queries.entitled_people(session, key_id))})


@blueprint.route("/<id:key_id>/versions")
class Versions(MethodView):
    """Versions."""

    @requires("keys:read")
    @blueprint.response(200, VersionsOut)
    def get(self, key_id: str) -> dict[str, Any]:
        """List a key's versions, the newest first."""
        return {"items": list(reversed(queries.versions_of(reads(), _visible("keys:read", key_id))))}


@blueprint.route("/<id:key_id>/rotate")
class Rotation(MethodView):
    """A new version in the old one's place."""

    @requires("keys:issue")
    @blueprint.arguments(RotateIn)
    @blueprint.response(200, VersionsOut, description="The new version is there; `/reveal` shows its value once.")
    @blueprint.alt_response(202, schema=VersionsOut, description="It is being made; look again at Location.", success=True)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Rotate a key: the old version works on until the new one is seen in use or the overlap is over."""
        _visible("keys:issue", key_id)
        return carry_out(lambda uow: rotation.rotate(uow, key_id, reason=args["reason"], overlap=_overlap(args)).id, _versions)


@blueprint.route("/<id:key_id>/renew")
class Renewal(MethodView):
    """A new term."""

    @requires("keys:issue")
    @blueprint.arguments(RenewIn)
    @blueprint.response(200, VersionsOut, description="The new version is there; `/reveal` shows its value once.")
    @blueprint.alt_response(202, schema=VersionsOut, description="It is being made; look again at Location.", success=True)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Renew a key: a new version with a new term, within the policy that holds for a new key.

        There are no more reminders of the old term.
        """
        _visible("keys:issue", key_id)
        defaults, administers = key_defaults(govern().settings), current_principal().is_over_anyone("keys:issue")

        def command(uow: UnitOfWork) -> str:
            days, overlap = args.get("expires_in_days"), _overlap(args)
            return renewing.renew(uow, key_id, defaults, administers=administers, overlap=overlap, days=days).id

        return carry_out(command, _versions)


@blueprint.route("/<id:key_id>/entitlements")
class Entitlements(MethodView):
    """Who may open it."""

    @requires("keys:read")
    @blueprint.response(200, EntitledOut)
    def get(self, key_id: str) -> Any:
        """Who may open a shared key."""
        return _entitled(reads(), _visible("keys:read", key_id)).body

    @requires("keys:issue")
    @blueprint.arguments(PersonIn)
    @blueprint.response(200, EntitledOut)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Let a person open a shared key. Repeating it changes nothing."""
        _visible("keys:issue", key_id)
        person_id = _person(args)
        return carry_out(lambda uow: sharing.entitle(uow, key_id, person_id).id, _entitled)


@blueprint.route("/<id:key_id>/entitlements/revoke")
class Disentitlement(MethodView):
    """And who no longer."""

    @requires("keys:issue")
    @blueprint.arguments(PersonIn)
    @blueprint.response(200, EntitledOut)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Take it back. What they have seen they know: rotate the key if that matters."""
        _visible("keys:issue", key_id)
        person_id = _person(args)
        return carry_out(lambda uow: sharing.disentitle(uow, key_id, person_id).id, _entitled)


@blueprint.route("/<id:key_id>/owner")
class Owner(MethodView):
    """Whose it is."""

    @requires("keys:issue")
    @blueprint.arguments(PersonIn)
    @blueprint.response(200, EntitledOut)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """Give a shared key another owner."""
        scope.check_anyone("keys:issue")
        _visible("keys:issue", key_id)
        person_id = _person(args)
        return carry_out(lambda uow: sharing.hand_over(uow, key_id, person_id).id, _entitled)


@rotations.route("")
class Rotations(MethodView):
    """Many at once."""

    @requires("keys:issue")
    @rotations.arguments(RotationsIn)
    @rotations.response(200, RotationsOut)
    def post(self, args: dict[str, Any]) -> Response:
        """Rotate several keys. One that cannot be rotated does not stop the others."""
        scope.check_anyone("keys:issue")
        outcomes: dict[str, str | None] = {}

        def command(uow: UnitOfWork) -> str:
            outcomes.update(rotation.rotate_many(uow, args["keys"], reason=args["reason"], overlap=_overlap(args)))
            return "rotations"

        def answer(_session: Session, _subject: str) -> Answer:
            items = [{"key": key, "rotating": problem is None, "problem": problem} for key, problem in outcomes.items()]
            return Answer({"items": items})

        return carry_out(command, answer)
