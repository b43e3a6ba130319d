"""Commands on an alert that was raised: acknowledge it, let it rest for a while, give it to somebody, open it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from govern.audit import service as audit
from govern.budgets.models import Alert, AlertState
from govern.core.errors import Conflict, InvalidInput, NotFound, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.people import queries as people
from govern.people.models import PersonState

LONGEST: Final = timedelta(days=90)
_DECIDED: Final = (AlertState.WITHDRAWN, AlertState.SUPERSEDED)


def acknowledge(uow: UnitOfWork, alert_id: str) -> Alert:
    """Somebody has seen it and deals with it. Repeating it changes nothing. Raises NotFound, Conflict (nothing is open)."""
    row = _open(uow, alert_id)
    if row.acknowledged_at is None:
        row.acknowledged_at, row.acknowledged_by, row.snoozed_until = uow.now, uow.actor.id, None
        audit.record(uow, "alert.acknowledged", row, label=row.label, window=row.window)
    return row


def snooze(uow: UnitOfWork, alert_id: str, *, until: datetime) -> Alert:
    """Let it rest until then; it is open again afterwards, and nothing is sent anew. `until` is aware.

    Raises NotFound, InvalidInput, Conflict (acknowledged, or nothing is open).
    """
    row = _open(uow, alert_id)
    if row.acknowledged_at is not None:
        raise Conflict("The alert is acknowledged. Open it again first.")
    if not uow.now < until <= uow.now + LONGEST:
        raise InvalidInput("Snooze it until a time within 90 days.", {"until": "Later than now, at most 90 days from now."})
    if row.snoozed_until != until:
        row.snoozed_until = until
        audit.record(uow, "alert.snoozed", row, label=row.label, window=row.window, until=until)
    return row


def assign(uow: UnitOfWork, alert_id: str, person: str) -> Alert:
    """This person is to look at it; its state stays. Raises NotFound, Conflict (nothing is open), PolicyViolation (has left)."""
    row, who = _open(uow, alert_id), people.get(uow.session, person)
    if who.state is not PersonState.ACTIVE:
        raise PolicyViolation(f"{who.email} has left or is leaving.", "holder_active")
    if row.assigned_to != who.id:
        row.assigned_to = who.id
        audit.record(uow, "alert.assigned", row, label=row.label, window=row.window, to=who.email)
    return row


def reopen(uow: UnitOfWork, alert_id: str) -> Alert:
    """Take an acknowledgement or a snooze back. Of an open one nothing changes. Raises NotFound, Conflict (nothing is open)."""
    row = _open(uow, alert_id)
    if row.state(uow.now) is not AlertState.OPEN:
        row.acknowledged_at = row.acknowledged_by = row.snoozed_until = None
        audit.record(uow, "alert.reopened", row, label=row.label, window=row.window)
    return row


def _open(uow: UnitOfWork, alert_id: str) -> Alert:
    row = uow.session.get(Alert, alert_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"There is no alert {alert_id!r}.")
    if (state := row.state(uow.now)) in _DECIDED:
        raise Conflict(f"The alert is {state.value}; there is nothing to decide.")
    return row
