"""Pull usage and costs: decide what is due from the ledger, read it, then replace it in one transaction.

A window is one UTC day of one endpoint. Its buckets go to a spool on disk as they are read: no session is held across a
remote call, memory does not grow with the number of pages, and a reading that fails half way leaves the day as it was. Only
buckets whose digest changed are written, and of them only rows that differ. Run twice over unchanged data, the second run
writes nothing but the time of the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final

from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.sections import Sync
from govern.usage import attribution, closing, daily, learning
from govern.usage.bulk import serialize
from govern.usage.prices import PriceBook
from govern.usage.pull import Pull
from govern.usage.rules import DAY
from govern.usage.windows import due_of
from govern.usage.writers import CostWriter, UsageWriter, Writer
from govern.usage_ports import USAGE_ENDPOINTS, UsageSource

WIDTH: Final = "1h"
_DAYS_PER_USAGE_ROUND: Final = 7  # 168 hourly buckets are the most that one page holds
_DAYS_PER_COST_ROUND: Final = 31
Progress = Callable[[str, int, int], None]


def endpoints_of(settings: Sync) -> tuple[str, ...]:
    """Of what usage is read: everything that we know of, and what the settings name besides."""
    return (*USAGE_ENDPOINTS, *settings.more_endpoints)


def run_usage(
    unit_of_work: UnitsOfWork,
    source: UsageSource,
    *,
    trailing_days: int,
    backfill_days: int,
    endpoints: Sequence[str] = USAGE_ENDPOINTS,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Bring usage up to date, hourly. Returns counts (see `Pull.report`). Raises ProviderError; whole days stay stored.

    The newest days come first: today's figure matters more than last month's, and each call may take a while. An endpoint
    that fails does not keep the others from being read.
    """
    run = _Run(unit_of_work, "usage.sync", prices, progress)
    writers = [UsageWriter(source, endpoint, WIDTH, run.registry, run.actor) for endpoint in endpoints]
    return run.pull(writers, _DAYS_PER_USAGE_ROUND, trailing_days, backfill_days)


def run_costs(
    unit_of_work: UnitsOfWork,
    source: UsageSource,
    *,
    trailing_days: int,
    backfill_days: int,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Bring billed costs up to date, by UTC day. Returns counts. Raises ProviderError; whole days stay stored."""
    run = _Run(unit_of_work, "costs.sync", prices, progress)
    return run.pull([CostWriter(source, run.registry, run.actor)], _DAYS_PER_COST_ROUND, trailing_days, backfill_days)


def run_backfill(
    unit_of_work: UnitsOfWork,
    source: UsageSource,
    *,
    days: int,
    endpoints: Sequence[str] = USAGE_ENDPOINTS,
    prices: PriceBook | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Read what was never read of the last `days` days, usage and costs; goes on where it was interrupted.

    Returns counts. Raises ProviderError; whole days stay stored.
    """
    run = _Run(unit_of_work, "usage.backfill", prices, progress)
    if not days:
        return run.pull([], _DAYS_PER_USAGE_ROUND, None, 0)
    writers: list[Writer] = [UsageWriter(source, endpoint, WIDTH, run.registry, run.actor) for endpoint in endpoints]
    writers.append(CostWriter(source, run.registry, run.actor))
    return run.pull(writers, _DAYS_PER_USAGE_ROUND, None, days)


class _Run:
    """One run of a job, and what it looked up once."""

    def __init__(self, unit_of_work: UnitsOfWork, job: str, prices: PriceBook | None, progress: Progress | None) -> None:
        self._unit_of_work = unit_of_work
        self._progress = progress or (lambda _what, _done, _total: None)
        self.actor = Actor(ActorKind.JOB, job, job)
        with unit_of_work.reading() as session:
            self.registry = attribution.registry(session)
            self._prices = learning.current_prices(session, prices)

    def pull(
        self, writers: Sequence[Writer], round_days: int, trailing_days: int | None, backfill_days: int
    ) -> dict[str, int]:  # fmt: skip
        """Read and store every day that is due, in rounds of neighbouring days, and roll up after each round."""
        pull = Pull(self._unit_of_work, self.actor, writers)
        now = utcnow()
        with self._unit_of_work.reading() as session:
            due = {
                writer: due_of(session, writer, now=now, trailing_days=trailing_days, backfill_days=backfill_days)
                for writer in writers
            }
        total = sum(map(len, due.values()))
        for start, end in _rounds(now, min((days[0] for days in due.values() if days), default=None), round_days):
            pull.round({writer: [day for day in days if start <= day < end] for writer, days in due.items()})
            daily.roll_up(self._unit_of_work, self.actor, self._prices)
            self._progress(f"back to {start.isoformat()}", pull.counts["days"], total)
        relearned = self._relearn()
        daily.roll_up(self._unit_of_work, self.actor, self._prices)
        self._close_months()
        learned = self._learn() if pull.counts["days"] else 0
        if pull.errors:
            raise pull.errors[0]
        return pull.report() | {"relearned": relearned, "prices": learned}

    def _relearn(self) -> int:
        """Attribute again what the registry knows better by now. Looks first, so that nothing is locked when all is well."""
        with self._unit_of_work.reading() as session:
            known = attribution.registry(session)
            if not attribution.find_stale(session, known):
                return 0
        with self._unit_of_work(self.actor) as uow:
            serialize(uow.session)
            stale = attribution.find_stale(uow.session, attribution.registry(uow.session))
            daily.mark(uow.session, attribution.relearn(uow.session, stale))
        return len(stale.usage) + len(stale.costs)

    def _learn(self) -> int:
        """Compare the bill of settled days with what was estimated, and estimate the open days with what that teaches."""
        with self._unit_of_work(self.actor) as uow:
            serialize(uow.session)
            learned = learning.learn(uow, self._prices)
        if learned:
            with self._unit_of_work.reading() as session:
                self._prices = learning.current_prices(session, self._prices)
            daily.roll_up(self._unit_of_work, self.actor, self._prices)
        return learned

    def _close_months(self) -> None:
        with self._unit_of_work.reading() as session:
            if not closing.closable(session, utcnow()):
                return
        with self._unit_of_work(self.actor) as uow:
            serialize(uow.session)
            closing.close(uow, closing.closable(uow.session, uow.now))


def _rounds(now: datetime, first: date | None, days: int) -> list[tuple[date, date]]:
    """Half-open stretches of so many days from tomorrow back to the first day that is due."""
    found = []
    end = now.date() + DAY
    while first is not None and end > first:
        found.append((max(first, end - days * DAY), end))
        end -= days * DAY
    return found
