"""Over whom: what of a list the asker may see, and whether a thing is among it. Reads only; the rule is `identity`'s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from govern.approvals import queries as approvals
from govern.approvals.models import Approval
from govern.budgets import queries as budgets
from govern.budgets.models import Alert
from govern.core.clock import utcnow
from govern.core.errors import NotAllowed, NotFound
from govern.identity import queries as identity
from govern.identity.permissions import PERMISSIONS
from govern.keys import queries as keys
from govern.keys.models import Freeze, Key, KeyKind
from govern.members.models import Member
from govern.projects.models import Project, ProjectMember
from govern.web.access import current_principal, reads


def people_within(permission: str) -> list[str] | None:
    """The ids of the people over whom the asker holds the permission; None: everybody."""
    people = identity.people_within(reads(), current_principal(), permission, utcnow().date())
    return None if people is None else sorted(people)


def check_person(permission: str, person_id: str | None, missing: str) -> None:
    """Raise NotFound (with the sentence for something that is not there) unless the permission reaches this person."""
    identity.check_within(reads(), current_principal(), permission, person_id, utcnow().date(), missing=missing)


def check_key(permission: str, key: Key) -> None:
    """Raise NotFound unless the permission reaches the key's person, or the asker is entitled to this shared key.

    Being entitled means to see it and to open it, nothing else.
    """
    principal = current_principal()
    concerned = key.kind is KeyKind.SHARED and permission in ("keys:read", "keys:reveal") and principal.may(permission)
    if concerned and principal.person_id in keys.entitled_people(reads(), key.id):
        return
    check_person(permission, key.person_id, f"There is no key {key.id!r}.")


def check_anyone(permission: str) -> None:
    """Raise NotAllowed unless the permission holds over anyone."""
    if not current_principal().is_over_anyone(permission):
        raise NotAllowed(
            f"This needs the permission {permission} over everybody: {PERMISSIONS[permission]}", permission=permission
        )


def own_unless_anyone(permission: str) -> str | None:
    """Whose things may be seen: the asker's own (their actor id), or everybody's (None) where the permission is over anyone."""
    principal = current_principal()
    return None if principal.is_over_anyone(permission) else principal.actor_id


def check_thaw(freezes: Sequence[Freeze]) -> None:
    """Raise NotAllowed where somebody else froze it: then only who may end anybody's key lets it go on."""
    if any(freeze.requested_by != current_principal().actor_id for freeze in freezes):
        check_anyone("keys:revoke")


def projects_within(permission: str) -> frozenset[str] | None:
    """The ids of the projects in which somebody within reach stands or holds a key; None: all projects."""
    people = people_within(permission)
    if people is None:
        return None
    standing = (
        sa.select(ProjectMember.project_id)
        .join(Member, Member.remote_id == ProjectMember.member_remote_id)
        .where(Member.person_id.in_(people), ProjectMember.vanished_at.is_(None), Member.vanished_at.is_(None))
    )
    holding = sa.select(Key.project_id).where(Key.person_id.in_(people))
    return frozenset(reads().scalars(standing.union(holding)))


def check_project(permission: str, project: Project) -> None:
    """Raise NotFound unless the project is within reach."""
    within = projects_within(permission)
    if within is not None and project.id not in within:
        raise NotFound(f"There is no project {project.id!r} that you can see.")


def approval(permission: str, approval_id: str) -> Approval:
    """The approval. Raises NotFound unless it concerns somebody within reach, or the asker is named to decide it."""
    row = approvals.get(reads(), approval_id)
    within = people_within(permission)
    if within is None or {row.requested_person_id, row.for_person_id} & set(within):
        return row
    me = current_principal().person_id
    if row.requested_by != current_principal().actor_id and me not in {each.id for each in approvals.approvers(reads(), row.id)}:
        raise NotFound(f"There is no approval {approval_id!r}.")
    return row


def alert(permission: str, alert_id: str, *, in_projects: bool = True) -> Alert:
    """The alert. Raises NotFound unless it is about somebody within reach, or (`in_projects`) about a project of theirs."""
    row, people = budgets.get_alert(reads(), alert_id), people_within(permission)
    if people is None or row.person_id in people:
        return row
    projects = projects_within(permission) if in_projects else None
    if not budgets.within(budgets.get(reads(), row.budget_id), [*people, *(projects or ())]):
        raise NotFound(f"There is no alert {alert_id!r}.")
    return row


def approvals_waiting(now: datetime) -> list[Approval]:
    """What the asker may decide now, the oldest first."""
    principal = current_principal()
    if principal.person_id is None or not principal.may("approvals:write"):
        return []
    held = approvals.held_by(reads(), principal.person_id)
    return approvals.waiting_for(reads(), principal.person_id, held, now)


def decider() -> str:
    """The person who decides. Raises NotAllowed for a program that acts for nobody."""
    person_id = current_principal().person_id
    if person_id is None:
        raise NotAllowed("A person decides this; a token that acts for nobody cannot.")
    return person_id
