"""`/keys`: credentials of people. Their values are shown once, by `/reveal`, and are in no other answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import Response, request
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.approvals import queries as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.bootstrap import key_defaults
from govern.core.errors import NotFound, PolicyViolation, Rejected
from govern.core.uow import UnitOfWork
from govern.keys import queries, reveals, rules, service
from govern.keys.models import ENDED_STATES, Key, KeyKind, KeyState, KeyVersion
from govern.people import queries as people
from govern.policies import asking
from govern.projects import queries as projects
from govern.web import scope
from govern.web.access import current_principal, govern, reads, requires
from govern.web.api import paging
from govern.web.api.acting import HEADER, Answer, carry_out, carry_out_secretly
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import Id, PageQuery, Schema, Text, Who, instant, maybe_instant, maybe_text, page_of, with_more

blueprint = ApiBlueprint("keys", "Credentials of people.")


class KeyIn(Schema):
    """A key to issue."""

    person = Who(required=True, metadata={"description": "An id or an e-mail address.", "example": "eve@acme.example"})
    project = Id(required=True, metadata={"description": "The project's id, ours or OpenAI's."})
    name = Text(1, 120, required=True, metadata={"example": "laptop"})
    expires_in_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 365))
    kind = ma.fields.Enum(KeyKind, by_value=True, load_default=KeyKind.PERSONAL)
    rotate_every_days = ma.fields.Integer(strict=True, validate=ma.validate.Range(1, 364))
    scopes = ma.fields.List(
        Text(3, 100),
        validate=ma.validate.Length(1, 50),
        metadata={"description": 'Permissions by name, or the one word "all". Without it: all that the policy allows.'},
    )
    reason = Text(3, 500, metadata={"description": "Why. With it, what is beyond the policy is asked of somebody else (202)."})


class KeyOut(Schema):
    """A key. `revoking`: cut off here, its end at OpenAI owed; `revoked`: proven absent there."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    state = ma.fields.Enum(KeyState, by_value=True, required=True)
    kind = ma.fields.Enum(KeyKind, by_value=True, required=True)
    version = ma.fields.Integer(required=True, metadata={"description": "Counts rotations, from 1."})
    rotate_every_days = ma.fields.Integer(allow_none=True)
    person = ma.fields.String(attribute="person_id", required=True)
    person_name = maybe_text()
    project = ma.fields.String(attribute="project_id", required=True)
    project_name = maybe_text()
    scopes = ma.fields.List(ma.fields.String(), required=True, metadata={"description": '["all"]: everything.'})
    redacted = ma.fields.String(allow_none=True, metadata={"description": "The value's first and last characters."})
    requested_by = ma.fields.String(required=True)
    requested_at = instant(required=True)
    issued_at = maybe_instant()
    expires_at = maybe_instant()
    revealed_at = maybe_instant()
    revoke_reason = maybe_text()
    revoke_requested_at = maybe_instant()
    ended_at = maybe_instant()
    problem = maybe_text()


class KeyAskedOut(Schema):
    """The key is beyond the policy, and somebody else was asked. Look at Location, or send the same request again later."""

    approval = ma.fields.String(required=True, metadata={"description": "The approval's id."})
    state = ma.fields.Enum(ApprovalState, by_value=True, required=True)
    beyond = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "What of it is beyond the policy."})
    approvers = ma.fields.List(ma.fields.String(), required=True, metadata={"description": "Who decides, by name."})
    expires_at = instant(required=True)
    detail = ma.fields.String(required=True, metadata={"description": "A sentence for people."})


class KeyValue(Schema):
    """The one answer that holds a key's value."""

    id = ma.fields.String(required=True)
    value = ma.fields.String(required=True)


class KeysQuery(PageQuery):
    """What to list."""

    person = Who()
    project = Id()
    state = ma.fields.Enum(KeyState, by_value=True)


class RevokeIn(Schema):
    """Why."""

    reason = Text(1, 500, load_default="Revoked over the API.")


def _fields(session: Session, rows: Sequence[Key]) -> list[dict[str, Any]]:
    versions = queries.versions(session, [row.id for row in rows])
    people_names = people.names(session, [row.person_id for row in rows])
    project_names = projects.names(session, [row.project_id for row in rows])

    def fields(row: Key) -> dict[str, Any]:
        version = versions[row.id]
        return with_more(
            KeyOut, row, person_name=people_names.get(row.person_id), project_name=project_names.get(row.project_id),
            version=version.number, redacted=version.redacted, issued_at=version.issued_at, expires_at=version.expires_at,
            revealed_at=version.revealed_at, scopes=words_of(version),
        )  # fmt: skip

    return [fields(row) for row in rows]


def words_of(version: KeyVersion) -> list[str]:
    """What the version may do, as the API says it."""
    scopes = rules.scopes_of(version)
    return [scopes] if isinstance(scopes, str) else list(scopes)


def _answer(session: Session, key: Key, status: int, *, settled: bool) -> Answer:
    body = KeyOut().dump(_fields(session, [key])[0])
    return Answer(body, status if settled else 202, {"Location": f"/api/v1/keys/{key.id}"}, settled)


def _asked(session: Session, row: Approval) -> Answer:
    """Somebody else is asked; once they said yes, the same request answers with the key."""
    if row.state is not ApprovalState.PENDING:
        why = f" {row.decision_reason}" if row.decision_reason else ""
        raise PolicyViolation(f"The key is beyond the policy, and the asking is {row.state.value}.{why}", "approval")
    named = [person.name for person in approvals.approvers(session, row.id)] or ["an administrator"]
    detail = f"Asked; waiting for approval by {', '.join(named)} until {row.expires_at:%Y-%m-%d %H:%M} UTC."
    asked = {"approval": row.id, "approvers": named, "beyond": row.facts["beyond"], "detail": detail}
    body = KeyAskedOut().dump(asked | {"state": row.state, "expires_at": row.expires_at})
    return Answer(body, 202, {"Location": f"/api/v1/approvals/{row.id}"}, settled=False, may_settle_soon=False)


def _issued(session: Session, subject_id: str) -> Answer:
    asked = session.get(Approval, subject_id)
    if asked is not None and asked.state is not ApprovalState.APPROVED:
        return _asked(session, asked)
    key_id = asked.result_id or "" if asked is not None else subject_id
    key = queries.get(session, key_id)
    if key.problem and key.state is not KeyState.LIVE:
        raise Rejected(key.problem)
    return _answer(session, key, 201, settled=key.state is not KeyState.REQUESTED)


def _ended(session: Session, key_id: str) -> Answer:
    key = queries.get(session, key_id)
    return _answer(session, key, 200, settled=key.state in ENDED_STATES)


def _visible(permission: str, key_id: str) -> Key:
    key = queries.get(reads(), key_id)
    scope.check_key(permission, key)
    return key


@blueprint.route("")
class Keys(MethodView):
    """Keys."""

    @requires("keys:read")
    @blueprint.arguments(KeysQuery, location="query")
    @blueprint.response(200, page_of(KeyOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List keys, newest first."""
        person = people.find(reads(), args["person"]) if "person" in args else None
        project = projects.find(reads(), args["project"]) if "project" in args else None
        if ("person" in args and person is None) or ("project" in args and project is None):
            return {"items": [], "next": None}
        rows = queries.find_keys(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1, person_id=person.id if person else None,
            person_ids=scope.people_within("keys:read"), project_id=project.id if project else None, state=args.get("state"),
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": _fields(reads(), items), "next": following}

    @requires("keys:issue")
    @blueprint.arguments(KeyIn)
    @blueprint.response(201, KeyOut, description="The key is live; `/reveal` shows its value once.")
    @blueprint.alt_response(
        202,
        schema={"oneOf": [KeyOut, KeyAskedOut]},
        description="It is being made, or somebody else is asked to approve it; look again at Location.",
        success=True,
    )
    def post(self, args: dict[str, Any]) -> Response:
        """Issue a key to a person in a project: at once within the policy.

        Beyond it the answer is 409, or, with a `reason`, 202: somebody else is asked, never whoever asks.
        """
        missing = f"There is no person {args['person']!r}."
        person = people.find(reads(), args["person"])
        scope.check_person("keys:issue", person.id if person else None, missing)
        if person is None:
            raise NotFound(missing)
        project = projects.get(reads(), args["project"])
        within = scope.projects_within("keys:issue")
        if within is not None and project.id not in within:
            raise NotFound(f"There is no project {args['project']!r} that you can see.")
        wish = asking.Wish(
            person.id, project.id, args["name"], args["kind"], args.get("expires_in_days"),
            rules.read_wish(args["scopes"]) if "scopes" in args else None, args.get("rotate_every_days"),
        )  # fmt: skip
        defaults, administers = key_defaults(govern().settings), current_principal().is_over_anyone("keys:issue")

        def command(uow: UnitOfWork) -> str:
            return asking.ask_for_key(uow, wish, defaults, administers=administers, reason=args.get("reason")).id

        return carry_out(command, _issued)


@blueprint.route("/<id:key_id>")
class OneKey(MethodView):
    """One key."""

    @requires("keys:read")
    @blueprint.response(200, KeyOut)
    def get(self, key_id: str) -> dict[str, Any]:
        """Show a key, never its value."""
        return _fields(reads(), [_visible("keys:read", key_id)])[0]


@blueprint.route("/<id:key_id>/reveal")
class Revealing(MethodView):
    """The value."""

    @requires("keys:reveal")
    @blueprint.response(200, KeyValue)
    @blueprint.alt_response(410, "GONE")
    def post(self, key_id: str) -> Response:
        """Show the value, once; afterwards 410.

        Sent again with the same Idempotency-Key within a few minutes it is shown again, in case the answer was lost.
        """
        _visible("keys:reveal", key_id)
        window = timedelta(minutes=govern().settings.keys.reveal_again_minutes)

        def command(uow: UnitOfWork, _again: bool) -> tuple[str, Answer]:
            value = reveals.reveal(uow, key_id, repeat_key=request.headers.get(HEADER), window=window)
            return key_id, Answer({"id": key_id, "value": value.reveal()})

        return carry_out_secretly(command)


@blueprint.route("/<id:key_id>/revoke")
class Revocation(MethodView):
    """The end."""

    @requires("keys:revoke")
    @blueprint.arguments(RevokeIn)
    @blueprint.response(200, KeyOut, description="Proven absent at OpenAI.")
    @blueprint.alt_response(202, schema=KeyOut, description="Cut off here; the proof is pending.", success=True)
    def post(self, args: dict[str, Any], key_id: str) -> Response:
        """End a key. Repeating it does no harm."""
        _visible("keys:revoke", key_id)
        return carry_out(lambda uow: service.revoke_key(uow, key_id, reason=args["reason"]).id, _ended)
