"""How good forecasts were: each night, of windows that are over, what the band would have said on each day and what came.

A forecast of a past day is made from the days before it alone, with the figures as they are now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import ahead, queries
from govern.budgets.forecast import BAND, HISTORY_DAYS, forecast
from govern.budgets.models import Budget, ForecastTest
from govern.budgets.windows import DAY, Window
from govern.core.clock import utcnow
from govern.core.inserting import insert_new
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.usage import queries as usage

LOOK_DAYS: Final = 91
"""Forecasts of so many days before the last final one are tested, and are what a coverage is made of."""
KEEP: Final = timedelta(days=366)
_ACTOR: Final = Actor(ActorKind.JOB, "budgets.backtest", "budgets.backtest")


@dataclass(frozen=True)
class Coverage:
    """Of so many forecasts that were tested, how many held."""

    tested: int = 0
    held: int = 0

    @property
    def percent(self) -> int | None:
        """Whole per cent that held, None without a test."""
        return self.held * 100 // self.tested if self.tested else None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.percent is None:
            return "Not tested yet: no window of it is over and final, with enough data before."
        times = "once" if self.tested == 1 else f"{self.tested} times"
        return f"Back-tested {times}: the {int(BAND * 100)} % band held {self.percent} % of the time."


def run(unit_of_work: UnitsOfWork) -> dict[str, int]:
    """The job: test what is not tested yet, budget by budget. Returns `tests` made and how many `held`."""
    with unit_of_work.reading() as session:
        final = usage.freshness(session).settled_to
        # One for each person has another band for each: it is tested by the budgets of people.
        ids = [budget.id for budget in queries.active_budgets(session) if not budget.per_person]
    made = held = 0
    for budget_id in ids if final else ():
        with unit_of_work.reading() as session:
            rows = list(_tests(session, queries.get(session, budget_id), final)) if final else []
        if rows:
            with unit_of_work(_ACTOR) as uow:
                insert_new(uow.session, ForecastTest, rows)
        made += len(rows)
        held += sum(row["low_usd"] <= row["came_usd"] <= row["high_usd"] for row in rows)
    with unit_of_work(_ACTOR) as uow:
        uow.session.execute(sa.delete(ForecastTest).where(ForecastTest.tested_at < utcnow() - KEEP))
    return {"tests": made, "held": held}


def coverages(session: Session, budget_ids: Sequence[str], now: datetime) -> dict[str, Coverage]:
    """Budget id → how often its band held lately; a budget that was never tested has no test."""
    t = ForecastTest
    held = sa.func.sum(sa.case((sa.and_(t.came_usd >= t.low_usd, t.came_usd <= t.high_usd), 1), else_=0))
    since = (now - timedelta(days=2 * LOOK_DAYS)).date()
    query = sa.select(t.budget_id, sa.func.count(), held).where(t.budget_id.in_(budget_ids), t.day >= since)
    found = {row[0]: Coverage(int(row[1]), int(row[2])) for row in session.execute(query.group_by(t.budget_id))}
    return {budget_id: found.get(budget_id, Coverage()) for budget_id in budget_ids}


def _tests(session: Session, budget: Budget, final: date) -> Iterator[dict[str, Any]]:
    """The tests of the budget that are missing, of windows all of whose days are before `final`."""
    since, windows = final - LOOK_DAYS * DAY, []
    window = budget.calendar.at(utcnow())
    while window.end_day > since:
        if window.end_day <= final and not window.is_empty:
            windows.append(window)
        window = budget.calendar.before(window)
    t = ForecastTest
    tested = sa.select(t.window, t.day).where(t.budget_id == budget.id, t.window.in_([each.key for each in windows]))
    done = {(row.window, row.day) for row in session.execute(tested)}
    missing = [(each, day) for each in windows for day in _days(each, since) if (each.key, day) not in done]
    if not missing:
        return
    first = min(min(each.first_day, day - HISTORY_DAYS * DAY) for each, day in missing)
    spent = ahead.spend_by_day(session, ahead.only_of(budget), first, final)
    for each, day in missing:
        before = _between(spent, day - HISTORY_DAYS * DAY, day)
        closed = sum(_between(spent, each.first_day, day), Decimal(0))
        said = forecast(before, day, each.end_day, closed, Decimal(0))
        if said.low is None:
            continue
        yield {
            "budget_id": budget.id, "window": each.key, "day": day, "tested_at": utcnow(),
            "low_usd": said.low, "likely_usd": said.likely, "high_usd": said.high,
            "came_usd": sum(_between(spent, each.first_day, each.end_day), Decimal(0)),
        }  # fmt: skip


def _days(window: Window, since: date) -> list[date]:
    start = max(window.first_day, since)
    return [start + number * DAY for number in range((window.end_day - start).days)]


def _between(spent: dict[date, Decimal], start: date, end: date) -> list[Decimal]:
    return [spent.get(start + number * DAY, Decimal(0)) for number in range((end - start).days)]
