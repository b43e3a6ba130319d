"""Forgetting hours: what they add up to by day is kept for ever."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from govern.core.uow import UnitOfWork
from govern.usage import partitions
from govern.usage.bulk import serialize
from govern.usage.models import SyncWindow
from govern.usage.records import StaleDay
from govern.usage.rules import COSTS


def forget_hours(uow: UnitOfWork, *, after: timedelta) -> int:
    """Delete hourly facts of days that ended so long ago; of how many windows. Days that wait for their rollups are left."""
    serialize(uow.session)
    day = (uow.now - after).date()
    if waiting := uow.session.scalar(sa.select(sa.func.min(StaleDay.day))):
        day = min(day, waiting)
    old = (SyncWindow.day < day, SyncWindow.endpoint != COSTS, SyncWindow.purged_at.is_(None))
    done = uow.session.execute(sa.update(SyncWindow).where(*old).values(purged_at=uow.now, digests={}))
    if done.rowcount:  # type: ignore[attr-defined]
        partitions.drop_before(uow.session, day)
    return int(done.rowcount)  # type: ignore[attr-defined]
