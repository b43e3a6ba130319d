"""Months that are closed, and what OpenAI changed of them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core.db import Money
from govern.core.uow import UnitOfWork
from govern.usage.models import CostFact, CostSeries, SyncWindow
from govern.usage.records import ClosedMonth, CostAdjustment
from govern.usage.rules import COSTS, CURRENCY, DAY, closes_at, following_month


def is_closed(session: Session, day: date) -> bool:
    """Whether the month of this day is closed."""
    return session.get(ClosedMonth, day.replace(day=1)) is not None


def billed(session: Session, start: date, end: date) -> Decimal:
    """What is billed now for the UTC days `[start, end)`, in US dollars."""
    total = (
        sa.select(sa.func.sum(CostFact.amount, type_=Money()))
        .join(CostSeries, CostSeries.id == CostFact.series_id)
        .where(CostFact.day >= start, CostFact.day < end, CostSeries.currency == CURRENCY)
    )
    return session.scalar(total) or Decimal(0)


def closable(session: Session, now: datetime) -> list[date]:
    """The months, by their first day, whose every day was read after they were to be closed, and that are not closed yet."""
    done = set(session.scalars(sa.select(ClosedMonth.first_day)))
    read: dict[date, set[date]] = {}
    rows = session.execute(sa.select(SyncWindow.day, SyncWindow.pulled_at).where(SyncWindow.endpoint == COSTS))
    for day, pulled_at in rows:
        if pulled_at is not None and closes_at(day) <= pulled_at and closes_at(day) <= now:
            read.setdefault(day.replace(day=1), set()).add(day)
    return sorted(
        month for month, days in read.items() if month not in done and len(days) == (following_month(month) - month) // DAY
    )


def close(uow: UnitOfWork, months: list[date]) -> None:
    """Write down what was billed for each month."""
    for month in months:
        total = billed(uow.session, month, following_month(month))
        uow.session.add(ClosedMonth(first_day=month, closed_at=uow.now, billed=total))
        audit.record(uow, "month.closed", ("months", f"{month:%Y-%m}"), billed=total)


def adjust(uow: UnitOfWork, day: date, before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """List what changed of a day in a closed month, from series → nano-dollars before and after; how many rows."""
    changed = [each for each in sorted({*before, *after}) if before.get(each, 0) != after.get(each, 0)]
    for series_id in changed:
        old, new = (Decimal(amounts.get(series_id, 0)).scaleb(-9) for amounts in (before, after))
        uow.session.add(
            CostAdjustment(
                id=uow.new_id("adj"), day=day, series_id=series_id, found_at=uow.now, before=old, after=new
            )
        )  # fmt: skip
    return len(changed)
