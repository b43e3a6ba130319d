"""History: read once, newest first, resumed where it broke; months close; hours are forgotten and days stay."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.audit.models import AuditEvent
from govern.core.errors import Unavailable
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.jobs.models import JobRun, RunState
from govern.usage import backfill, partitions, queries, retention
from govern.usage.backfill import Stage
from govern.usage.models import CostFact, CostSeries, SyncWindow, UsageFact
from govern.usage.questions import View
from govern.usage.records import ClosedMonth, CostAdjustment, UsageDay
from govern.usage.rules import closes_at, due_days
from govern.usage.sync import run_backfill, run_costs, run_usage
from tests.usage.reported import CHAT, Reported, billed, used

HOUSE = Actor(ActorKind.JOB, "housekeeping", "housekeeping")


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with freeze_time("2026-03-10T12:00:00") as clock:
        yield clock


@pytest.mark.one_database
def test_a_backfill_that_breaks_goes_on_where_it_was_and_a_second_one_asks_nothing(unit_of_work: UnitsOfWork) -> None:
    days = [(date(2026, 3, 10) - timedelta(days=number)).isoformat() for number in range(60)]
    source = Reported([used(f"{day}T10:00") for day in days], [billed(day, "1") for day in days])
    seen: list[tuple[str, int, int]] = []

    def note(*at: Any) -> None:
        seen.append(at)
        if len(seen) == 3:
            source.fail_after = [(2, Unavailable("gone"))] * 2

    with pytest.raises(Unavailable):
        run_backfill(unit_of_work, source, days=59, endpoints=CHAT, progress=note)
    with unit_of_work.reading() as session:
        begun = session.scalar(sa.select(sa.func.count()).select_from(SyncWindow))
        assert queries.totals(session, date(2026, 2, 18), date(2026, 3, 11), view=View.BILLED).whole.amount == 21
        stopped = backfill.history(session, days=59, endpoints=CHAT, today=date(2026, 3, 10))
        stage = backfill.stage_of(stopped, None)
    assert begun == 2 * 21
    assert (stopped.whole, stopped.days, stopped.back_to, stopped.percent) == (20, 59, date(2026, 2, 18), 33)
    assert [(part.endpoint, part.read) for part in stopped.parts] == [("completions", 20), ("costs", 20)]
    assert stage is Stage.STOPPED
    again = run_backfill(unit_of_work, source, days=59, endpoints=CHAT)
    assert (again["days"], again["written"]) == (2 * 60 - begun, 2 * 60 - begun)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {total for _, _, total in seen} == {120}
    asked = len(source.calls)
    assert run_backfill(unit_of_work, source, days=59, endpoints=CHAT)["days"] == 0
    assert len(source.calls) == asked
    with unit_of_work.reading() as session:
        done = backfill.history(session, days=59, endpoints=CHAT, today=date(2026, 3, 10))
        wider = backfill.history(session, days=61, endpoints=(*CHAT, "images"), today=date(2026, 3, 10))
    assert (done.complete, done.percent, done.back_to) == (True, 100, date(2026, 1, 10))
    assert (wider.whole, wider.back_to, wider.percent) == (0, None, 64)
    for run, expected in (
        (None, Stage.STOPPED), (JobRun(state=RunState.FAILED), Stage.STOPPED), (JobRun(state=RunState.REQUESTED), Stage.WAITING),
        (JobRun(state=RunState.RUNNING), Stage.RUNNING),
    ):  # fmt: skip
        assert (backfill.stage_of(wider, run), backfill.stage_of(done, run)) == (expected, Stage.COMPLETE)
    assert backfill.stage_of(replace(done, start=done.end), None) is Stage.NONE


def test_endpoints_beside_one_another_leave_every_day_whole_and_one_that_fails_alone(unit_of_work: UnitsOfWork) -> None:
    rows = [
        used(f"2026-03-{day:02d}T{hour:02d}:00", endpoint=endpoint, key=f"key_{endpoint}")
        for endpoint in ("completions", "embeddings", "images") for day in range(1, 11) for hour in (3, 9)
    ]  # fmt: skip

    class Moody(Reported):
        def usage(self, endpoint: str, *rest: Any) -> Any:
            if endpoint == "images":
                raise Unavailable("not today")
            return super().usage(endpoint, *rest)

    with pytest.raises(Unavailable, match="not today"):
        run_usage(unit_of_work, Moody(rows), trailing_days=3, backfill_days=9)
    with unit_of_work.reading() as session:
        folded = sa.select(UsageDay.day, sa.func.count(), sa.func.sum(UsageDay.buckets)).group_by(UsageDay.day)
        assert [(count, int(buckets)) for _, count, buckets in session.execute(folded)] == [(2, 4)] * 10
    report = run_usage(unit_of_work, Reported(rows), trailing_days=3, backfill_days=9)
    assert report["written"] == 20


def test_a_month_is_read_once_more_when_it_is_closed() -> None:
    class Day:
        def __init__(self, pulled_at: Any) -> None:
            self.pulled_at = pulled_at

    close = closes_at(date(2026, 1, 31))
    assert close.isoformat() == "2026-02-06T00:00:00+00:00"
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(100)]
    ledger: Any = {day: Day(close - timedelta(hours=1)) for day in days if day < date(2026, 2, 6)}
    before = due_days(ledger, now=close - timedelta(minutes=1), trailing_days=3, backfill_days=10)
    after = due_days(ledger, now=close, trailing_days=3, backfill_days=10)
    assert min(before) == date(2026, 2, 2)
    assert [day for day in after if day.month == 1] == days[:31]


def test_what_changes_after_a_month_was_closed_is_listed_as_an_adjustment_of_it(unit_of_work: UnitsOfWork, clock: Any) -> None:
    source = Reported([], [billed("2026-01-31", "9"), billed("2026-02-12", "10"), billed("2026-02-12", "4", key="key_b")])
    source.cost_rows.append(billed("2026-02-04", "7", currency="eur"))
    run_costs(unit_of_work, source, trailing_days=3, backfill_days=38)
    with unit_of_work.reading() as session:
        closed = session.scalars(sa.select(ClosedMonth)).one()
        assert (closed.first_day, closed.billed) == (date(2026, 2, 1), 14)  # January was not read whole
        assert "month.closed" in session.scalars(sa.select(AuditEvent.action)).all()
    clock.tick(timedelta(hours=21))
    source.restate("2026-02-12", "1.5")
    source.cost_rows += [billed("2026-02-20", "-2", key="key_c"), billed("2026-02-21", "3", currency="eur")]
    source.cost_rows += [billed("2026-03-09", "100")]
    report = run_costs(unit_of_work, source, trailing_days=3, backfill_days=38)
    assert report["adjustments"] == 4
    with unit_of_work.reading() as session:
        changes = sa.select(CostAdjustment.day, CostSeries.api_key_remote_id, CostAdjustment.before, CostAdjustment.after).join(
            CostSeries, CostSeries.id == CostAdjustment.series_id
        )
        found = session.execute(
            changes.where(CostSeries.currency == "usd").order_by(CostAdjustment.day, CostAdjustment.before)
        ).all()
        now = queries.totals(session, date(2026, 2, 1), date(2026, 3, 1), view=View.BILLED).whole.amount
        closed = session.scalars(sa.select(ClosedMonth)).one()
    assert [tuple(row[1:]) for row in found] == [("key_b", 4, 6), ("key_a", 10, 15), ("key_c", 0, -2)]
    assert closed.billed + sum((row[3] - row[2] for row in found), Decimal(0)) == now == 19


def test_hours_are_forgotten_and_days_stay_whatever_is_learned_later(unit_of_work: UnitsOfWork, clock: Any) -> None:
    source = Reported([used("2026-01-20T10:00"), used("2026-01-20T11:00"), used("2026-03-09T10:00")])
    run_backfill(unit_of_work, source, days=60, endpoints=CHAT)
    span = (date(2026, 1, 1), date(2026, 3, 11))
    with unit_of_work.reading() as session:
        before = queries.totals(session, *span, view=View.ESTIMATED).whole.amount
    with unit_of_work(HOUSE) as uow:
        assert retention.forget_hours(uow, after=timedelta(days=45)) == 15
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageFact)) == 1
    source.usage_rows.append(used("2026-01-20T15:00"))  # what OpenAI says of it now cannot be compared any more
    clock.tick(timedelta(days=1))
    run_usage(unit_of_work, source, trailing_days=40, backfill_days=40, endpoints=CHAT)
    with unit_of_work(HOUSE) as uow:
        assert retention.forget_hours(uow, after=timedelta(days=45)) == 1
    with unit_of_work.reading() as session:
        assert queries.totals(session, *span, view=View.ESTIMATED).whole.amount == before == Decimal("0.45")
        assert session.scalar(sa.select(sa.func.count()).select_from(CostFact)) == 0


def test_a_month_of_hours_is_a_partition_that_goes_as_a_whole(unit_of_work: UnitsOfWork, database: str) -> None:
    source = Reported([used("2026-01-20T10:00"), used("2026-02-03T10:00"), used("2026-02-20T11:00"), used("2026-03-09T10:00")])
    run_backfill(unit_of_work, source, days=60, endpoints=CHAT)

    def months() -> set[str]:
        with unit_of_work.reading() as session:
            names = sa.inspect(session.connection()).get_table_names(schema=partitions.SCHEMA if on_postgresql else None)
        return {name.removeprefix("usage_facts_") for name in names if name.startswith("usage_facts")} & wanted

    on_postgresql = database == "postgresql"
    wanted = {"2026_01", "2026_02", "2026_03"} if on_postgresql else {"usage_facts"}
    assert months() == wanted
    with unit_of_work(HOUSE) as uow:
        assert retention.forget_hours(uow, after=timedelta(days=30)) > 0
    assert months() == wanted - {"2026_01"}, "February is not over before the day: its old hours go row by row"
    with unit_of_work.reading() as session:
        kept = session.scalars(sa.select(UsageFact.bucket_start).order_by(UsageFact.bucket_start)).all()
        days = queries.totals(session, date(2026, 1, 1), date(2026, 3, 11), view=View.ESTIMATED).whole.amount
    assert [at.date() for at in kept] == [date(2026, 2, 20), date(2026, 3, 9)]
    assert days == Decimal("0.60")


@pytest.mark.one_database
def test_a_large_window_is_never_held_whole(unit_of_work: UnitsOfWork) -> None:
    """Memory is that of a page: a bucket that was handed on is nobody's any more."""
    alive: list[Any] = []

    class Page(list[Any]):
        """A list that can be watched."""

    most = 0

    class Endless(Reported):
        def usage(self, endpoint: str, start: Any, end: Any, width: str) -> Any:
            nonlocal most
            for number in range(int((min(end, used("2026-03-10T12:00").at) - start).total_seconds() // 3600)):
                at = start + timedelta(hours=number)
                page = Page(used(at.replace(tzinfo=None).isoformat(), key=f"key_{each}").row for each in range(20))
                alive.append(weakref.ref(page))
                gc.collect(0)
                most = max(most, sum(ref() is not None for ref in alive))
                yield at, page
                del page

    run_usage(unit_of_work, Endless(), trailing_days=3, backfill_days=6, endpoints=CHAT)
    assert len(alive) == 6 * 24 + 12
    assert most <= 2
