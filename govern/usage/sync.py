"""Pull usage and costs: decide what is due from the ledger, read it whole, then replace it in one transaction.

A window is one UTC day of one endpoint. All its pages are read before the transaction begins: no session is held across a
remote call, and a reading that fails half way leaves the day as it was. Only buckets whose digest changed are rewritten, and
the rollups of the days they touch are made anew in the same transaction. Run twice over unchanged data, the second run
writes nothing but the time of the reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.clock import utcnow
from govern.core.crashpoints import crashpoint
from govern.core.db import Money
from govern.core.errors import Rejected
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.ports import UsageSource
from govern.usage import attribution, rollup
from govern.usage.bulk import serialize
from govern.usage.models import CostFact, SyncWindow
from govern.usage.prices import PriceBook, load_prices
from govern.usage.rules import COSTS, DAY, Pulled, due_days, is_settled, midnight, ranges
from govern.usage.staging import Dims, Staged, Values, digest, stage_costs, stage_usage
from govern.usage.writers import CostWriter, UsageWriter, Writer

ENDPOINTS: Final = ("completions",)
WIDTH: Final = "1h"
_DAYS_PER_USAGE_CALL: Final = 7  # 168 hourly buckets are the most that one page holds
_DAYS_PER_COST_CALL: Final = 31


def run_usage(
    unit_of_work: UnitsOfWork,
    source: UsageSource,
    *,
    trailing_days: int,
    backfill_days: int,
    endpoints: Sequence[str] = ENDPOINTS,
    prices: PriceBook | None = None,
) -> dict[str, int]:
    """Bring usage up to date, hourly. Returns counts (see `_Run.report`). Raises ProviderError; whole days stay stored.

    The newest days come first: today's figure matters more than last month's, and each call may take a while.
    """
    run = _Run(unit_of_work, Actor(ActorKind.JOB, "usage.sync", "usage.sync"), prices or load_prices())
    for endpoint in endpoints:

        def read(start: date, end: date, endpoint: str = endpoint) -> Staged:
            return stage_usage(source.usage(endpoint, midnight(start), midnight(end), WIDTH), start, end)

        run.pull(UsageWriter(endpoint, WIDTH), read, _DAYS_PER_USAGE_CALL, trailing_days, backfill_days)
    run.relearn()
    return run.report()


def run_costs(
    unit_of_work: UnitsOfWork,
    source: UsageSource,
    *,
    trailing_days: int,
    backfill_days: int,
    prices: PriceBook | None = None,
) -> dict[str, int]:
    """Bring billed costs up to date, by UTC day. Returns counts. Raises ProviderError; whole days stay stored."""
    run = _Run(unit_of_work, Actor(ActorKind.JOB, "costs.sync", "costs.sync"), prices or load_prices())

    def read(start: date, end: date) -> Staged:
        return stage_costs(source.costs(start, end), start, end)

    run.pull(CostWriter(COSTS, "1d"), read, _DAYS_PER_COST_CALL, trailing_days, backfill_days)
    run.relearn()
    return run.report()


class _Run:
    """One run of a job: its counts, and what it looked up once."""

    def __init__(self, unit_of_work: UnitsOfWork, actor: Actor, prices: PriceBook) -> None:
        self._unit_of_work = unit_of_work
        self._actor = actor
        self._prices = prices
        self._counts: Counter[str] = Counter()
        with unit_of_work.reading() as session:
            self._registry = attribution.registry(session)

    def report(self) -> dict[str, int]:
        """`days` read, `rows` in them, `written` and `removed` facts, `unchanged` days, new `series`, `duplicates` and rows
        `outside` the days that were asked for (both dropped), `relearned` series."""
        names = ("days", "rows", "written", "removed", "unchanged", "series", "duplicates", "outside", "relearned")
        return {name: self._counts[name] for name in names}

    def pull(
        self,
        writer: Writer,
        read: Callable[[date, date], Staged],
        longest: int,
        trailing_days: int,
        backfill_days: int,
    ) -> None:
        """Read and store every day of the writer's endpoint that is due."""
        with self._unit_of_work.reading() as session:
            rows = session.execute(
                sa.select(SyncWindow.day, SyncWindow.pulled_at).where(
                    SyncWindow.endpoint == writer.endpoint, SyncWindow.width == writer.width, SyncWindow.pulled_at.is_not(None)
                )
            )
            ledger = {day: Pulled(pulled_at) for day, pulled_at in rows if pulled_at}
        due = due_days(ledger, now=utcnow(), trailing_days=trailing_days, backfill_days=backfill_days)
        for start, end in reversed(ranges(due, longest)):
            began = utcnow()
            staged = _read_whole(read, start, end)
            crashpoint("usage.sync.read")
            self._store(writer, staged, began)
            crashpoint("usage.sync.stored")

    def _store(self, writer: Writer, staged: Staged, began: datetime) -> None:
        """One transaction per day: a crash leaves whole days, and nobody else waits long for the database."""
        self._counts.update(rows=staged.rows, duplicates=staged.duplicates, outside=staged.outside)
        day = staged.start
        while day < staged.end:
            with self._unit_of_work(self._actor) as uow:
                serialize(uow.session)
                self._store_day(uow, writer, staged, day, began)
                crashpoint("usage.sync.before_commit")
            day += DAY

    def _store_day(self, uow: UnitOfWork, writer: Writer, staged: Staged, day: date, began: datetime) -> None:
        self._counts["days"] += 1
        window = _window(uow, writer, day)
        if window.pulled_at is not None and window.pulled_at > began:  # somebody read it later than we did and has stored it
            return
        buckets = staged.of_day(day)
        digests = {str(start): digest(rows) for start, rows in buckets.items()}
        differing = sorted({int(start) for start, _ in digests.items() ^ window.digests.items()})
        was_over = window.covers_until is not None and window.covers_until >= midnight(day + DAY)
        was_final, is_bill = window.settled_at is not None, writer.endpoint == COSTS
        before = _billed(uow, day) if differing and was_final and is_bill else None
        if differing:
            self._replace(uow, writer, window, buckets, differing)
            window.digests, window.rows = digests, sum(len(rows) for rows in buckets.values())
            window.restated_at = began if was_over else window.restated_at
        if before is not None:
            audit.record(uow, "costs.restated", ("days", day.isoformat()), before=before, after=_billed(uow, day))
        window.pulled_at, window.covers_until = began, min(began, midnight(day + DAY))
        final = is_settled(day, pulled_at=began, restated_at=window.restated_at)
        window.settled_at = (window.settled_at or began) if final else None
        uow.session.flush()
        if differing:
            rollup.recompute(uow.session, [day], self._prices)
        elif is_bill and final != was_final:
            rollup.mark_counting(uow.session, [day])
        self._counts["unchanged"] += not differing

    def _replace(
        self, uow: UnitOfWork, writer: Writer, window: SyncWindow, buckets: dict[int, dict[Dims, Values]], differing: list[int]
    ) -> None:
        present = {start: buckets[start] for start in differing if start in buckets}
        dims = {each for rows in present.values() for each in rows}
        self._counts["series"] += writer.intern(uow.session, dims, self._registry)
        for start in differing:
            if str(start) in window.digests:
                self._counts["removed"] += writer.delete(uow.session, start)
            if start in present:
                writer.insert(uow.session, start, present[start])
                self._counts["written"] += len(present[start])

    def relearn(self) -> None:
        """Attribute again what the registry knows better by now. Looks first, so that nothing is locked when all is well."""
        with self._unit_of_work.reading() as session:
            known = attribution.registry(session)
            if not attribution.find_stale(session, known):
                return
        with self._unit_of_work(self._actor) as uow:
            serialize(uow.session)
            stale = attribution.find_stale(uow.session, attribution.registry(uow.session))
            days = attribution.relearn(uow.session, stale)
            rollup.recompute(uow.session, days, self._prices)
            self._counts["relearned"] += len(stale.usage) + len(stale.costs)


def _read_whole(read: Callable[[date, date], Staged], start: date, end: date) -> Staged:
    """All pages of the stretch. A 400 in the middle is a cursor that expired: begin again at the first page, once."""
    try:
        return read(start, end)
    except Rejected as error:
        if error.status != 400:
            raise
        return read(start, end)


def _window(uow: UnitOfWork, writer: Writer, day: date) -> SyncWindow:
    place = {"endpoint": writer.endpoint, "width": writer.width, "day": day}
    window = uow.session.get(SyncWindow, place)
    if window is None:
        window = SyncWindow(**place, rows=0, digests={})
        uow.session.add(window)
    return window


def _billed(uow: UnitOfWork, day: date) -> Decimal:
    total = sa.select(sa.func.sum(CostFact.amount, type_=Money())).where(CostFact.day == day)
    return uow.session.scalar(total) or Decimal(0)
