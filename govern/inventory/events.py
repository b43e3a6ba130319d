"""Pull OpenAI's own audit log and say of every event whether it was ours or made around us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.access_ports import AuditSource, RemoteEvent
from govern.core import readings
from govern.core.clock import utcnow
from govern.core.crypto import contains_secret
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.inventory.models import AdminKey, ProviderEvent
from govern.keys.models import ObservedKey
from govern.projects.models import Project, ServiceAccount

JOB: Final = Actor(ActorKind.JOB, "events.pull", "events.pull")
SWEEP: Final = "audit_log"
OVERLAP: Final = timedelta(minutes=10)
"""An event may appear later than one that happened after it; what is read twice is recognized by its id."""
HISTORY: Final = timedelta(days=30)
MOVING: Final = ("api_key.", "service_account.", "project.", "user.", "invite.")
"""Events that change what the directory sync lists."""


@dataclass(frozen=True)
class Pulled:
    """What a pull brought. `projects`: OpenAI's ids of those that were changed around us; `elsewhere`: somewhere was, and the
    event does not tell where."""

    report: dict[str, int]
    projects: frozenset[str] = field(default_factory=frozenset)
    elsewhere: bool = False


def pull(unit_of_work: UnitsOfWork, source: AuditSource) -> Pulled:
    """Store every event that is not known yet. `enabled` 0: the organization's log is not switched on."""
    with unit_of_work.reading() as session:
        newest = session.scalar(sa.select(sa.func.max(ProviderEvent.at)))
        first = session.get(readings.Reading, (SWEEP, "")) is None
        ours = set(session.scalars(sa.select(AdminKey.remote_id).where(AdminKey.is_ours)))
    # OpenAI's clock may be ahead of ours: an event from the future must not hide the present.
    listed = source.events(min(newest, utcnow()) - OVERLAP if newest else utcnow() - HISTORY)
    if listed is None:
        return Pulled({"added": 0, "around_us": 0, "enabled": 0})
    with unit_of_work(JOB) as uow:
        number = readings.begin(uow, SWEEP)
        known = _known(uow.session, [event.id for event in listed])
        fresh = {event.id: event for event in listed if event.id not in known}
        rows = [_row(uow, event, is_ours=event.actor_key_id in ours, is_history=first) for event in fresh.values()]
        uow.session.add_all(rows)
        readings.finish(uow, SWEEP, number)
        foreign = [row for row in rows if not row.is_ours and not row.is_history]
        moved = [_place(uow.session, row) for row in foreign if row.type.startswith(MOVING)]
    report = {"added": len(rows), "around_us": len(foreign), "enabled": 1}
    return Pulled(report, frozenset(place for place in moved if place), None in moved)


def _known(session: Session, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        query = sa.select(ProviderEvent.remote_id).where(ProviderEvent.remote_id.in_(ids[start : start + 500]))
        found |= set(session.scalars(query))
    return found


def _row(uow: UnitOfWork, event: RemoteEvent, *, is_ours: bool, is_history: bool) -> ProviderEvent:
    details = {name: value for name, value in event.details.items() if not contains_secret(str(value))}
    return ProviderEvent(
        id=uow.new_id("pev"), remote_id=event.id, type=event.type[:120], at=event.at, project_remote_id=event.project_id,
        resource_remote_id=(event.resource_id or "")[:200] or None, actor_kind=event.actor_kind, actor_remote_id=event.actor_id,
        actor_email=(event.actor_email or "").casefold()[:320] or None, actor_key_remote_id=event.actor_key_id, is_ours=is_ours,
        is_history=is_history, details=_plain(details), first_seen_at=uow.now,
    )  # fmt: skip


def _plain(value: object) -> object:
    """As JSON can hold it: amounts come as exact decimals."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _place(session: Session, event: ProviderEvent) -> str | None:
    """OpenAI's id of the project that the event changed. The one that it names is often only the default project, so what was
    changed is asked first."""
    for table in (ObservedKey, ServiceAccount):
        query = sa.select(Project.remote_id).join(table, table.project_id == Project.id)
        place = session.scalar(query.where(table.remote_id == event.resource_remote_id))
        if place is not None:
            return place
    named = sa.select(Project).where(Project.remote_id == event.project_remote_id)
    project = session.scalars(named).one_or_none()
    return project.remote_id if project is not None and not project.is_default else None
