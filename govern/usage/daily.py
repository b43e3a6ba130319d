"""From hours to days to spend: the rollups of days whose facts or attribution changed, each in a transaction of its own.

What writes facts marks the day (`mark`) in the same transaction, and the rollups take the mark away in theirs. Whatever dies
in between: the mark stays, and the next run goes on. Each endpoint may touch a day; its rollups are made once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.crashpoints import crashpoint
from govern.core.inserting import insert_new
from govern.core.uow import Actor, UnitsOfWork
from govern.usage import rollup
from govern.usage.bulk import serialize
from govern.usage.models import SyncWindow, UsageFact
from govern.usage.prices import PriceBook
from govern.usage.records import StaleDay, UsageDay
from govern.usage.rules import DAY, midnight


def mark(session: Session, days: Iterable[date]) -> None:
    """Say that the rollups of these days lag behind."""
    insert_new(session, StaleDay, [{"day": day} for day in days])


def roll_up(unit_of_work: UnitsOfWork, actor: Actor, prices: PriceBook) -> int:
    """Make the rollups of every marked day, newest first; how many."""
    with unit_of_work.reading() as session:
        days = session.scalars(sa.select(StaleDay.day).order_by(StaleDay.day.desc())).all()
    for day in days:
        with unit_of_work(actor) as uow:
            serialize(uow.session)
            fold(uow.session, day)
            rollup.recompute(uow.session, [day], prices)
            uow.session.execute(sa.delete(StaleDay).where(StaleDay.day == day))
            crashpoint("usage.sync.rolling")
        crashpoint("usage.sync.rolled_up")
    return len(days)


def fold(session: Session, day: date) -> None:
    """Add up the hours of the day. A day whose hours were forgotten keeps the sums that it has."""
    forgotten = sa.select(SyncWindow.day).where(SyncWindow.day == day, SyncWindow.purged_at.is_not(None)).limit(1)
    if session.scalar(forgotten) is not None:
        return
    f = UsageFact
    session.execute(sa.delete(UsageDay).where(UsageDay.day == day))
    sums = [
        sa.cast(sa.func.sum(column), sa.BigInteger)
        for column in (f.requests, f.input_tokens, f.cached_tokens, f.cache_write_tokens, f.output_tokens, f.quantity)
    ]
    folded = (
        sa.select(sa.literal(day, sa.Date), f.series_id, f.detail, sa.func.count(), *sums)
        .where(f.bucket_start >= midnight(day), f.bucket_start < midnight(day + DAY))
        .group_by(f.series_id, f.detail)
    )
    names = [column.name for column in UsageDay.__table__.columns]
    session.execute(sa.insert(UsageDay).from_select(names, folded, include_defaults=False))
