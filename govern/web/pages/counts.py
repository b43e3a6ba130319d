"""Figures that lists show beside their rows: one statement per page of a list, never one per row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.keys.models import ENDING_STATES, OPEN_STATES, Key, ObservedKey
from govern.members.models import Member
from govern.offboarding.models import Offboarding, OffboardingState
from govern.people.models import Person, PersonState
from govern.projects.models import Project, ProjectMember
from govern.usage.models import SyncWindow


def people(session: Session, person_ids: Sequence[str | None]) -> dict[str, Person]:
    """Person id → person."""
    wanted = {person_id for person_id in person_ids if person_id}
    return {row.id: row for row in session.scalars(sa.select(Person).where(Person.id.in_(wanted)))} if wanted else {}


def states(session: Session, person_ids: Sequence[str | None]) -> dict[str, PersonState]:
    """Person id → how they stand."""
    return {person.id: person.state for person in people(session, person_ids).values()}


def keys_per_person(session: Session, person_ids: Sequence[str | None]) -> dict[str, int]:
    """Person id → keys that they hold or were promised."""
    wanted = [person_id for person_id in person_ids if person_id]
    query = sa.select(Key.person_id, sa.func.count()).where(Key.person_id.in_(wanted), Key.state.in_(OPEN_STATES))
    return {row[0]: row[1] for row in session.execute(query.group_by(Key.person_id))}


def keys_per_project(session: Session, project_ids: Sequence[str]) -> dict[str, int]:
    """Project id → keys of ours that are held in it."""
    query = sa.select(Key.project_id, sa.func.count()).where(Key.project_id.in_(project_ids), Key.state.in_(OPEN_STATES))
    return {row[0]: row[1] for row in session.execute(query.group_by(Key.project_id))}


def others_per_project(session: Session, project_ids: Sequence[str]) -> dict[str, int]:
    """Project id → keys that OpenAI lists in it and that we did not issue."""
    query = sa.select(ObservedKey.project_id, sa.func.count()).where(
        ObservedKey.project_id.in_(project_ids), ObservedKey.vanished_at.is_(None), ObservedKey.version_id.is_(None)
    )
    return {row[0]: row[1] for row in session.execute(query.group_by(ObservedKey.project_id))}


def members_per_project(session: Session, project_ids: Sequence[str]) -> dict[str, int]:
    """Project id → members who stand in it."""
    query = sa.select(ProjectMember.project_id, sa.func.count()).where(
        ProjectMember.project_id.in_(project_ids), ProjectMember.vanished_at.is_(None)
    )
    return {row[0]: row[1] for row in session.execute(query.group_by(ProjectMember.project_id))}


def projects_among(session: Session, ids: Collection[str], *, after: str | None, limit: int) -> Sequence[Project]:
    """Like `projects.queries.find_projects`, of these projects only."""
    query = sa.select(Project).where(Project.id.in_(ids), Project.vanished_at.is_(None)).order_by(Project.id).limit(limit)
    return session.scalars(query.where(Project.id > after) if after else query).all()


def seats(session: Session, remote_ids: Sequence[str]) -> dict[str, Member]:
    """OpenAI's user id → the seat."""
    return {row.remote_id: row for row in session.scalars(sa.select(Member).where(Member.remote_id.in_(remote_ids)))}


def first_day_known(session: Session) -> date | None:
    """The first day of which usage or costs were read."""
    return session.scalar(sa.select(sa.func.min(SyncWindow.day)))


def live_keys(session: Session) -> int:
    """Keys of ours that are held or promised."""
    return session.scalar(sa.select(sa.func.count()).select_from(Key).where(Key.state.in_(OPEN_STATES))) or 0


def unproven_keys(session: Session) -> int:
    """Keys whose end is owed and not proven."""
    return session.scalar(sa.select(sa.func.count()).select_from(Key).where(Key.state.in_(ENDING_STATES))) or 0


def removals_under_way(session: Session, limit: int = 10) -> Sequence[Offboarding]:
    """Removals whose proof is pending, the longest first."""
    query = sa.select(Offboarding).where(Offboarding.state == OffboardingState.CONTAINED)
    return session.scalars(query.order_by(Offboarding.id).limit(limit)).all()
