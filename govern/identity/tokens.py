"""Commands on API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.crypto import Secret, new_token
from govern.core.errors import InvalidInput, NotAllowed
from govern.core.uow import ActorKind, UnitOfWork
from govern.identity import queries, rules
from govern.identity.models import ApiToken
from govern.identity.permissions import PERMISSIONS, Reach, Role, grants_of
from govern.identity.principals import Principal
from govern.people import queries as people


def create_token(
    uow: UnitOfWork,
    maker: Principal,
    *,
    name: str,
    permissions: Sequence[str],
    lifetime: timedelta,
    person_id: str | None,
) -> tuple[ApiToken, Secret]:
    """A token that acts for the person, or for the system where `person_id` is None; its value is never shown again.

    It can never do more than its maker: not now, and not later, because what it may do is measured at each use.
    Raises InvalidInput, NotAllowed, NotFound.
    """
    parent_id = None
    if maker.kind is ActorKind.TOKEN:
        parent = queries.get_token(uow.session, maker.id)
        if parent.parent_id is not None:
            raise NotAllowed("A token that was made by a token makes none.")
        parent_id = parent.id
        if parent.expires_at < uow.now + lifetime:
            raise InvalidInput(
                "A token cannot outlive the one that makes it.",
                {"expires_in_days": f"The token in use ends at {parent.expires_at:%Y-%m-%d %H:%M} UTC."},
            )
    for permission in permissions:
        if permission not in PERMISSIONS:
            raise InvalidInput(
                f"There is no permission {permission!r}.", {"permissions": f"Choose from {', '.join(PERMISSIONS)}."}
            )
        reach = maker.reach(permission)
        if person_id != maker.person_id and reach is not Reach.ANYONE:
            raise NotAllowed(f"You hold {permission} over some people only, so you cannot give it to others.")
    if person_id is not None:
        people.get(uow.session, person_id)
    maker_id = maker.person_id if maker.person_id != person_id else None
    return _make(
        uow, name=name, permissions=permissions, lifetime=lifetime, person_id=person_id, maker_id=maker_id, parent_id=parent_id
    )


def create_system_token(uow: UnitOfWork, *, name: str, role: Role, lifetime: timedelta) -> tuple[ApiToken, Secret]:
    """A token for the system with all that a role may do, made on the host (`govern token create`, the demo)."""
    return _make(
        uow, name=name, permissions=sorted(grants_of([role])), lifetime=lifetime, person_id=None, maker_id=None, parent_id=None
    )


def _make(
    uow: UnitOfWork,
    *,
    name: str,
    permissions: Sequence[str],
    lifetime: timedelta,
    person_id: str | None,
    maker_id: str | None,
    parent_id: str | None,
) -> tuple[ApiToken, Secret]:
    name = name.strip()
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InvalidInput("A token needs a name of 1 to 120 characters.", {"name": "Write 1 to 120 printable characters."})
    if not permissions:
        raise InvalidInput("A token needs at least one permission.", {"permissions": f"Choose from {', '.join(PERMISSIONS)}."})
    if not timedelta(seconds=1) <= lifetime <= rules.LONGEST_TOKEN:
        raise InvalidInput("A token lives between 1 and 365 days.", {"expires_in_days": "Choose 1 to 365."})
    value = new_token()
    token = ApiToken(
        id=uow.new_id("tok"), hash=uow.box.fingerprint("token", value.reveal()), prefix=value.reveal()[:10], name=name,
        person_id=person_id, maker_id=maker_id, parent_id=parent_id, permissions=sorted(set(permissions)),
        created_at=uow.now, expires_at=uow.now + lifetime,
    )  # fmt: skip
    uow.session.add(token)
    uow.session.flush()
    audit.record(
        uow, "token.created", token, name=name, person=person_id, permissions=token.permissions, expires_at=token.expires_at
    )
    return token, value


def revoke_token(uow: UnitOfWork, token_id: str, *, reason: str | None = None) -> ApiToken:
    """End the token and those that it made. Repeating it changes nothing. Raises NotFound."""
    token = queries.get_token(uow.session, token_id)
    open_ones = sa.select(ApiToken).where(
        sa.or_(ApiToken.id == token_id, ApiToken.parent_id == token_id), ApiToken.revoked_at.is_(None)
    )
    for row in uow.session.scalars(open_ones):
        row.revoked_at, row.revoked_by = uow.now, uow.actor.id
        audit.record(uow, "token.revoked", row, reason=reason)
    return token


def note_use(uow: UnitOfWork, token_id: str) -> None:
    """Note when the token was last used. Doors call it at most once in `rules.TOUCH_EVERY`."""
    uow.session.execute(sa.update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=uow.now))
