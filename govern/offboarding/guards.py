"""Whom a removal or a suspension would saw off the branch of: looked up here, once for every way to either."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.members import rules as member_rules
from govern.members.models import Member
from govern.offboarding import queries, rules
from govern.offboarding.models import Offboarding, OffboardingState
from govern.offboarding.queries import Subject
from govern.people.models import Person, PersonState


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
