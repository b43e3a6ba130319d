"""Reads of identity: who stands behind a cookie or a token, over whom they reach, what sessions and tokens there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session as Database
from sqlalchemy.orm import undefer

from govern.core.crypto import CannotOpen, Place, Secret, SecretBox, looks_like_token
from govern.core.errors import NotFound
from govern.core.uow import ActorKind
from govern.identity import rules
from govern.identity.models import ApiToken, Device, DeviceToken, Session, Standing
from govern.identity.permissions import Grants, Reach, grants_of, listed, narrow, on_device
from govern.identity.principals import Principal
from govern.people.models import Assignment, Person, PersonState

SESSION_PREFIX = "govs"
ACCESS_PREFIX = "govd"
REFRESH_PREFIX = "govr"


def principal_of_session(session: Database, box: SecretBox, cookie: str, now: datetime) -> tuple[Principal, Session] | None:
    """Who is signed in with this cookie, and the session's row; None when it does not count (any more)."""
    if not looks_like_token(cookie, SESSION_PREFIX):
        return None
    query = (
        sa.select(Session, Person, Standing)
        .join(Person, Person.id == Session.person_id)
        .outerjoin(Standing, Standing.person_id == Person.id)
        .where(Session.hash == box.fingerprint("session", cookie))
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    found, person, standing = row
    over = rules.is_over(created_at=found.created_at, seen_at=found.seen_at, ended_at=found.ended_at, now=now)
    if over or person.state is not PersonState.ACTIVE:
        return None
    grants = narrow(grants_of(found.roles), grants_of(standing.roles if standing else ()))
    principal = Principal(
        kind=ActorKind.PERSON, id=found.id, label=person.name, person_id=person.id, person_name=person.name,
        person_email=person.email, roles=tuple(found.roles), grants=grants, auth_at=found.auth_at,
        expires_at=min(found.created_at + rules.ABSOLUTE, found.seen_at + rules.IDLE), issuer=found.issuer,
    )  # fmt: skip
    return principal, found


def principal_of_token(session: Database, box: SecretBox, value: str, now: datetime) -> tuple[Principal, ApiToken] | None:
    """Whom this bearer token stands for, and its row; None when it is not good. Noise never reaches the database."""
    if not looks_like_token(value):
        return None
    token = session.scalars(sa.select(ApiToken).where(ApiToken.hash == box.fingerprint("token", value))).one_or_none()
    if token is None or not _is_good(token, now):
        return None
    grants: Grants = listed(token.permissions)
    owner: Person | None = None
    for person_id in {token.person_id, token.maker_id} - {None}:
        person = session.get_one(Person, person_id)
        if person.state is not PersonState.ACTIVE:
            return None
        owner = person if person_id == token.person_id else owner
        grants = narrow(grants, standing_grants(session, person.id, widened=person_id != token.person_id))
    if token.parent_id is not None:
        parent = session.get_one(ApiToken, token.parent_id)
        if not _is_good(parent, now):
            return None
        grants = narrow(grants, listed(parent.permissions))
    label = f"{token.name} ({owner.name})" if owner else token.name
    principal = Principal(
        kind=ActorKind.TOKEN, id=token.id, label=label[:200], person_id=token.person_id,
        person_name=owner.name if owner else None, person_email=owner.email if owner else None, roles=(),
        grants=grants, expires_at=token.expires_at,
    )  # fmt: skip
    return principal, token


def principal_of_device(session: Database, box: SecretBox, value: str, now: datetime) -> tuple[Principal, Device] | None:
    """For whom this access token of a device acts, and the device's row; None when it is not good."""
    if not looks_like_token(value, ACCESS_PREFIX):
        return None
    query = (
        sa.select(DeviceToken, Device, Person)
        .join(Device, Device.id == DeviceToken.device_id)
        .join(Person, Person.id == Device.person_id)
        .where(DeviceToken.hash == box.fingerprint("device", value), DeviceToken.refreshes.is_(False))
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    token, device, person = row
    if not is_token_good(token, device, now) or person.state is not PersonState.ACTIVE:
        return None
    grants = narrow(on_device(token.permissions), standing_grants(session, person.id))
    principal = Principal(
        kind=ActorKind.DEVICE, id=device.id, label=f"{person.name} on {device.name}"[:200], person_id=person.id,
        person_name=person.name, person_email=person.email, roles=(), grants=grants, expires_at=token.expires_at,
    )  # fmt: skip
    return principal, device


def is_token_good(token: DeviceToken, device: Device, now: datetime) -> bool:
    """Whether the device's token counts, be it for access or for refreshing."""
    return token.spent_at is None and device.ended_at is None and min(token.expires_at, device.expires_at) > now


def device_token(session: Database, box: SecretBox, value: str) -> tuple[DeviceToken, Device] | None:
    """A token of a device and the device, good or not; None when there is none."""
    if not looks_like_token(value, ACCESS_PREFIX) and not looks_like_token(value, REFRESH_PREFIX):
        return None
    query = sa.select(DeviceToken, Device).join(Device, Device.id == DeviceToken.device_id)
    row = session.execute(query.where(DeviceToken.hash == box.fingerprint("device", value))).one_or_none()
    return (row[0], row[1]) if row is not None else None


def find_devices(
    session: Database, now: datetime, *, after: str | None = None, limit: int = 50, person_ids: Collection[str] | None = None,
    with_ended: bool = False,
) -> Sequence[Device]:  # fmt: skip
    """Devices that act for people, newest first, older than the device id `after`; those that are over only when asked for."""
    query = sa.select(Device).order_by(Device.id.desc()).limit(limit)
    if after:
        query = query.where(Device.id < after)
    if person_ids is not None:
        query = query.where(Device.person_id.in_(person_ids))
    if not with_ended:
        query = query.where(Device.ended_at.is_(None), Device.expires_at > now)
    return session.scalars(query).all()


def get_device(session: Database, device_id: str, *, person_id: str | None = None) -> Device:
    """The device's row; with `person_id` only one of theirs. Raises NotFound."""
    device = session.get(Device, device_id)
    if device is None or person_id not in (None, device.person_id):
        raise NotFound(f"There is no device {device_id!r}.")
    return device


def _is_good(token: ApiToken, now: datetime) -> bool:
    return token.revoked_at is None and token.expires_at > now


def standing_grants(session: Database, person_id: str, *, widened: bool = False) -> dict[str, Reach]:
    """What the person may do by their standing. `widened` keeps only what they hold over anyone: what they may give away."""
    standing = session.get(Standing, person_id)
    grants = grants_of(standing.roles if standing else ())
    return {word: reach for word, reach in grants.items() if reach is Reach.ANYONE} if widened else grants


def reports_of(session: Database, person_id: str, on: date) -> frozenset[str]:
    """The people who report to this one on that day, at any depth. A circle in the data ends where it meets itself."""
    current = sa.and_(Assignment.from_on <= on, sa.or_(Assignment.until_on.is_(None), Assignment.until_on > on))
    below = sa.select(Assignment.person_id).where(Assignment.manager_id == person_id, current).cte("below", recursive=True)
    deeper = sa.select(Assignment.person_id).join(below, Assignment.manager_id == below.c.person_id).where(current)
    return frozenset(session.scalars(sa.select(below.union(deeper).c.person_id))) - {person_id}


def people_within(session: Database, principal: Principal, permission: str, on: date) -> frozenset[str] | None:
    """The people over whom the principal holds the permission; None means everybody. Raises NotAllowed."""
    reach = principal.reach(permission)
    if reach is Reach.ANYONE:
        return None
    if principal.person_id is None:
        return frozenset()
    own = frozenset({principal.person_id})
    return own | reports_of(session, principal.person_id, on) if reach is Reach.REPORTS else own


def check_within(
    session: Database,
    principal: Principal,
    permission: str,
    person_id: str | None,
    on: date,
    *,
    missing: str = "There is no such thing.",
) -> None:
    """Raise NotAllowed without the permission, and NotFound where it does not reach this person.

    NotFound, with the sentence that a thing that does not exist would give, so that nobody learns of what they may not see.
    `person_id` None stands for something that is nobody's: only a reach over anyone includes it.
    """
    people = people_within(session, principal, permission, on)
    if people is not None and (person_id is None or person_id not in people):
        raise NotFound(missing)


def find_tokens(
    session: Database, *, after: str | None = None, limit: int = 50, person_ids: Collection[str] | None = None
) -> Sequence[ApiToken]:
    """Tokens, newest first, older than the token id `after`; revoked and expired ones too."""
    query = sa.select(ApiToken).order_by(ApiToken.id.desc()).limit(limit)
    if after:
        query = query.where(ApiToken.id < after)
    if person_ids is not None:
        query = query.where(ApiToken.person_id.in_(person_ids))
    return session.scalars(query).all()


def get_token(session: Database, token_id: str) -> ApiToken:
    """The token's row. Raises NotFound."""
    token = session.get(ApiToken, token_id)
    if token is None:
        raise NotFound(f"There is no token {token_id!r}.")
    return token


def find_sessions(session: Database, person_id: str, now: datetime) -> Sequence[Session]:
    """The person's sessions that still count, newest first."""
    query = sa.select(Session).where(
        Session.person_id == person_id, Session.ended_at.is_(None), Session.created_at > now - rules.ABSOLUTE,
        Session.seen_at > now - rules.IDLE,
    )  # fmt: skip
    return session.scalars(query.order_by(Session.id.desc())).all()


def id_token_of(session: Database, box: SecretBox, session_id: str) -> Secret | None:
    """The ID token with which a session began, for sign-out at the provider."""
    query = sa.select(Session).where(Session.id == session_id).options(undefer(Session.id_token_sealed))
    row = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if row is None or row.id_token_sealed is None:
        return None
    try:
        return box.open(row.id_token_sealed, id_token_place(session_id))
    except CannotOpen:
        return None


def id_token_place(session_id: str) -> Place:
    """Where a sealed ID token stands."""
    return Place("sessions", "id_token_sealed", session_id)


def roles_of(session: Database, person_ids: Collection[str]) -> dict[str, list[str]]:
    """Person id → roles now, for lists."""
    return {row.person_id: row.roles for row in session.scalars(sa.select(Standing).where(Standing.person_id.in_(person_ids)))}


def has_administrator(session: Database) -> bool:
    """Whether anybody who has not left is an administrator. `govern init` asks."""
    rows = session.scalars(
        sa.select(Standing).join(Person, Person.id == Standing.person_id).where(Person.state == PersonState.ACTIVE)
    )
    return any("admin" in row.roles for row in rows)
