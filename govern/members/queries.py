"""Reads of members and invites."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.members.models import OPEN_INVITES, Invite, InviteState, Member


def find_member(session: Session, id_or_email: str) -> Member | None:
    """The member with this id (ours, OpenAI's, or the person's) or address; one who still has the seat comes first."""
    text = id_or_email.strip()
    which = Member.email == text.casefold() if "@" in text else sa.or_(
        Member.id == text, Member.remote_id == text, Member.person_id == text
    )  # fmt: skip
    return session.scalars(sa.select(Member).where(which).order_by(Member.vanished_at.is_not(None), Member.id.desc())).first()


def get_member(session: Session, id_or_email: str) -> Member:
    """Like `find_member`; raises NotFound."""
    member = find_member(session, id_or_email)
    if member is None:
        raise NotFound(f"There is no member {id_or_email!r}.")
    return member


def find_members(
    session: Session, *, after: str | None = None, limit: int = 50, search: str | None = None, role: str | None = None,
    with_vanished: bool = False, person_ids: Sequence[str] | None = None,
) -> Sequence[Member]:  # fmt: skip
    """Members in the order of our ids, after the id `after`. `search` looks into address and name, without case."""
    query = sa.select(Member).where(Member.is_service_account.is_(False)).order_by(Member.id).limit(limit)
    if after:
        query = query.where(Member.id > after)
    if not with_vanished:
        query = query.where(Member.vanished_at.is_(None))
    if search:
        found = [column.icontains(search, autoescape=True) for column in (Member.email, Member.name)]
        query = query.where(sa.or_(*found))
    if role:
        query = query.where(Member.role == role)
    if person_ids is not None:
        query = query.where(Member.person_id.in_(person_ids))
    return session.scalars(query).all()


def seated(session: Session, person_ids: Sequence[str]) -> dict[str, Member]:
    """Person id → the seat that they have now."""
    query = sa.select(Member).where(Member.person_id.in_(person_ids), Member.vanished_at.is_(None))
    return {row.person_id: row for row in session.scalars(query) if row.person_id}


def count_members(session: Session) -> int:
    """Seats taken by people now."""
    query = sa.select(sa.func.count()).select_from(Member)
    return session.scalar(query.where(Member.vanished_at.is_(None), Member.is_service_account.is_(False))) or 0


def get_invite(session: Session, invite_id: str) -> Invite:
    """The invite, by our id or OpenAI's. Raises NotFound."""
    invite = session.scalars(sa.select(Invite).where(sa.or_(Invite.id == invite_id, Invite.remote_id == invite_id))).first()
    if invite is None:
        raise NotFound(f"There is no invite {invite_id!r}.")
    return invite


def open_invite(session: Session, email: str) -> Invite | None:
    """The invite of this address that is not settled yet."""
    return session.scalars(sa.select(Invite).where(Invite.email == email, Invite.state.in_(OPEN_INVITES))).one_or_none()


def find_invites(
    session: Session, *, before: str | None = None, limit: int = 50, state: InviteState | None = None
) -> Sequence[Invite]:
    """Invites, newest first, older than the id `before`."""
    query = sa.select(Invite).order_by(Invite.id.desc()).limit(limit)
    if before:
        query = query.where(Invite.id < before)
    if state:
        query = query.where(Invite.state == state)
    return session.scalars(query).all()
