"""Whom a removal or a suspension would saw off the branch of: looked up here, once for every way to either."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.uow import UnitOfWork
from govern.members import rules as member_rules
from govern.members.models import Member
from govern.offboarding import queries, rules
from govern.offboarding.models import Offboarding, OffboardingState
from govern.offboarding.queries import Subject
from govern.people.models import Person, PersonState

_LOCK: Final = 0x676F766F  # any constant of our own


def one_at_a_time(uow: UnitOfWork, member: Member | None) -> None:
    """Before an owner goes: of two at the same moment each would count the other as staying."""
    is_owner = member is not None and member.role == "owner"
    if is_owner and uow.session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyway
        uow.session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def check_may_go(session: Session, subject: Subject, going: Collection[str] = ()) -> None:
    """Raise PolicyViolation for the last owner, and for whoever owns our admin key. `going`: ids of members who go as well."""
    check_owner_stays(session, subject.member, going)
    rules.check_own_branch(queries.owns_our_admin_key(session, subject))


def check_owner_stays(session: Session, member: Member | None, going: Collection[str] = ()) -> None:
    """Raise PolicyViolation if nobody who stays could manage the organization. `going`: ids of members who go as well.

    Whoever is suspended, held or being removed counts as gone, although the seat is still there.
    """
    if member is None or member.vanished_at is not None or member.role != "owner":
        return
    leaving = sa.exists().where(
        Offboarding.state == OffboardingState.CONTAINED,
        sa.or_(Offboarding.email == Member.email, Offboarding.member_remote_id == Member.remote_id),  # a seat may lack an address
    )
    others = sa.select(Member.id).outerjoin(Person, Person.id == Member.person_id).where(
        Member.role == "owner", Member.vanished_at.is_(None), Member.is_service_account.is_(False), Member.id != member.id,
        sa.or_(Person.id.is_(None), Person.state == PersonState.ACTIVE), ~leaving,
    )  # fmt: skip
    member_rules.check_may_remove(member, owners=1 + len(set(session.scalars(others)).difference(going)))
