"""What the rules look at: the inventory as it was last seen, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core import readings
from govern.core.db import Money
from govern.core.outbox import Effect, EffectState
from govern.inventory.models import AdminKey, Adoption, ProviderEvent, RoleAssignment
from govern.keys.models import Key, KeyKind, KeyState, KeyVersion, ObservedKey, Reveal
from govern.members.models import Invite, InviteState, Member
from govern.members.sync import SWEEP as DIRECTORY
from govern.offboarding.models import Offboarding
from govern.people.models import Identity, Person
from govern.policies import queries as policies
from govern.policies.rules import Allowed
from govern.projects.models import Project, ServiceAccount
from govern.usage.models import DailySpend


@dataclass(frozen=True)
class Thresholds:
    """From when on something is worth a look."""

    dormant: timedelta
    never_used: timedelta
    over_age: timedelta
    stale_invite: timedelta
    admin_key: timedelta
    changed: timedelta
    personal_keys: bool = True


@dataclass(frozen=True)
class Snapshot:
    """Rows as they stand; mappings are by the id that the rule asks with. Only what is listed now, unless said otherwise."""

    now: datetime
    limits: Thresholds
    swept_at: datetime | None = None
    """When the last whole directory sync ended."""
    people: Mapping[str, Person] = field(default_factory=dict)
    known_people: frozenset[str] = frozenset()
    """Ids of those who stand in the directory or have signed in."""
    has_directory: bool = False
    left_at: Mapping[str, datetime] = field(default_factory=dict)
    """Person id → when their last removal was proven."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """OpenAI's user id → the seat."""
    all_members: Mapping[str, Member] = field(default_factory=dict)
    """Vanished ones too: a key may outlive its owner's seat."""
    keys: Sequence[ObservedKey] = ()
    accounts: Sequence[ServiceAccount] = ()
    projects: Mapping[str, Project] = field(default_factory=dict)
    versions: Mapping[str, KeyVersion] = field(default_factory=dict)
    our_keys: Mapping[str, Key] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    """Ids of rows for which an effect is still owed."""
    seen_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Version id → ids of the people who saw its value."""
    allowed: Mapping[str, Allowed] = field(default_factory=dict)
    """Key id → what policy or an approval lets it do; keys that may do everything are not in it."""
    adopted: Mapping[str, str] = field(default_factory=dict)
    """OpenAI's key id → id of the person who answers for it."""
    last_uses: Mapping[str, datetime] = field(default_factory=dict)
    spend: Mapping[str, Decimal] = field(default_factory=dict)
    """OpenAI's key id → dollars of the last 30 days."""
    invites: Sequence[Invite] = ()
    accepted: Mapping[str, Invite] = field(default_factory=dict)
    """Address → the last invite of ours that was accepted."""
    admin_keys: Sequence[AdminKey] = ()
    roles: Sequence[RoleAssignment] = ()
    events: Sequence[ProviderEvent] = ()
    """Changes around us, recent ones."""


def take(session: Session, now: datetime, limits: Thresholds) -> Snapshot:
    """Read it all. A few statements, each over one table."""
    people = {row.id: row for row in session.scalars(sa.select(Person))}
    signed_in = set(session.scalars(sa.select(Identity.person_id)))
    members = {row.remote_id: row for row in session.scalars(sa.select(Member))}
    versions = {row.id: row for row in session.scalars(sa.select(KeyVersion))}
    seen: dict[str, set[str]] = {}
    shared = sa.select(Key.id).where(Key.kind == KeyKind.SHARED, Key.state == KeyState.LIVE)
    for version_id, person_id in session.execute(
        sa.select(Reveal.version_id, Reveal.actor_id).where(Reveal.key_id.in_(shared)).distinct()
    ):
        seen.setdefault(version_id, set()).add(person_id)
    accepted = sa.select(Invite).where(Invite.state == InviteState.ACCEPTED, Invite.issued_by_us).order_by(Invite.id)
    done = sa.select(Offboarding.person_id, sa.func.max(Offboarding.done_at)).where(Offboarding.done_at.is_not(None))
    recent = ProviderEvent.at >= now - limits.changed
    foreign = sa.select(ProviderEvent).where(~ProviderEvent.is_ours, ~ProviderEvent.is_history, recent)
    spend, uses = _spend(session, now.date())
    our_keys = {row.id: row for row in session.scalars(sa.select(Key))}
    return Snapshot(
        now=now,
        limits=limits,
        swept_at=readings.completed_at(session, DIRECTORY),
        people=people,
        known_people=frozenset(
            row.id
            for row in people.values()
            if row.directory_gone_at is None and (row.id in signed_in or row.directory_at is not None)
        ),
        has_directory=any(row.directory_at is not None for row in people.values()),
        left_at={str(row[0]): row[1] for row in session.execute(done.group_by(Offboarding.person_id)) if row[0] and row[1]},
        members={remote_id: row for remote_id, row in members.items() if row.vanished_at is None},
        all_members=members,
        keys=_keys(session),
        accounts=session.scalars(sa.select(ServiceAccount).where(ServiceAccount.vanished_at.is_(None))).all(),
        projects={row.id: row for row in session.scalars(sa.select(Project))},
        versions=versions,
        our_keys=our_keys,
        allowed=policies.allowed_by_key(session, (key for key in our_keys.values() if key.state is KeyState.LIVE)),
        busy=frozenset(session.scalars(sa.select(Effect.subject_id).where(Effect.state == EffectState.READY))),
        seen_by={version_id: frozenset(who) for version_id, who in seen.items()},
        adopted={row.key_remote_id: row.person_id for row in session.scalars(sa.select(Adoption))},
        last_uses=uses,
        spend=spend,
        invites=session.scalars(sa.select(Invite).where(Invite.state == InviteState.PENDING)).all(),
        accepted={row.email: row for row in session.scalars(accepted)},
        admin_keys=session.scalars(sa.select(AdminKey).where(AdminKey.vanished_at.is_(None))).all(),
        roles=session.scalars(sa.select(RoleAssignment).where(RoleAssignment.vanished_at.is_(None))).all(),
        events=session.scalars(foreign.order_by(ProviderEvent.id)).all(),
    )


def _keys(session: Session) -> Sequence[ObservedKey]:
    """Listed ones. Those of archived projects are dead for good: there is nothing to decide about them."""
    dead = sa.select(Project.id).where(Project.archived_at.is_not(None))
    query = sa.select(ObservedKey).where(ObservedKey.vanished_at.is_(None), ObservedKey.project_id.not_in(dead))
    return session.scalars(query).all()


def _spend(session: Session, today: date) -> tuple[dict[str, Decimal], dict[str, datetime]]:
    """Dollars of the last 30 days per key, and the last day on which requests were reported."""
    key = DailySpend.api_key_remote_id
    recent = sa.select(key, sa.func.sum(DailySpend.amount, type_=Money())).where(
        DailySpend.counts, key != "", DailySpend.day > today - timedelta(days=30), DailySpend.day <= today
    )
    used = sa.select(key, sa.func.max(DailySpend.day)).where(DailySpend.requests > 0, key != "").group_by(key)
    uses = {row[0]: datetime.combine(row[1], time(0), UTC) for row in session.execute(used)}
    return {row[0]: row[1] for row in session.execute(recent.group_by(key))}, uses
