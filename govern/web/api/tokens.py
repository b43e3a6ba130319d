"""`/tokens`: bearer tokens for programs. A value is in the answer that makes it, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import marshmallow as ma
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.errors import Gone, InvalidInput, NotFound
from govern.core.uow import ActorKind, UnitOfWork
from govern.identity import queries, tokens
from govern.identity.models import ApiToken
from govern.identity.permissions import PERMISSIONS, Role, grants_of
from govern.identity.principals import Principal
from govern.people import queries as people
from govern.web import scope
from govern.web.access import current_principal, reads, requires
from govern.web.api import paging
from govern.web.api.acting import Answer, carry_out, carry_out_secretly
from govern.web.api.blueprint import ApiBlueprint
from govern.web.api.shapes import PageQuery, Schema, Text, Who, instant, maybe_instant, maybe_text, page_of

blueprint = ApiBlueprint("tokens", "Bearer tokens for programs.")

_USUAL: Final = timedelta(days=90)


class TokenIn(Schema):
    """A token to make: with these permissions, or with all that a role has. It never does more than its maker may."""

    name = Text(1, 120, required=True, metadata={"example": "nightly report"})
    permissions = ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf(tuple(PERMISSIONS))), validate=ma.validate.Length(1, len(PERMISSIONS))
    )
    role = ma.fields.Enum(Role, by_value=True)
    expires_in_days = ma.fields.Integer(
        strict=True, validate=ma.validate.Range(1, 365), metadata={"description": "Without it 90, or what its maker has left."}
    )
    person = Who(metadata={"description": "For whom it acts; without it for whoever makes it."})
    system = ma.fields.Boolean(load_default=False, metadata={"description": "It acts for nobody in particular, over everybody."})


class TokenOut(Schema):
    """A token, without its value."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    prefix = ma.fields.String(required=True, metadata={"description": "How its value begins."})
    person = ma.fields.String(attribute="person_id", allow_none=True, metadata={"description": "null: the system."})
    permissions = ma.fields.List(ma.fields.String(), required=True)
    created_at = instant(required=True)
    expires_at = instant(required=True)
    last_used_at = maybe_instant()
    revoked_at = maybe_instant()
    revoked_by = maybe_text()


class TokenWithValue(TokenOut):
    """The one answer that holds a token's value."""

    value = ma.fields.String(required=True)


@blueprint.route("")
class Tokens(MethodView):
    """Tokens."""

    @requires("tokens:read")
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, page_of(TokenOut))
    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """List tokens, newest first."""
        rows = queries.find_tokens(
            reads(), after=paging.after_id(args.get("cursor")), limit=args["limit"] + 1,
            person_ids=scope.people_within("tokens:read"),
        )  # fmt: skip
        items, following = paging.page(rows, args["limit"], lambda row: row.id)
        return {"items": items, "next": following}

    @requires("tokens:write")
    @blueprint.arguments(TokenIn)
    @blueprint.response(201, TokenWithValue)
    @blueprint.alt_response(410, "GONE")
    def post(self, args: dict[str, Any]) -> Response:
        """Make a token. Its value is shown now and never again."""
        if ("permissions" in args) == ("role" in args):
            raise InvalidInput("Name either permissions or a role.", {"permissions": "Name either permissions or a role."})
        maker, person_id = current_principal(), _for_whom(args)
        scope.check_person("tokens:write", person_id, "There is no such person.")
        words = args.get("permissions") or sorted(grants_of([args["role"].value]))
        lifetime = _lifetime(args.get("expires_in_days"), maker)

        def command(uow: UnitOfWork, again: bool) -> tuple[str, Answer]:
            if again:
                raise Gone(
                    "This request made a token before; its value was shown then and is not kept. Revoke it and make another."
                )
            token, value = tokens.create_token(
                uow, maker, name=args["name"], permissions=words, lifetime=lifetime, person_id=person_id
            )
            body = TokenOut().dump(token) | {"value": value.reveal()}
            return token.id, Answer(body, 201, {"Location": f"/api/v1/tokens/{token.id}"})

        return carry_out_secretly(command)


def _lifetime(days: int | None, maker: Principal) -> timedelta:
    if days is not None:
        return timedelta(days=days)
    # A token cannot outlive the token that makes it; a minute is kept back, so that the clock cannot decide.
    left = maker.expires_at - utcnow() - timedelta(minutes=1) if maker.kind is ActorKind.TOKEN and maker.expires_at else _USUAL
    return max(min(_USUAL, left), timedelta(seconds=1))


def _for_whom(args: dict[str, Any]) -> str | None:
    if args["system"]:
        if "person" in args:
            raise InvalidInput("A token acts for a person or for the system.", {"person": "Leave it out for a system token."})
        return None
    if "person" not in args:
        return current_principal().person_id
    person = people.find(reads(), args["person"])
    if person is None:
        raise NotFound("There is no such person.")
    return person.id


def _visible(permission: str, token_id: str) -> ApiToken:
    token = queries.get_token(reads(), token_id)
    scope.check_person(permission, token.person_id, f"There is no token {token_id!r}.")
    return token


@blueprint.route("/<id:token_id>")
class OneToken(MethodView):
    """One token."""

    @requires("tokens:read")
    @blueprint.response(200, TokenOut)
    def get(self, token_id: str) -> ApiToken:
        """Show a token, never its value."""
        return _visible("tokens:read", token_id)


@blueprint.route("/<id:token_id>/revoke")
class Revocation(MethodView):
    """The end."""

    @requires("tokens:write")
    @blueprint.response(200, TokenOut)
    def post(self, token_id: str) -> Response:
        """End a token, and those that it made, at once. Repeating it does no harm."""
        _visible("tokens:write", token_id)
        return carry_out(lambda uow: tokens.revoke_token(uow, token_id).id, _ended)


def _ended(session: Session, token_id: str) -> Answer:
    return Answer(TokenOut().dump(queries.get_token(session, token_id)))
