"""Reads of removals, and the preview of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.inventory.models import AdminKey
from govern.members import queries as members
from govern.members.models import Invite, Member
from govern.offboarding.models import Holding, Offboarding, OffboardingState, Suspension, SuspensionState
from govern.people import queries as people
from govern.people.models import Person


@dataclass(frozen=True)
class Subject:
    """Whom a removal is about. At least one of person, member and invite is there."""

    email: str
    person: Person | None
    member: Member | None
    invite: Invite | None


def subject_of(session: Session, id_or_email: str) -> Subject:
    """Find whom is meant by an id of ours, OpenAI's user id, or an address. Raises NotFound."""
    member = members.find_member(session, id_or_email)
    person = people.find(session, member.person_id if member and member.person_id else id_or_email)
    if member is None and person is not None:
        member = members.find_member(session, person.email)
    email = person.email if person else (member.email or member.remote_id) if member else id_or_email.strip().casefold()
    invite = members.open_invite(session, email)
    if person is None and member is None and invite is None:
        raise NotFound(f"There is no member, person or open invite {id_or_email!r}.")
    return Subject(email, person, member, invite)


def owns_our_admin_key(session: Session, subject: Subject) -> bool:
    """Whether theirs is the admin key with which this service calls, as far as the inventory knows."""
    if subject.member is None:
        return False
    mine = sa.select(AdminKey.id).where(
        AdminKey.owner_remote_id == subject.member.remote_id, AdminKey.is_ours.is_(True), AdminKey.vanished_at.is_(None)
    )
    return session.scalar(mine.limit(1)) is not None


def get(session: Session, offboarding_id: str) -> Offboarding:
    """The removal. Raises NotFound."""
    row = session.get(Offboarding, offboarding_id)
    if row is None:
        raise NotFound(f"There is no removal {offboarding_id!r}.")
    return row


def latest(session: Session, email: str) -> Offboarding | None:
    """The newest removal of this address."""
    query = sa.select(Offboarding).where(Offboarding.email == email).order_by(Offboarding.id.desc()).limit(1)
    return session.scalars(query).first()


def holdings(session: Session, offboarding_id: str) -> Sequence[Holding]:
    """What the person held at OpenAI, in the order in which it was found."""
    query = sa.select(Holding).where(Holding.offboarding_id == offboarding_id).order_by(Holding.id)
    return session.scalars(query).all()


def proven(session: Session, offboarding_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Removal's id → how many of how many things complete listings have proven gone, for lists."""
    query = sa.select(Holding.offboarding_id, sa.func.count(Holding.proven_at), sa.func.count()).group_by(Holding.offboarding_id)
    rows = session.execute(query.where(Holding.offboarding_id.in_(offboarding_ids)))
    return {row[0]: (row[1], row[2]) for row in rows}


def open_suspension(session: Session, person_id: str) -> Suspension | None:
    """The suspension that lasts, if any."""
    query = sa.select(Suspension).where(Suspension.person_id == person_id, Suspension.state == SuspensionState.SUSPENDED)
    return session.scalars(query).one_or_none()


def latest_suspension(session: Session, person_id: str) -> Suspension | None:
    """The newest suspension of the person, over or not."""
    query = sa.select(Suspension).where(Suspension.person_id == person_id).order_by(Suspension.id.desc()).limit(1)
    return session.scalars(query).first()


def get_suspension(session: Session, suspension_id: str) -> Suspension:
    """The suspension. Raises NotFound."""
    row = session.get(Suspension, suspension_id)
    if row is None:
        raise NotFound(f"There is no suspension {suspension_id!r}.")
    return row


def due_for_seal(session: Session, done_before: datetime) -> Sequence[Offboarding]:
    """Proven removals that are not sealed and old enough."""
    query = sa.select(Offboarding).where(Offboarding.state == OffboardingState.DONE, Offboarding.sealed_at.is_(None))
    return session.scalars(query.where(Offboarding.done_at <= done_before).order_by(Offboarding.id)).all()


def find(session: Session, *, before: str | None = None, limit: int = 50) -> Sequence[Offboarding]:
    """Removals, newest first."""
    query = sa.select(Offboarding).order_by(Offboarding.id.desc()).limit(limit)
    return session.scalars(query.where(Offboarding.id < before) if before else query).all()
