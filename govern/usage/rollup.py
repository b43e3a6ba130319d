"""Daily spend from facts, and the coarser cells from it: recomputed whole for the days that changed, so it cannot drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.usage import cells
from govern.usage.bulk import batched, insert_rows
from govern.usage.measures import Measures, detail_of
from govern.usage.models import Clock, CostFact, CostSeries, DailySpend, SyncWindow, UsageSeries
from govern.usage.prices import PriceBook
from govern.usage.records import UsageDay
from govern.usage.rules import BY_ENDPOINT, COSTS, CURRENCY

Place = tuple[str, str, str, str, str]  # project, API key, person, model, endpoint


class _Sum:
    """What one place of a day adds up to."""

    def __init__(self) -> None:
        self.key_id = ""
        self.amount = Decimal(0)
        self.requests = self.input_tokens = self.cached_tokens = self.output_tokens = self.unpriced_tokens = 0


def recompute(session: Session, days: Collection[date], prices: PriceBook) -> None:
    """Make the rollups of these days anew, on both clocks, and say which rows count."""
    for part in batched(sorted(days)):
        session.execute(sa.delete(DailySpend).where(DailySpend.day.in_(part)))
        _billed(session, part)
    for day in sorted(days):
        _estimated(session, day, prices)
    mark_counting(session, days)


def _billed(session: Session, days: list[date]) -> None:
    zero = sa.literal(0)
    billed = (
        sa.select(
            CostFact.day, sa.literal(Clock.BILLED.value), CostSeries.project_remote_id, CostSeries.api_key_remote_id,
            CostSeries.person_id, CostSeries.model, sa.literal(""), sa.func.max(CostSeries.key_id), sa.true(),
            sa.func.sum(CostFact.amount),
            zero, zero, zero, zero, zero,
        )
        .join(CostSeries, CostSeries.id == CostFact.series_id)
        .where(CostFact.day.in_(days), CostSeries.currency == CURRENCY)
        .group_by(
            CostFact.day, CostSeries.project_remote_id, CostSeries.api_key_remote_id, CostSeries.person_id, CostSeries.model
        )
    )  # fmt: skip
    names = [column.name for column in DailySpend.__table__.columns]
    session.execute(sa.insert(DailySpend).from_select(names, billed, include_defaults=False))


def _estimated(session: Session, day: date, prices: PriceBook) -> None:
    s, u = UsageSeries, UsageDay
    # Rows of one series with the same detail were added up before; `buckets` says how often the detail stands.
    query = (
        sa.select(
            s.project_remote_id, s.api_key_remote_id, s.person_id, s.model, s.endpoint, s.key_id, s.batch, s.service_tier,
            u.detail, u.buckets, u.requests, u.input_tokens, u.cached_tokens, u.cache_write_tokens, u.output_tokens, u.quantity,
        )
        .join(s, s.id == u.series_id)
        .where(u.day == day)
    )  # fmt: skip
    sums: dict[Place, _Sum] = defaultdict(_Sum)
    for project, api_key, person, model, endpoint, key_id, batch, tier, detail, count, *totals in session.execute(query):
        # What a tool costs is billed without a model, whichever model called it: both clocks shall say the same.
        cell = sums[project, api_key, person, "" if endpoint in BY_ENDPOINT else model, endpoint]
        cell.key_id = max(cell.key_id, key_id)
        measures = Measures(*totals)
        cell.requests += measures.requests
        cell.input_tokens += measures.input_tokens
        cell.cached_tokens += measures.cached_tokens
        cell.output_tokens += measures.output_tokens
        price = prices.find(model, day, endpoint)
        if price is None:
            cell.unpriced_tokens += measures.input_tokens + measures.output_tokens + measures.quantity
            continue
        parts = {name: value * count for name, value in detail_of(detail).items()}
        cell.amount += price.of(measures, parts, batch=batch == "true", tier=tier)
    insert_rows(
        session, DailySpend,
        [
            (
                day.isoformat(), Clock.ESTIMATED.value, *place, total.key_id, False, int(total.amount.scaleb(9)), total.requests,
                total.input_tokens, total.cached_tokens, total.output_tokens, total.unpriced_tokens,
            )
            for place, total in sums.items()
        ],
    )  # fmt: skip


def mark_counting(session: Session, days: Collection[date]) -> None:
    """Set `counts`, and make the cells: of a settled day the billed rows; of another, per project, the clock that shows more.

    The choice is made per project and day, so that every way of adding up gives the same total. Taking the higher one errs
    towards a warning that comes early: the bill may lack what was used this morning, the estimate lacks what has no price.
    """
    for part in batched(sorted(days)):
        settled = set(
            session.scalars(
                sa.select(SyncWindow.day).where(
                    SyncWindow.endpoint == COSTS, SyncWindow.day.in_(part), SyncWindow.settled_at.is_not(None)
                )
            )
        )
        totals: dict[tuple[date, str], dict[Clock, Decimal]] = defaultdict(dict)
        total = sa.func.sum(DailySpend.amount, type_=Money())
        query = (
            sa.select(DailySpend.day, DailySpend.project_remote_id, DailySpend.clock, total)
            .where(DailySpend.day.in_(part))
            .group_by(DailySpend.day, DailySpend.project_remote_id, DailySpend.clock)
        )
        for day, project, clock, amount in session.execute(query):
            totals[day, project][clock] = amount
        estimated: dict[date, list[str]] = defaultdict(list)
        for (day, project), by_clock in totals.items():
            if day not in settled and _estimate_counts(by_clock):
                estimated[day].append(project)
        is_bill = DailySpend.clock == Clock.BILLED
        wrong = sa.update(DailySpend).where(DailySpend.day.in_(part), DailySpend.counts != is_bill)
        session.execute(wrong.values(counts=is_bill).execution_options(synchronize_session=False))
        for day, projects in estimated.items():
            for some in batched(projects):
                session.execute(
                    sa.update(DailySpend)
                    .where(DailySpend.day == day, DailySpend.project_remote_id.in_(some))
                    .values(counts=DailySpend.clock == Clock.ESTIMATED)
                    .execution_options(synchronize_session=False)
                )
    cells.remake(session, days)


def _estimate_counts(totals: dict[Clock, Decimal]) -> bool:
    """Of an unsettled day: no bill yet, or a smaller one than the estimate."""
    billed, estimated = totals.get(Clock.BILLED), totals.get(Clock.ESTIMATED)
    return estimated is not None and (billed is None or billed < estimated)
