"""Reads of policies: which apply to a person in a project, and in which of OpenAI's groups somebody is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.approvals.models import Approval, ApprovalState
from govern.core.errors import InvalidInput, NotFound
from govern.inventory.models import Group, GroupMember
from govern.keys.models import OPEN_STATES, Key, KeyKind
from govern.members.models import Member
from govern.people import queries as people
from govern.people.models import PersonState
from govern.policies import rules
from govern.policies.models import Policy, PolicyScope
from govern.policies.rules import Allowed, Effective, Limits
from govern.ports import ALL_SCOPES, Scopes, read_scopes, stored_scopes
from govern.projects import queries as projects
from govern.projects.models import Project

ORGANIZATION = "the organization"
ISSUE = "key.issue"
"""The kind of the approvals of keys."""


def get(session: Session, policy_id: str) -> Policy:
    """The policy, in force or not. Raises NotFound."""
    row = session.get(Policy, policy_id)
    if row is None:
        raise NotFound(f"There is no policy {policy_id!r}.")
    return row


def in_force(session: Session, scope: PolicyScope | None = None, scope_id: str | None = None) -> Sequence[Policy]:
    """The policies in force: the organization's first, then projects', then groups'."""
    order = sa.case({PolicyScope.ORGANIZATION.value: 0, PolicyScope.PROJECT.value: 1}, value=Policy.scope, else_=2)
    query = sa.select(Policy).where(Policy.removed_at.is_(None)).order_by(order, Policy.id)
    if scope is not None:
        query = query.where(Policy.scope == scope)
    if scope_id is not None:
        query = query.where(Policy.scope_id == scope_id)
    return session.scalars(query).all()


def groups(session: Session) -> Sequence[Group]:
    """OpenAI's groups that are listed now, by name."""
    return session.scalars(sa.select(Group).where(Group.vanished_at.is_(None)).order_by(Group.name, Group.id)).all()


def groups_by_person(session: Session, person_ids: Sequence[str] | None = None) -> dict[str, frozenset[str]]:
    """Person id → our ids of the groups in which OpenAI lists their seat, as of the last reading of the inventory.

    Somebody without a seat is in no group. `None`: of everybody.
    """
    query = (
        sa.select(Member.person_id, Group.id)
        .join(GroupMember, GroupMember.member_remote_id == Member.remote_id)
        .join(Group, Group.id == GroupMember.group_id)
        .where(Member.vanished_at.is_(None), GroupMember.vanished_at.is_(None), Group.vanished_at.is_(None))
    )
    if person_ids is not None:
        query = query.where(Member.person_id.in_(person_ids))
    found: dict[str, set[str]] = {}
    for person_id, group_id in session.execute(query):
        if person_id is not None:
            found.setdefault(person_id, set()).add(group_id)
    return {person_id: frozenset(ids) for person_id, ids in found.items()}


def names(session: Session, rows: Sequence[Policy]) -> dict[str, str]:
    """Policy id → what it is about, for people: "the organization", "the project Search", "the group Contractors"."""
    projects = sa.select(Project.id, Project.name).where(Project.id.in_([row.scope_id for row in rows]))
    listed = sa.select(Group.id, Group.name).where(Group.id.in_([row.scope_id for row in rows]))
    known = {row[0]: row[1] for row in (*session.execute(projects), *session.execute(listed))}
    return {
        row.id: ORGANIZATION
        if row.scope is PolicyScope.ORGANIZATION
        else f"the {row.scope.value} {known.get(row.scope_id, row.scope_id)}"
        for row in rows
    }


def limits_of(row: Policy, where: str) -> Limits:
    """What the row says, for the rules."""
    return Limits(
        row.scope, where, row.longest_days, row.most_keys, read_scopes(row.scopes), row.self_service,
        tuple(row.approvers) if row.approvers else None,
    )  # fmt: skip


def fill(row: Policy, limits: Limits) -> Policy:
    """The row, saying what the limits say."""
    row.longest_days, row.most_keys, row.self_service = limits.longest_days, limits.most_keys, limits.self_service
    row.scopes = stored_scopes(limits.scopes) if limits.scopes is not None else None
    row.approvers = list(limits.approvers) if limits.approvers else None
    return row


def resolve(session: Session, scope_id: str, limits: Limits) -> tuple[str, Limits]:
    """Our id of what the policy is about, and its limits with people by their ids. Raises InvalidInput, NotFound.

    `scope_id` is a project's or a group's id, ours or OpenAI's; nothing for the organization.
    """
    rules.check_limits(limits)
    subject = ""
    if limits.scope is PolicyScope.PROJECT:
        subject = projects.get(session, scope_id).id
    elif limits.scope is PolicyScope.GROUP:
        found = [group.id for group in groups(session) if scope_id in (group.id, group.remote_id)]
        if not found:
            raise InvalidInput("There is no such group at OpenAI.", {"scope_id": "Choose a group of the list."})
        subject = found[0]
    approvers = limits.approvers and tuple(dict.fromkeys(_approver(session, word) for word in limits.approvers))
    return subject, replace(limits, approvers=approvers)


def _approver(session: Session, word: str) -> str:
    """The words as they are, people by their id."""
    if word in (rules.MANAGER, rules.ADMINS):
        return word
    person = people.find(session, word)
    if person is None or person.state is not PersonState.ACTIVE:
        raise InvalidInput(
            f"Nobody here is called {word!r}.", {"approvers": "The words manager and admins, or addresses of people here."}
        )
    return person.id


def applying(policies: Sequence[tuple[Policy, Limits]], project_id: str | None, group_ids: frozenset[str]) -> list[Limits]:
    """The limits of these policies that apply in the project to somebody in these groups."""
    return [
        limits
        for row, limits in policies
        if row.scope is PolicyScope.ORGANIZATION
        or (row.scope is PolicyScope.PROJECT and row.scope_id == project_id)
        or (row.scope is PolicyScope.GROUP and row.scope_id in group_ids)
    ]


def with_limits(session: Session) -> list[tuple[Policy, Limits]]:
    """The policies in force, each with what it says."""
    rows = in_force(session)
    where = names(session, rows)
    return [(row, limits_of(row, where[row.id])) for row in rows]


def effective_for(session: Session, person_id: str, project_id: str | None, *, usual_most_keys: int) -> Effective:
    """What holds for the person in the project; without one: wherever no project's policy says more."""
    group_ids = groups_by_person(session, [person_id]).get(person_id, frozenset())
    return rules.effective(applying(with_limits(session), project_id, group_ids), usual_most_keys=usual_most_keys)


def allowed_by_key(session: Session, keys: Iterable[Key]) -> dict[str, Allowed]:
    """Key id → the permissions that the policies allow its owner in its project, or that were approved for this very key.

    Only keys for which some policy says something are in it.
    """
    policies = [(row, limits) for row, limits in with_limits(session) if limits.scopes is not None]
    if not policies:
        return {}
    groups_of, approved = groups_by_person(session), approved_scopes(session)
    found: dict[str, Allowed] = {}
    for key in keys:
        allowed = rules.allowed_scopes(applying(policies, key.project_id, groups_of.get(key.person_id, frozenset())))
        given = approved.get(key.id)
        if ALL_SCOPES in (given, allowed):
            continue
        found[key.id] = frozenset(allowed) | frozenset(given or ())
    return found


def approved_scopes(session: Session) -> dict[str, Scopes]:
    """Key id → the permissions with which somebody approved it beyond the policy."""
    query = sa.select(Approval.result_id, Approval.facts).where(
        Approval.kind == ISSUE, Approval.state == ApprovalState.APPROVED, Approval.result_id.is_not(None)
    )
    return {str(row[0]): read_scopes(row[1]["permissions"]) or ALL_SCOPES for row in session.execute(query)}


def owned(session: Session, person_id: str, kind: KeyKind, project_id: str | None = None) -> int:
    """How many keys of this kind the person holds, owns or was promised; in the project, where one is named."""
    mine = sa.select(sa.func.count()).select_from(Key).where(Key.person_id == person_id, Key.kind == kind)
    mine = mine.where(Key.state.in_(OPEN_STATES))
    return session.scalar(mine if project_id is None else mine.where(Key.project_id == project_id)) or 0
