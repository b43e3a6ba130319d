"""The sync ledger: which days of an endpoint are due, and storing a day that was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core.uow import UnitOfWork
from govern.usage import closing, daily, partitions, rollup
from govern.usage.models import SyncWindow
from govern.usage.rules import COSTS, DAY, Pulled, due_days, is_settled, midnight
from govern.usage.staging import Staged
from govern.usage.writers import CostWriter, Writer


def due_of(
    session: Session, writer: Writer, *, now: datetime, trailing_days: int | None, backfill_days: int
) -> list[date]:  # fmt: skip
    """The days of the writer's endpoint to read now, oldest first. `trailing_days` None: only those that were never read."""
    ledger = {
        day: Pulled(pulled_at)
        for day, pulled_at in session.execute(sa.select(SyncWindow.day, SyncWindow.pulled_at).where(_of(writer)))
        if pulled_at
    }
    if trailing_days is None:
        today = now.date()
        wanted = (today - number * DAY for number in range(backfill_days, -1, -1))
        return [day for day in wanted if day not in ledger]
    return due_days(ledger, now=now, trailing_days=trailing_days, backfill_days=backfill_days)


def stored_digests(session: Session, writer: Writer, start: date, end: date) -> dict[int, str]:
    """Bucket → digest of what is stored of the days `[start, end)`."""
    rows = session.scalars(sa.select(SyncWindow.digests).where(_of(writer), SyncWindow.day >= start, SyncWindow.day < end))
    return {int(bucket): digest for digests in rows for bucket, digest in digests.items()}


def open_windows(uow: UnitOfWork, writer: Writer, days: Sequence[date]) -> list[SyncWindow]:
    """The ledger's entries of these days, new ones for those that were never read."""
    found = uow.session.scalars(sa.select(SyncWindow).where(_of(writer), SyncWindow.day.between(days[0], days[-1])))
    known = {window.day: window for window in found}
    for day in days:
        if day not in known:
            known[day] = SyncWindow(endpoint=writer.endpoint, width=writer.width, day=day, rows=0, digests={})
            uow.session.add(known[day])
    return [known[day] for day in days]


def store(uow: UnitOfWork, writer: Writer, staged: Staged, window: SyncWindow, began: datetime) -> Counter[str]:
    """Make what is stored of the window's day what was read of it. Returns counts."""
    counts: Counter[str] = Counter(days=1)
    day = window.day
    if window.pulled_at is not None and window.pulled_at > began:  # somebody read it later than we did and has stored it
        return counts
    buckets = staged.of_day(day)
    stored = {int(bucket): digest for bucket, digest in window.digests.items()}
    changed = [start for start, bucket in sorted(buckets.items()) if stored.get(start) not in (None, bucket.digest)]
    fresh = [start for start in sorted(buckets) if start not in stored]
    gone = sorted(stored.keys() - buckets.keys())
    if any(start not in staged.spool for start in (*changed, *fresh)):
        return counts  # somebody else stored the day since we began; what we did not keep is now needed, so read it again
    differs = bool(changed or fresh or gone)
    if differs and window.purged_at is not None:
        return counts  # its hours were forgotten: there is nothing to compare with
    was_over = window.covers_until is not None and window.covers_until >= midnight(day + DAY)
    was_final, is_bill = window.settled_at is not None, writer.endpoint == COSTS
    if differs:
        if not is_bill:
            partitions.ensure(uow.session, [day])
        total = closing.billed(uow.session, day, day + DAY) if is_bill and was_final else None
        amounts = _amounts(uow, writer, day)
        counts.update(writer.replace(uow.session, staged.spool, fresh, [*changed, *gone])._asdict())
        window.digests = {str(start): bucket.digest for start, bucket in buckets.items()}
        window.rows = sum(bucket.rows for bucket in buckets.values())
        window.restated_at = began if was_over else window.restated_at
        if amounts is not None:
            counts["adjustments"] += closing.adjust(uow, day, amounts, _amounts(uow, writer, day) or {})
        if total is not None:
            after = closing.billed(uow.session, day, day + DAY)
            audit.record(uow, "costs.restated", ("days", day.isoformat()), before=total, after=after)
        daily.mark(uow.session, [day])
    window.pulled_at, window.covers_until = began, min(began, midnight(day + DAY))
    final = is_settled(day, pulled_at=began, restated_at=window.restated_at)
    window.settled_at = (window.settled_at or began) if final else None
    if is_bill and final != was_final and not differs:
        uow.session.flush()
        rollup.mark_counting(uow.session, [day])
    counts["unchanged"] += not differs
    return counts


def _amounts(uow: UnitOfWork, writer: Writer, day: date) -> Mapping[int, int] | None:
    """The day's amounts, if it lies in a month that is closed."""
    if isinstance(writer, CostWriter) and closing.is_closed(uow.session, day):
        return writer.amounts(uow.session, day)
    return None


def _of(writer: Writer) -> sa.ColumnElement[bool]:
    return sa.and_(SyncWindow.endpoint == writer.endpoint, SyncWindow.width == writer.width)
