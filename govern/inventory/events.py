"""Pull OpenAI's own audit log, and say of every event whether a call of ours made it or whether it was made around us."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.access_ports import AuditSource, RemoteEvent
from govern.core import readings
from govern.core.calls import ProviderCall
from govern.core.clock import utcnow
from govern.core.crypto import contains_secret
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.inventory import queries
from govern.inventory.models import EventLog, ProviderEvent
from govern.inventory.rules import NEAR, Calls
from govern.keys.models import KeyVersion, ObservedKey
from govern.projects.models import Project, ServiceAccount

JOB: Final = Actor(ActorKind.JOB, "events.pull", "events.pull")
SWEEP: Final = "audit_log"
OVERLAP: Final = timedelta(hours=1)
"""An event may appear later than one that happened after it; what is read twice is recognized by its id."""
HISTORY: Final = timedelta(days=30)
AGAIN: Final = timedelta(days=1)
"""How long an event made with our key and explained by no call is looked at again: the call may have been written down since."""
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
    asked_at = utcnow()
    with unit_of_work.reading() as session:
        first = session.get(readings.Reading, (SWEEP, "")) is None
        since = _since(session, asked_at)
    listed = source.events(since)
    with unit_of_work(JOB) as uow:
        _note(uow, asked_at, since, is_on=listed is not None)
        if listed is None:
            return Pulled({"added": 0, "around_us": 0, "with_our_key": 0, "enabled": 0})
        number = readings.begin(uow, SWEEP)
        known = _known(uow.session, [event.id for event in listed])
        fresh = {event.id: event for event in listed if event.id not in known}
        rows = [_row(uow, event, is_history=first) for event in fresh.values()]
        uow.session.add_all(rows)
        uow.session.flush()
        _judge(uow, [*rows, *queries.unexplained(uow.session, uow.now - AGAIN)])
        readings.finish(uow, SWEEP, number)
        foreign = [row for row in rows if not row.is_ours and not row.is_history]
        moved = [_place(uow.session, row) for row in foreign if row.type.startswith(MOVING)]
    with_our_key = sum(row.by_our_key for row in foreign)
    report = {"added": len(rows), "around_us": len(foreign), "with_our_key": with_our_key, "enabled": 1}
    return Pulled(report, frozenset(place for place in moved if place), None in moved)


def _since(session: Session, now: datetime) -> datetime:
    """From when on to ask. Where the log does not show a change of ours yet, it is asked for that time again."""
    newest = session.scalar(sa.select(sa.func.max(ProviderEvent.at)))
    if newest is None:
        return now - HISTORY
    # OpenAI's clock may be ahead of ours: an event from the future must not hide the present.
    since: datetime = min(newest, now) - OVERLAP
    waiting: list[datetime] = [call.at - NEAR for call in queries.calls_not_shown(session, now)]
    return min([since, *waiting])


def _note(uow: UnitOfWork, asked_at: datetime, since: datetime, *, is_on: bool) -> None:
    row = uow.session.get(EventLog, SWEEP)
    if row is None:
        row = EventLog(id=SWEEP, known_from=since if is_on else None)
        uow.session.add(row)
    elif is_on and not row.is_on:
        row.known_from = asked_at  # what happened while it was off was not written down
    row.is_on, row.asked_at = is_on, asked_at
    row.read_until = asked_at if is_on else row.read_until


def _known(session: Session, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        query = sa.select(ProviderEvent.remote_id).where(ProviderEvent.remote_id.in_(ids[start : start + 500]))
        found |= set(session.scalars(query))
    return found


def _row(uow: UnitOfWork, event: RemoteEvent, *, is_history: bool) -> ProviderEvent:
    details = {name: value for name, value in event.details.items() if not contains_secret(str(value))}
    return ProviderEvent(
        id=uow.new_id("pev"), remote_id=event.id, type=event.type[:120], at=event.at, project_remote_id=event.project_id,
        resource_remote_id=(event.resource_id or "")[:200] or None, actor_kind=event.actor_kind, actor_remote_id=event.actor_id,
        actor_email=(event.actor_email or "").casefold()[:320] or None, actor_key_remote_id=event.actor_key_id,
        request_id=event.request_id, is_ours=False, by_our_key=False, is_history=is_history, details=_plain(details),
        first_seen_at=uow.now,
    )  # fmt: skip


def _judge(uow: UnitOfWork, rows: Sequence[ProviderEvent]) -> None:
    """Find the call of ours that made each event."""
    if not rows:
        return
    session = uow.session
    our_keys = queries.our_admin_keys(session)
    begin, end = min(row.at for row in rows) - NEAR, max(row.at for row in rows) + NEAR
    near = sa.select(ProviderCall).where(ProviderCall.at >= begin, ProviderCall.at <= end)
    joined = sa.select(ProviderEvent.call_id, ProviderEvent.type).where(
        ProviderEvent.call_id.is_not(None), ProviderEvent.at >= begin - NEAR, ProviderEvent.at <= end + NEAR
    )
    spent = {(str(row[0]), row[1]) for row in session.execute(joined)}
    calls = Calls(session.scalars(near.order_by(ProviderCall.id)).all(), spent)
    owners = _owners(session, {row.resource_remote_id for row in rows if row.resource_remote_id})
    for row in sorted(rows, key=lambda each: each.at):
        row.by_our_key = row.actor_key_remote_id is not None and row.actor_key_remote_id in our_keys
        found = calls.explain(_as_told(row), owners.get(row.resource_remote_id or ""), our_keys)
        if found is not None:
            row.is_ours, row.call_id, row.joined_by = True, found.call_id, found.by.value


def _owners(session: Session, key_ids: Collection[str]) -> dict[str, str]:
    """OpenAI's id of a key → that of the account or user that it belongs or belonged to."""
    wanted = sorted(key_ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        for key, owner in (
            (ObservedKey.remote_id, ObservedKey.owner_remote_id), (KeyVersion.remote_id, KeyVersion.service_account_remote_id),
        ):  # fmt: skip
            rows = session.execute(sa.select(key, owner).where(key.in_(part)))
            found |= {str(row[0]): str(row[1]) for row in rows if row[1] is not None}
    return found


def _as_told(row: ProviderEvent) -> RemoteEvent:
    return RemoteEvent(
        id=row.remote_id, type=row.type, at=row.at, project_id=row.project_remote_id, resource_id=row.resource_remote_id,
        actor_kind=row.actor_kind, actor_id=row.actor_remote_id, actor_email=row.actor_email,
        actor_key_id=row.actor_key_remote_id, request_id=row.request_id, details=row.details,
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
