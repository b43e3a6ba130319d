"""Daily spend from facts, and the coarser cells from it: recomputed whole for the days that changed, so it cannot drift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.usage import cells
from govern.usage.bulk import batched, insert_rows
from govern.usage.measures import Measures, detail_of
from govern.usage.models import Clock, CostFact, CostSeries, DailySpend, SyncWindow, UsageSeries
from govern.usage.prices import FINEST, Price, PriceBook
from govern.usage.records import UsageDay
from govern.usage.rules import BY_ENDPOINT, COSTS, CURRENCY

_NANO: Final = FINEST // 10**9

Kind = tuple[str, str, str, str]  # endpoint, model, batch, tier
Place = tuple[str, str, str, str, str, str]  # project, API key, person, model, endpoint, reason


class _Rates:
    """The prices of one day for many rows: each combination is looked up once."""

    def __init__(self, prices: PriceBook, day: date) -> None:
        self._prices, self._day = prices, day
        self._known: dict[Kind, tuple[Price | None, tuple[int, ...] | None]] = {}

    def nano(self, key: Kind, measures: Measures, count: int) -> int | None:
        """Nano-dollars; None without a price. `count`: how many buckets the measures are of."""
        endpoint, model, batch, tier = key
        found = self._known.get(key)
        if found is None:
            price = self._prices.find(model, self._day, endpoint)
            found = price, price.whole(batch=batch == "true", tier=tier) if price else None
            self._known[key] = found
        price, whole = found
        if price is None:
            return None
        if whole is None or measures.detail:
            parts = {name: value * count for name, value in detail_of(measures.detail).items()}
            return int(price.of(measures, parts, batch=batch == "true", tier=tier).scaleb(9))
        _, tokens, cached, written, output, quantity, _ = measures
        plain = tokens - cached - written
        cost = plain * whole[0] + cached * whole[1] + written * whole[2] + output * whole[3] + quantity * whole[4]
        nano, rest = divmod(cost, _NANO)
        return nano + (2 * rest > _NANO or (2 * rest == _NANO and nano % 2 == 1))  # half to even, as `to_nano`


def recompute(session: Session, days: Collection[date], prices: PriceBook) -> None:
    """Make the rollups of these days anew, on both clocks, and say which rows count."""
    for part in batched(sorted(days)):
        session.execute(sa.delete(DailySpend).where(DailySpend.day.in_(part)))
        _billed(session, part)
    for day in sorted(days):
        _estimated(session, day, prices)
    mark_counting(session, days)


def _billed(session: Session, days: list[date]) -> None:
    zero, reason = sa.literal(0), sa.type_coerce(CostSeries.reason, sa.Text)
    billed = (
        sa.select(
            CostFact.day, sa.literal(Clock.BILLED.value), CostSeries.project_remote_id, CostSeries.api_key_remote_id,
            CostSeries.person_id, CostSeries.model, sa.literal(""), reason, sa.func.max(CostSeries.key_id), sa.true(),
            sa.func.sum(CostFact.amount),
            zero, zero, zero, zero, zero,
        )
        .join(CostSeries, CostSeries.id == CostFact.series_id)
        .where(CostFact.day.in_(days), CostSeries.currency == CURRENCY)
        .group_by(
            CostFact.day, CostSeries.project_remote_id, CostSeries.api_key_remote_id, CostSeries.person_id, CostSeries.model,
            reason,
        )
    )  # fmt: skip
    names = [column.name for column in DailySpend.__table__.columns]
    session.execute(sa.insert(DailySpend).from_select(names, billed, include_defaults=False))


def _estimated(session: Session, day: date, prices: PriceBook) -> None:
    s, u = UsageSeries, UsageDay
    # Rows of one series with the same detail were added up before; `buckets` says how often the detail stands.
    query = (
        sa.select(
            s.project_remote_id, s.api_key_remote_id, s.person_id, s.model, s.endpoint, sa.type_coerce(s.reason, sa.Text),
            s.key_id, s.batch, s.service_tier, u.buckets, u.requests, u.input_tokens, u.cached_tokens, u.cache_write_tokens,
            u.output_tokens, u.quantity, u.detail,
        )
        .join(s, s.id == u.series_id)
        .where(u.day == day)
    )  # fmt: skip
    rates = _Rates(prices, day)
    # Key, nano-dollars, requests, input, cached and output tokens, and what has no price.
    sums: dict[Place, list[Any]] = defaultdict(lambda: ["", 0, 0, 0, 0, 0, 0])
    for project, api_key, person, model, endpoint, reason, key_id, batch, tier, count, *totals in session.execute(query):
        measures = Measures(*totals)
        # What a tool costs is billed without a model, whichever model called it: both clocks shall say the same.
        cell = sums[project, api_key, person, "" if endpoint in BY_ENDPOINT else model, endpoint, reason]
        cell[0] = max(cell[0], key_id)
        cell[2] += measures.requests
        cell[3] += measures.input_tokens
        cell[4] += measures.cached_tokens
        cell[5] += measures.output_tokens
        cost = rates.nano((endpoint, model, batch, tier), measures, count)
        if cost is None:
            cell[6] += measures.input_tokens + measures.output_tokens + measures.quantity
        else:
            cell[1] += cost
    # In the order of the table's key, which is how it is stored on SQLite.
    rows = ((day.isoformat(), Clock.ESTIMATED.value, *place, cell[0], True, *cell[1:]) for place, cell in sorted(sums.items()))
    insert_rows(session, DailySpend, rows)


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
        for day in part:
            # Named once: each project is a parameter, and a statement holds only so many.
            wanted = DailySpend.project_remote_id.in_(estimated[day]) == (DailySpend.clock == Clock.ESTIMATED)
            # Most rows are right already, and writing one costs more than looking at it.
            differs = sa.and_(DailySpend.day == day, DailySpend.counts != wanted)
            flipped = sa.update(DailySpend).where(differs).values(counts=~DailySpend.counts)
            session.execute(flipped.execution_options(synchronize_session=False))
    cells.remake(session, days)


def _estimate_counts(totals: dict[Clock, Decimal]) -> bool:
    """Of an unsettled day: no bill yet, or a smaller one than the estimate."""
    billed, estimated = totals.get(Clock.BILLED), totals.get(Clock.ESTIMATED)
    return estimated is not None and (billed is None or billed < estimated)
