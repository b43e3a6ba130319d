"""What one run of a removal knows of the person: who they are, what they hold, and what was read of it so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core import outbox
from govern.inventory.models import AdminKey, FederationProvider, FederationRule, Group, GroupMember
from govern.keys.models import ENDED_STATES, Key, KeyKind, KeyVersion, ObservedKey
from govern.offboarding import queries, rules
from govern.offboarding.models import Holding, Kind, OffboardingState
from govern.offboarding.queries import Subject
from govern.people.models import Identity
from govern.projects.models import Project, ProjectMember


class Thing(NamedTuple):
    """One thing that the person holds, by OpenAI's ids. `place`: the project, group or provider that it stands in."""

    kind: Kind
    place: str
    remote_id: str


@dataclass(frozen=True)
class OpenVersion:
    """A version of a key of theirs whose end is not recorded. `making`: an attempt to make it has not settled yet."""

    id: str
    project: str
    making: bool


@dataclass
class Case:
    """The state at the beginning of a run, kept in step as the run goes on.

    `names` and `accounts`: the service accounts ever made for them, by name in each project, and by id. `standing`: what OpenAI
    has not yet taken the deletion of. `marks`: see `Offboarding.listings`.
    """

    id: str
    email: str
    is_done: bool
    started_at: datetime
    first_look_at: datetime | None
    seats: set[str] = field(default_factory=set)
    subjects: set[tuple[str, str]] = field(default_factory=set)
    names: dict[str, set[str]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    versions: list[OpenVersion] = field(default_factory=list)
    held: dict[Thing, str | None] = field(default_factory=dict)  # with the name to show
    asked: set[Thing] = field(default_factory=set)
    refused: dict[Thing, str] = field(default_factory=dict)
    marks: dict[str, dict[str, str]] = field(default_factory=dict)
    ours: set[Thing] = field(default_factory=set)  # the admin key of theirs with which this service works

    def standing(self, kinds: Collection[Kind]) -> list[Thing]:
        """What of these kinds is still to be ended, in the order of the kinds."""
        return [thing for kind in kinds for thing in self.held if thing.kind is kind and thing not in self.asked]

    def of(self, kind: Kind) -> list[Thing]:
        return [thing for thing in self.held if thing.kind is kind]

    def lacking(self, listings: Iterable[str], mark: str) -> list[str]:
        """Those of the listings that do not bear this mark."""
        return [name for name in listings if mark not in self.marks.get(name, {})]

    def making(self, project: str) -> bool:
        """Whether a key of theirs may still appear in the project, because an attempt to make it has not settled."""
        return any(version.making for version in self.versions if version.project == project)


def load(session: Session, removal_id: str) -> Case:
    """Everything that is on record. Raises NotFound."""
    row = queries.get(session, removal_id)
    case = Case(row.id, row.email, row.state is OffboardingState.DONE, row.started_at, row.first_look_at)
    case.marks = {name: dict(marks) for name, marks in row.listings.items()}
    if row.person_id is not None:
        _add_keys(session, case, row.person_id)
        case.subjects = _subjects(session, row.person_id)
    for held in session.scalars(sa.select(Holding).where(Holding.offboarding_id == row.id).order_by(Holding.id)):
        thing = Thing(held.kind, held.place, held.remote_id)
        case.held[thing] = held.name
        if held.asked_at is not None:
            case.asked.add(thing)
        if held.refusal is not None:
            case.refused[thing] = held.refusal
    case.seats = {thing.remote_id for thing in case.of(Kind.SEAT)}
    return case


def _add_keys(session: Session, case: Case, person_id: str) -> None:
    mine = (
        sa.select(KeyVersion, Project.remote_id)
        .join(Key, Key.id == KeyVersion.key_id)
        .join(Project, Project.id == Key.project_id)
        .where(Key.person_id == person_id, Key.kind == KeyKind.PERSONAL)
    )
    found = [(version, project) for version, project in session.execute(mine)]
    for version, project in found:
        case.names.setdefault(project, set()).add(version.remote_name)
        case.accounts |= {version.service_account_remote_id} if version.service_account_remote_id else set()
    still = [(version.id, project) for version, project in found if version.state not in ENDED_STATES]
    making = {effect.subject_id for effect in outbox.open_effects(session, [id_ for id_, _ in still], "key.issue")}
    case.versions = [OpenVersion(id_, project, id_ in making) for id_, project in still]


def known(session: Session, subject: Subject) -> dict[Thing, tuple[str | None, str | None]]:
    """What they hold as far as was last seen: each thing with its name and, for a service account of ours, its key.

    It may be out of date: the removal reads everything again. But it need not wait for that to begin.
    """
    found: dict[Thing, tuple[str | None, str | None]] = {}
    if subject.person is not None:
        mine = (
            sa.select(KeyVersion, Project.remote_id)
            .join(Key, Key.id == KeyVersion.key_id)
            .join(Project, Project.id == Key.project_id)
            .where(Key.person_id == subject.person.id, Key.kind == KeyKind.PERSONAL)
            .where(KeyVersion.state.not_in(ENDED_STATES), KeyVersion.service_account_remote_id.is_not(None))
        )
        for version, project in session.execute(mine.order_by(KeyVersion.id)):
            found[Thing(Kind.KEYS, project, version.service_account_remote_id or "")] = version.remote_name, version.remote_id
    if subject.invite is not None and subject.invite.remote_id is not None:
        found[Thing(Kind.INVITES, "", subject.invite.remote_id)] = subject.invite.role, None
    if subject.member is not None:
        found |= {thing: (name, None) for thing, name in _by_seat(session, subject.member.remote_id)}
        found[Thing(Kind.SEAT, "", subject.member.remote_id)] = subject.member.role, None
    found |= {thing: (name, None) for thing, name in _federated(session, subject, found)}
    return found


def _federated(session: Session, subject: Subject, found: Iterable[Thing]) -> Iterable[tuple[Thing, str | None]]:
    """Federation rules that make the person, or a service account of theirs, out of somebody else's token."""
    accounts = {thing.remote_id for thing in found if thing.kind is Kind.KEYS}
    seats = {subject.member.remote_id} if subject.member else set()
    subjects = _subjects(session, subject.person.id) if subject.person else set()
    all_rules = sa.select(FederationRule, FederationProvider).join(FederationProvider).where(FederationRule.vanished_at.is_(None))
    for rule, provider in session.execute(all_rules):
        names = seats | {name for issuer, name in subjects if issuer == provider.issuer}
        if rule.service_account_remote_id in accounts or rules.lets_in(rule.matchers, email=subject.email, names=names):
            yield Thing(Kind.FEDERATION_RULES, provider.remote_id, rule.remote_id), rule.name


def _subjects(session: Session, person_id: str) -> set[tuple[str, str]]:
    linked = sa.select(Identity.issuer, Identity.subject).where(Identity.person_id == person_id)
    return {(issuer, subject) for issuer, subject in session.execute(linked)}


def _by_seat(session: Session, member_id: str) -> Iterable[tuple[Thing, str | None]]:
    """What stands in the inventory under OpenAI's id of the member."""
    keys_ = sa.select(ObservedKey.remote_id, Project.remote_id, ObservedKey.name).join(Project)
    for key, project, name in session.execute(
        keys_.where(ObservedKey.owner_remote_id == member_id, ObservedKey.vanished_at.is_(None))
    ):
        yield Thing(Kind.PERSONAL_KEYS, project, key), name
    admin = sa.select(AdminKey.remote_id, AdminKey.name).where(
        AdminKey.owner_remote_id == member_id, AdminKey.vanished_at.is_(None), AdminKey.is_ours.is_(False)
    )
    for key, name in session.execute(admin):
        yield Thing(Kind.ADMIN_KEYS, "", key), name
    groups = sa.select(Group.remote_id, Group.name).join(GroupMember, GroupMember.group_id == Group.id)
    for group, name in session.execute(
        groups.where(GroupMember.member_remote_id == member_id, GroupMember.vanished_at.is_(None))
    ):
        yield Thing(Kind.GROUPS, group, member_id), name
    places = sa.select(Project.remote_id, ProjectMember.role).join(ProjectMember, ProjectMember.project_id == Project.id)
    for project, role in session.execute(
        places.where(
            ProjectMember.member_remote_id == member_id, ProjectMember.vanished_at.is_(None), Project.archived_at.is_(None)
        )
    ):
        yield Thing(Kind.MEMBERSHIPS, project, member_id), role
