"""Reads of OpenAI's own audit log: what it tells of a thing, who made a change, and how far the log is to be believed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.calls import ProviderCall
from govern.core.errors import NotFound
from govern.inventory.models import AdminKey, EventLog, ProviderEvent, Verdict
from govern.inventory.rules import should_show

SETTLED: Final = timedelta(minutes=15)
"""So long after a change its event should be in the log."""
WATCHED: Final = timedelta(days=1)
"""For so long the event of a change of ours is waited for."""
RECENT: Final = timedelta(minutes=30)
_ENDS: Final = ("deleted", "removed", "archived", "revoked")


class LogState(StrEnum):
    """READ: it is pulled. STALE: not for half an hour. OFF: the organization has not switched it on. NEVER_READ: not yet."""

    READ = "read"
    STALE = "stale"
    OFF = "off"
    NEVER_READ = "never_read"


@dataclass(frozen=True)
class LogStanding:
    """How far OpenAI's audit log is to be believed.

    It knows nothing of before `known_from` and of after `read_until`. `not_shown`: changes of ours in the last day that OpenAI
    carried out a quarter of an hour before the log was read, and of which it shows nothing: it is delayed or cut short.
    """

    state: LogState
    known_from: datetime | None
    read_until: datetime | None
    not_shown: int

    def covers(self, since: datetime, until: datetime) -> bool:
        """Whether everything between these times should be in it, so that a missing event means something."""
        known = self.known_from is not None and self.read_until is not None
        whole = self.state is LogState.READ and not self.not_shown
        return known and whole and self.known_from <= since and until + SETTLED <= self.read_until  # type: ignore[operator]


def log_standing(session: Session, now: datetime) -> LogStanding:
    """How far the log is to be believed."""
    row = session.get(EventLog, "audit_log")
    if row is None:
        return LogStanding(LogState.NEVER_READ, None, None, 0)
    state = LogState.READ if now - row.asked_at <= RECENT else LogState.STALE
    missing = len(calls_not_shown(session, now)) if row.is_on else 0
    return LogStanding(state if row.is_on else LogState.OFF, row.known_from, row.read_until, missing)


def calls_not_shown(session: Session, now: datetime) -> list[ProviderCall]:
    """Changes of ours of the last day of which the log should show an event by now, and shows none. Oldest first."""
    log = session.get(EventLog, "audit_log")
    if log is None or log.known_from is None or log.read_until is None:
        return []
    joined = sa.select(ProviderEvent.call_id).where(ProviderEvent.call_id == ProviderCall.id).exists()
    query = sa.select(ProviderCall).where(ProviderCall.at >= now - WATCHED, ProviderCall.status < 300, ~joined)
    rows = session.scalars(query.order_by(ProviderCall.id))
    shown = _ended_ids(session, now - WATCHED - SETTLED)
    return [
        call for call in rows
        if should_show(call, log.known_from, log.read_until - SETTLED)
        # Asking again for the end of what had ended is answered with success; there is one event for both.
        and not (call.method == "DELETE" and call.path.rpartition("/")[2] in shown)
    ]  # fmt: skip


def _ended_ids(session: Session, since: datetime) -> set[str]:
    query = sa.select(ProviderEvent.resource_remote_id).where(ProviderEvent.at >= since, _is_end())
    return {name for name in session.scalars(query) if name}


def our_admin_keys(session: Session) -> set[str]:
    """OpenAI's ids of the admin keys with which this service calls, or has called: what a key made that explains our calls."""
    query = sa.select(ProviderEvent.actor_key_remote_id).where(ProviderEvent.is_ours).distinct()
    now = set(session.scalars(sa.select(AdminKey.remote_id).where(AdminKey.is_ours)))
    return now | {name for name in session.scalars(query) if name}


def unexplained(session: Session, since: datetime) -> Sequence[ProviderEvent]:
    """Events made with our admin key since then that no call of ours explains so far."""
    query = sa.select(ProviderEvent).where(ProviderEvent.by_our_key, ~ProviderEvent.is_ours, ProviderEvent.at >= since)
    return session.scalars(query.order_by(ProviderEvent.id)).all()


def events_about(session: Session, remote_ids: Collection[str], *, since: datetime | None = None) -> Sequence[ProviderEvent]:
    """Everything that the log tells of these things (OpenAI's ids), oldest first."""
    found: list[ProviderEvent] = []
    wanted = sorted(remote_ids)
    for start in range(0, len(wanted), 500):
        query = sa.select(ProviderEvent).where(ProviderEvent.resource_remote_id.in_(wanted[start : start + 500]))
        if since is not None:
            query = query.where(ProviderEvent.at >= since.replace(microsecond=0))  # OpenAI tells whole seconds
        found += session.scalars(query)
    return sorted(found, key=lambda event: (event.at, event.id))


def ends_of(session: Session, remote_ids: Collection[str], *, since: datetime | None = None) -> dict[str, ProviderEvent]:
    """OpenAI's id → the event that says that this thing was ended, the last one. What the log does not tell is not in it.

    A key that went with its service account has no event of its own: ask for the account as well.
    """
    events = events_about(session, remote_ids, since=since)
    return {str(event.resource_remote_id): event for event in events if event.type.rpartition(".")[2] in _ENDS}


def get_event(session: Session, event_id: str) -> ProviderEvent:
    """The event, by our id or by OpenAI's. Raises NotFound."""
    which = sa.or_(ProviderEvent.id == event_id, ProviderEvent.remote_id == event_id)
    found = session.scalars(sa.select(ProviderEvent).where(which)).first()
    if found is None:
        raise NotFound(f"There is no event {event_id!r}.")
    return found


def find_events(
    session: Session, *, before: str | None = None, limit: int = 50, verdict: Verdict | None = None, type_: str | None = None,
    search: str | None = None, about: str | None = None, actor: str | None = None, since: datetime | None = None,
) -> Sequence[ProviderEvent]:  # fmt: skip
    """Events, newest first by when they happened, after the id `before`.

    `type_` is a whole type or a beginning that ends in a dot (`api_key.`); `about` OpenAI's id of what was changed; `actor` an
    address or an id; `search` looks into type, subject and actor without case.
    """
    event = ProviderEvent
    query = sa.select(event).order_by(event.at.desc(), event.id.desc()).limit(limit)
    if before is not None and (last := session.get(event, before)) is not None:
        query = query.where(sa.or_(event.at < last.at, sa.and_(event.at == last.at, event.id < last.id)))
    if verdict is not None:
        query = query.where(_judged(verdict))
    if type_:
        query = query.where(event.type.startswith(type_, autoescape=True) if type_.endswith(".") else event.type == type_)
    if about:
        query = query.where(event.resource_remote_id == about)
    if actor:
        who = (event.actor_email == actor.casefold(), event.actor_remote_id == actor, event.actor_key_remote_id == actor)
        query = query.where(sa.or_(*who))
    if search:
        places = (event.type, event.resource_remote_id, event.actor_email, event.actor_remote_id, event.remote_id)
        query = query.where(sa.or_(*(place.icontains(search, autoescape=True) for place in places)))
    if since is not None:
        query = query.where(event.at >= since)
    return session.scalars(query).all()


def verdicts(session: Session, since: datetime) -> dict[Verdict, int]:
    """How many events of each verdict happened since then."""
    event = ProviderEvent
    rows = session.execute(
        sa.select(*(sa.func.sum(sa.case((_judged(each), 1), else_=0)) for each in Verdict)).where(event.at >= since)
    ).one()
    return {each: int(count or 0) for each, count in zip(Verdict, rows, strict=True)}


def _judged(verdict: Verdict) -> sa.ColumnElement[bool]:
    event = ProviderEvent
    conditions: dict[Verdict, sa.ColumnElement[bool]] = {
        Verdict.OURS: event.is_ours.is_(True),
        Verdict.AROUND_US: sa.and_(~event.is_ours, ~event.by_our_key),
        Verdict.OUR_KEY: sa.and_(~event.is_ours, event.by_our_key, ~event.is_history),
        Verdict.BEFORE: sa.and_(~event.is_ours, event.by_our_key, event.is_history),
    }
    return conditions[verdict]


def _is_end() -> sa.ColumnElement[bool]:
    return sa.or_(*(ProviderEvent.type.endswith(f".{word}") for word in _ENDS))
