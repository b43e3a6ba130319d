"""Reads of projects."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import InvalidInput, NotFound
from govern.projects.models import Project, ProjectMember, ServiceAccount


def find(session: Session, project_id: str) -> Project | None:
    """The project with this id: ours or OpenAI's."""
    return session.scalars(sa.select(Project).where(sa.or_(Project.id == project_id, Project.remote_id == project_id))).first()


def get(session: Session, project_id: str) -> Project:
    """Like `find`; raises NotFound."""
    project = find(session, project_id)
    if project is None:
        raise NotFound(f"There is no project {project_id!r}. Projects made at OpenAI appear after the next directory sync.")
    return project


def named(session: Session, text: str) -> Project:
    """The project that is meant by an id of ours or OpenAI's, or by its name. Raises NotFound, InvalidInput."""
    found = find(session, text)
    if found is not None:
        return found
    wanted = text.strip().casefold()
    same = [project for project in open_projects(session) if project.name.casefold() == wanted]
    if len(same) > 1:
        ids = ", ".join(project.id for project in same)
        raise InvalidInput(f"Several projects are named {text!r}. Say which by its id: {ids}.")
    return same[0] if same else get(session, text)


def open_projects(session: Session) -> Sequence[Project]:
    """Projects that may hold keys: neither archived, nor vanished, nor the default one; by name."""
    query = sa.select(Project).where(Project.archived_at.is_(None), Project.vanished_at.is_(None), Project.is_default.is_(False))
    return session.scalars(query.order_by(Project.name, Project.id)).all()


def find_projects(session: Session, *, after: str | None = None, limit: int = 50) -> Sequence[Project]:
    """All projects still listed at OpenAI, archived ones too, in the order of our ids."""
    query = sa.select(Project).where(Project.vanished_at.is_(None)).order_by(Project.id).limit(limit)
    return session.scalars(query.where(Project.id > after) if after else query).all()


def members_of(session: Session, project_id: str) -> Sequence[ProjectMember]:
    return session.scalars(
        sa.select(ProjectMember).where(ProjectMember.project_id == project_id, ProjectMember.vanished_at.is_(None))
    ).all()


def places_of(session: Session, member_remote_id: str) -> Sequence[tuple[Project, ProjectMember]]:
    """Where a member stands, by project name."""
    query = (
        sa.select(Project, ProjectMember)
        .join(ProjectMember, ProjectMember.project_id == Project.id)
        .where(ProjectMember.member_remote_id == member_remote_id, ProjectMember.vanished_at.is_(None))
        .order_by(Project.name, Project.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def service_accounts_of(session: Session, project_id: str) -> Sequence[ServiceAccount]:
    return session.scalars(
        sa.select(ServiceAccount).where(ServiceAccount.project_id == project_id, ServiceAccount.vanished_at.is_(None))
    ).all()


def names(session: Session, project_ids: Sequence[str]) -> dict[str, str]:
    """Id → name, for lists."""
    rows = session.execute(sa.select(Project.id, Project.name).where(Project.id.in_(project_ids)))
    return {row.id: row.name for row in rows}
