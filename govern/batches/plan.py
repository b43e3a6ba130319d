"""What a batch would do, per person, from what was last seen: for the dry run, and to know what needs a second admin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.approvals import queries as approvals
from govern.batches import rules
from govern.batches.models import Batch, BatchKind, BatchRow, RowState
from govern.batches.rules import Line
from govern.core.errors import Conflict, InvalidInput, NotFound, PolicyViolation
from govern.core.uow import Actor
from govern.keys.models import OPEN_STATES, Key, KeyKind, ObservedKey
from govern.members import queries as members
from govern.members import rules as member_rules
from govern.members.models import Invite, Member
from govern.offboarding import guards
from govern.offboarding import queries as removals
from govern.offboarding.models import Offboarding, OffboardingState
from govern.people import queries as people
from govern.people.models import Person, PersonState
from govern.projects import queries as projects
from govern.projects.models import Project, ProjectMember
from govern.settings import Settings

REFUSALS = (InvalidInput, Conflict, PolicyViolation)


@dataclass(frozen=True)
class Limits:
    """How many people one admin may remove, or invite, by themselves within `window`; how long the asking for more waits."""

    alone: int
    window: timedelta
    waits: timedelta


def limits(settings: Settings, kind: BatchKind) -> Limits:
    """What is set."""
    bulk = settings.bulk
    alone = bulk.removals_alone if kind is BatchKind.REMOVE else bulk.invites_alone
    return Limits(alone, timedelta(minutes=bulk.within_minutes), timedelta(days=settings.approvals.expires_in_days))


@dataclass(frozen=True)
class Planned:
    """What would become of one line: WAITING, it would be begun; else the outcome that it has already.

    `places` are pairs (project id, role). `keys` that we issued, `personal_keys` and `memberships` are counts of what would end.
    """

    line: Line
    state: RowState
    sentence: str | None = None
    subject_id: str | None = None
    places: tuple[tuple[str, str], ...] = ()
    needs_yes: bool = False
    keys: int = 0
    personal_keys: int = 0
    memberships: int = 0


def plan(
    session: Session, kind: BatchKind, lines: Sequence[Line], actor: Actor, *, now: datetime, limits: Limits
) -> list[Planned]:
    """The outcome of each line as it looks now, those marked that need a second admin."""
    planner = _Removals(session, actor) if kind is BatchKind.REMOVE else _Invites(session)
    found = [_unusable(line) or planner.outcome(line) for line in lines]
    wanted = [number for number, each in enumerate(found) if each.state is RowState.WAITING]
    held = rules.needing_yes(len(wanted), recent=_recent(session, kind, now - limits.window), alone=limits.alone)
    for number in wanted[len(wanted) - held :] if held else []:
        found[number] = replace(found[number], needs_yes=True)
    return found


def _unusable(line: Line) -> Planned | None:
    if line.problem is not None:
        return Planned(line, RowState.INVALID, line.problem)
    if line.repeats is not None:
        return Planned(line, RowState.REPEATED, f"Line {line.repeats} has them already.")
    return None


def _recent(session: Session, kind: BatchKind, since: datetime) -> int:
    """How many were begun since then, by whomever and in whatever way, and those that batches still owe without asking."""
    table, at = (Offboarding, Offboarding.started_at) if kind is BatchKind.REMOVE else (Invite, Invite.created_at)
    begun = sa.select(sa.func.count()).select_from(table).where(at >= since)
    if kind is BatchKind.INVITE:
        begun = begun.where(Invite.issued_by_us.is_(True))
    owed = sa.select(sa.func.count()).select_from(BatchRow).join(Batch, Batch.id == BatchRow.batch_id)
    owed = owed.where(Batch.kind == kind, BatchRow.state == RowState.WAITING, BatchRow.needs_yes.is_(False))
    return (session.scalar(begun) or 0) + (session.scalar(owed) or 0)


def is_actor(session: Session, actor: Actor, person: Person | None) -> bool:
    """Whether the row means whoever sent the list."""
    return person is not None and person.id in approvals.people_behind(session, actor)


class _Removals:
    def __init__(self, session: Session, actor: Actor) -> None:
        self.session, self.actor = session, actor
        self.going: set[str] = set()

    def outcome(self, line: Line) -> Planned:
        try:
            subject = removals.subject_of(self.session, line.who)
        except NotFound:
            return Planned(line, RowState.UNKNOWN, f"Nobody here or at OpenAI is known as {line.who}.")
        earlier = removals.latest(self.session, subject.email)
        seated = subject.member is not None and subject.member.vanished_at is None
        left = subject.person is None or subject.person.state is PersonState.LEFT
        if earlier and (earlier.state is OffboardingState.CONTAINED or (not seated and subject.invite is None and left)):
            return Planned(line, RowState.ALREADY, subject_id=earlier.id)
        if is_actor(self.session, self.actor, subject.person):
            return Planned(line, RowState.REFUSED, "This is you. Nobody removes themselves with a list.")
        try:
            guards.check_may_go(self.session, subject, self.going)
        except PolicyViolation as refusal:
            return Planned(line, RowState.REFUSED, refusal.sentence)
        if subject.member is not None:
            self.going.add(subject.member.id)
        return self._would_end(line, subject.person, subject.member.remote_id if subject.member and seated else None)

    def _would_end(self, line: Line, person: Person | None, remote_id: str | None) -> Planned:
        found = Planned(line, RowState.WAITING)
        if person is not None:
            held = (Key.person_id == person.id, Key.kind == KeyKind.PERSONAL, Key.state.in_(OPEN_STATES))
            found = replace(found, keys=self._count(Key, *held))
        if remote_id is not None:
            own = (ObservedKey.owner_remote_id == remote_id, ObservedKey.vanished_at.is_(None))
            places = (ProjectMember.member_remote_id == remote_id, ProjectMember.vanished_at.is_(None))
            found = replace(found, personal_keys=self._count(ObservedKey, *own), memberships=self._count(ProjectMember, *places))
        return found

    def _count(self, table: type, *where: sa.ColumnElement[bool]) -> int:
        return self.session.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


class _Invites:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.open = projects.open_projects(session)

    def outcome(self, line: Line) -> Planned:
        try:
            places = tuple((self._project(name).id, role) for name, role in line.projects)
            member_rules.check_roles(line.role, [role for _, role in places])
        except InvalidInput as problem:
            return Planned(line, RowState.INVALID, problem.sentence)
        member, invite = members.find_member(self.session, line.who), members.open_invite(self.session, line.who)
        found = already(line.who, member, invite)
        if found is not None:
            return Planned(line, RowState.ALREADY, found, invite.id if invite else None, places)
        try:
            member_rules.check_may_invite(line.who, person=people.find(self.session, line.who), member=member, open_invite=invite)
        except REFUSALS as refusal:
            return Planned(line, RowState.REFUSED, refusal.sentence)
        return Planned(line, RowState.WAITING, places=places)

    def _project(self, name: str) -> Project:
        found = [each for each in self.open if name in (each.id, each.remote_id)] or [
            each for each in self.open if each.name.casefold() == name.casefold()
        ]
        if len(found) != 1:
            raise InvalidInput(
                f"Several projects are named “{name}”; write the id." if found else f"There is no open project “{name}”."
            )
        return found[0]


def already(who: str, member: Member | None, invite: Invite | None) -> str | None:
    """Why an invite would be one too many; None where it would not."""
    if member is not None and member.vanished_at is None:
        return f"{who} is a member already."
    return f"{who} has an open invite already." if invite is not None else None
