"""Reads of removals, and the preview of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.keys import queries as keys
from govern.keys.models import OPEN_STATES, Key, ObservedKey
from govern.members import queries as members
from govern.members.models import Invite, Member
from govern.offboarding.models import Offboarding
from govern.people import queries as people
from govern.people.models import Person
from govern.projects import queries as projects
from govern.projects.models import Project


@dataclass(frozen=True)
class Subject:
    """Whom a removal is about. At least one of person, member and invite is there."""

    email: str
    person: Person | None
    member: Member | None
    invite: Invite | None


@dataclass(frozen=True)
class Preview:
    """What a removal would end, from what was last seen. The removal itself looks again."""

    subject: Subject
    keys: Sequence[Key]
    personal_keys: Sequence[ObservedKey]
    places: Sequence[Project]


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


def preview(session: Session, id_or_email: str) -> Preview:
    """What would end. Raises NotFound."""
    subject = subject_of(session, id_or_email)
    held = keys.find_keys(session, person_id=subject.person.id, limit=500) if subject.person else []
    member = subject.member if subject.member and subject.member.vanished_at is None else None
    personal = keys.observed_keys(session, owner_remote_id=member.remote_id, limit=500) if member else []
    places = [project for project, _ in projects.places_of(session, member.remote_id)] if member else []
    return Preview(subject, [key for key in held if key.state in OPEN_STATES], personal, places)


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


def find(session: Session, *, before: str | None = None, limit: int = 50) -> Sequence[Offboarding]:
    """Removals, newest first."""
    query = sa.select(Offboarding).order_by(Offboarding.id.desc()).limit(limit)
    return session.scalars(query.where(Offboarding.id < before) if before else query).all()
