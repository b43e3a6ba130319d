"""Pulling usage and costs: replaced whole or not at all, restated, vanished, doubled, late, and the same on both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.audit.models import AuditEvent
from govern.core.errors import Rejected, Unavailable
from govern.core.uow import UnitsOfWork
from govern.usage import queries
from govern.usage.models import CostFact, CostSeries, DailySpend, SyncWindow, UsageFact, UsageSeries
from govern.usage.names import By
from govern.usage.queries import View
from govern.usage.records import StaleDay, UsageDay
from govern.usage.sync import run_costs, run_usage
from govern.usage_ports import CostDay
from tests.usage.reported import CHAT, MODEL, Reported, billed, used

NOW = "2026-03-10T12:00:00"
MARCH = (date(2026, 3, 1), date(2026, 4, 1))
INPUT_PRICE = Decimal("0.15")  # a million input tokens of MODEL

pytestmark = pytest.mark.usefixtures("at_noon")


@pytest.fixture
def at_noon() -> Any:
    with freeze_time(NOW) as clock:
        yield clock


def pull(unit_of_work: UnitsOfWork, source: Reported, *, trailing: int = 3, backfill: int = 9) -> dict[str, dict[str, int]]:
    return {
        "usage": run_usage(unit_of_work, source, trailing_days=trailing, backfill_days=backfill, endpoints=CHAT),
        "costs": run_costs(unit_of_work, source, trailing_days=trailing, backfill_days=backfill),
    }


def total(unit_of_work: UnitsOfWork, view: View = View.BEST) -> Decimal:
    with unit_of_work.reading() as session:
        return queries.totals(session, *MARCH, view=view).whole.amount


def everything(unit_of_work: UnitsOfWork) -> dict[str, list[Any]]:
    """All rows but the ledger's times, to see whether anything was written."""
    with unit_of_work.reading() as session:
        tables = (UsageSeries, UsageFact, UsageDay, CostSeries, CostFact, DailySpend, StaleDay)
        rows = {table.__tablename__: session.execute(sa.select(table.__table__)).all() for table in tables}
        ledger = sa.select(SyncWindow.endpoint, SyncWindow.day, SyncWindow.rows, SyncWindow.restated_at, SyncWindow.settled_at)
        return rows | {"ledger": session.execute(ledger.order_by(SyncWindow.endpoint, SyncWindow.day)).all()}


@pytest.mark.one_database
def test_the_two_clocks_are_kept_apart_and_each_says_which_it_is(unit_of_work: UnitsOfWork) -> None:
    pull(unit_of_work, Reported([used("2026-03-09T10:00", input_tokens=10_000_000)], [billed("2026-03-09", "1.25")]))
    assert total(unit_of_work, View.ESTIMATED) == 10 * INPUT_PRICE
    assert total(unit_of_work, View.BILLED) == Decimal("1.25")


def test_a_second_run_over_the_same_figures_writes_nothing(unit_of_work: UnitsOfWork, at_noon: Any) -> None:
    source = Reported(
        [used("2026-03-09T10:00"), used("2026-03-10T11:00")], [billed("2026-03-09", "1"), billed("2026-03-05", "2")]
    )
    first = pull(unit_of_work, source)
    before = everything(unit_of_work)
    at_noon.tick(timedelta(minutes=15))
    second = pull(unit_of_work, source)
    assert first["usage"]["written"] == 2
    assert first["costs"]["written"] == 2
    for report in second.values():
        assert report["written"] == report["removed"] == report["series"] == 0
        assert report["unchanged"] == report["days"] == 4
    assert everything(unit_of_work) == before


def test_a_restated_day_is_replaced(unit_of_work: UnitsOfWork) -> None:
    source = Reported([], [billed("2026-03-08", "10"), billed("2026-03-08", "5", key="key_b"), billed("2026-03-09", "1")])
    pull(unit_of_work, source)
    source.restate("2026-03-08", "0.5")
    report = pull(unit_of_work, source)["costs"]
    assert total(unit_of_work, View.BILLED) == Decimal("8.5")
    assert (report["removed"], report["written"], report["unchanged"]) == (0, 2, 3)


def test_a_bucket_that_vanishes_takes_its_rows_and_its_spend_along(unit_of_work: UnitsOfWork) -> None:
    source = Reported([used("2026-03-09T10:00"), used("2026-03-09T11:00")], [billed("2026-03-09", "3")])
    pull(unit_of_work, source)
    source.usage_rows.pop()
    source.cost_rows.clear()
    pull(unit_of_work, source)
    assert total(unit_of_work, View.ESTIMATED) == INPUT_PRICE
    assert total(unit_of_work, View.BILLED) == 0
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageFact)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(CostFact)) == 0


@pytest.mark.one_database
def test_a_row_that_vanishes_from_a_bucket_is_removed(unit_of_work: UnitsOfWork) -> None:
    source = Reported([used("2026-03-09T10:00"), used("2026-03-09T10:00", key="key_b")])
    pull(unit_of_work, source)
    source.usage_rows.pop()
    pull(unit_of_work, source)
    assert total(unit_of_work) == INPUT_PRICE


@pytest.mark.one_database
def test_only_the_bucket_that_changed_is_rewritten(unit_of_work: UnitsOfWork) -> None:
    source = Reported([used(f"2026-03-10T{hour:02d}:00") for hour in range(12)])
    pull(unit_of_work, source)
    source.usage_rows[-1] = used("2026-03-10T11:00", input_tokens=5)
    assert pull(unit_of_work, source)["usage"]["written"] == 1


def test_the_same_page_twice_counts_once(unit_of_work: UnitsOfWork) -> None:
    rows, costs = [used("2026-03-09T10:00")], [billed("2026-03-09", "3")]
    report = pull(unit_of_work, Reported(rows * 2, costs * 3))
    assert total(unit_of_work, View.ESTIMATED) == INPUT_PRICE
    assert total(unit_of_work, View.BILLED) == 3
    assert (report["usage"]["duplicates"], report["costs"]["duplicates"]) == (1, 2)


@pytest.mark.one_database
def test_figures_that_change_between_two_pages_are_no_reading_at_all(unit_of_work: UnitsOfWork) -> None:
    good = Reported([], [billed("2026-03-09", "3")])
    pull(unit_of_work, good)
    bad = Reported([], [billed("2026-03-09", "4"), billed("2026-03-09", "5")])
    with pytest.raises(Unavailable, match="changed while"):
        pull(unit_of_work, bad)
    assert total(unit_of_work) == 3


@pytest.mark.one_database
def test_a_cursor_that_expires_begins_the_stretch_again(unit_of_work: UnitsOfWork) -> None:
    source = Reported([], [billed("2026-03-08", "1"), billed("2026-03-09", "2")])
    source.fail_after = [(1, Rejected("Invalid page token", status=400))]
    run_costs(unit_of_work, source, trailing_days=3, backfill_days=9)
    assert total(unit_of_work) == 3
    assert len(source.calls) == 2


@pytest.mark.one_database
def test_a_refusal_that_stays_is_raised_and_leaves_the_days_as_they_were(unit_of_work: UnitsOfWork) -> None:
    source = Reported([], [billed("2026-03-09", "2")])
    pull(unit_of_work, source)
    before = everything(unit_of_work)
    source.cost_rows = [billed("2026-03-09", "9")]
    source.fail_after = [(1, Rejected("No", status=400)), (1, Rejected("No", status=400))]
    with pytest.raises(Rejected):
        run_costs(unit_of_work, source, trailing_days=3, backfill_days=9)
    assert everything(unit_of_work) == before


@pytest.mark.one_database
def test_a_stretch_that_breaks_half_way_stores_none_of_it_and_is_due_again(unit_of_work: UnitsOfWork) -> None:
    rows = [used(f"2026-03-{day:02d}T10:00") for day in range(1, 11)]
    source = Reported(rows, fail_after=[(99, Unavailable("gone"))])
    with pytest.raises(Unavailable):
        run_usage(unit_of_work, source, trailing_days=3, backfill_days=9, endpoints=CHAT)
    assert total(unit_of_work) == 0
    report = run_usage(unit_of_work, source, trailing_days=3, backfill_days=9, endpoints=CHAT)
    assert (report["days"], report["written"]) == (10, 10)


@pytest.mark.one_database
def test_the_newest_days_come_first(unit_of_work: UnitsOfWork) -> None:
    source = Reported()
    run_usage(unit_of_work, source, trailing_days=3, backfill_days=9, endpoints=CHAT)
    assert [start for _, start, _ in source.calls] == [datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]


def test_amounts_are_kept_exactly_to_a_nano_dollar(unit_of_work: UnitsOfWork) -> None:
    amounts = ("-4.25", "0.0000000014", "123456789.123456789", "0", "1")
    pull(unit_of_work, Reported([], [billed("2026-03-09", amount, key=f"key_{at}") for at, amount in enumerate(amounts)]))
    exact = {f"key_{at}": Decimal(amount).quantize(Decimal("1e-9")) for at, amount in enumerate(amounts)}
    with unit_of_work.reading() as session:
        stored = sa.select(CostSeries.api_key_remote_id, CostFact.amount).join(CostSeries, CostSeries.id == CostFact.series_id)
        assert dict(session.execute(stored).all()) == exact
    assert total(unit_of_work, View.BILLED) == sum(exact.values())


@pytest.mark.one_database
def test_a_credit_reduces_what_was_billed(unit_of_work: UnitsOfWork) -> None:
    rows = [billed("2026-03-09", "10"), billed("2026-03-09", "-2.5", item="promotional credit", key=None, unit=None)]
    pull(unit_of_work, Reported([], rows))
    assert total(unit_of_work) == Decimal("7.5")


def test_line_items_and_currencies_that_nobody_knows_are_kept_and_shown(unit_of_work: UnitsOfWork) -> None:
    rows = [
        billed("2026-03-09", "1", item=f"{MODEL}, cached input"),
        billed("2026-03-09", "2", item="telepathy, per thought, premium"),
        billed("2026-03-09", "3", item="web search tool calls", unit=None),
        billed("2026-03-09", "4", item=None),
        billed("2026-03-09", "5", currency="EUR"),
        billed("2026-03-09", "6", item="x" * 3000),
        billed("2026-03-09", "7", item="nul\x00byte", unit="parsecs"),
    ]
    pull(unit_of_work, Reported([], rows))
    with unit_of_work.reading() as session:
        items = {(item, currency): amount for item, currency, amount in queries.line_items(session, *MARCH)}
        models = {line.ids[By.MODEL]: line.figure.amount for line in queries.lines(session, *MARCH, by=[By.MODEL])}
        others = queries.other_currencies(session, *MARCH)
    assert sum(items.values()) == 28
    assert others == {"eur": 5}
    assert total(unit_of_work) == 23  # dollars only: two currencies do not add up
    assert models == {MODEL: 1, "telepathy": 2, "": 20}


def test_dimensions_that_are_not_reported_do_not_multiply(unit_of_work: UnitsOfWork) -> None:
    row = used("2026-03-09T10:00", project=None, key=None, user=None, model=None, batch=None, tier=None)
    source = Reported([row], [billed("2026-03-09", "1", project=None, key=None, item=None, unit=None)])
    for _ in range(3):
        source.usage_rows[0] = replace(row, row=row.row._replace(output_tokens=len(source.calls)))
        pull(unit_of_work, source)
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageSeries)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(UsageFact)) == 1


@pytest.mark.one_database
def test_a_model_without_a_price_is_counted_and_never_taken_as_free(unit_of_work: UnitsOfWork) -> None:
    source = Reported([used("2026-03-09T10:00", model="gpt-99", output_tokens=7), used("2026-03-09T10:00")])
    pull(unit_of_work, source)
    with unit_of_work.reading() as session:
        assert queries.unpriced_models(session, *MARCH) == {"gpt-99": 1_000_007}
        assert queries.totals(session, *MARCH).counts.unpriced_tokens == 1_000_007


@pytest.mark.one_database
def test_rows_outside_the_days_that_were_asked_for_are_not_mixed_in(unit_of_work: UnitsOfWork) -> None:
    class Careless(Reported):
        def costs(self, start: date, end: date) -> Any:
            for each in self.cost_rows:
                yield CostDay(each.at, [each.row])

    report = run_costs(
        unit_of_work, Careless([], [billed("2026-02-01", "5"), billed("2026-03-09", "1")]), trailing_days=3, backfill_days=9
    )
    assert total(unit_of_work) == 1
    assert report["outside"] == 1


class TestWhatCounts:
    """Of a settled day the bill; of another one, project by project, the clock that shows more."""

    @pytest.mark.one_database
    def test_an_estimate_counts_until_the_bill_shows_more(self, unit_of_work: UnitsOfWork) -> None:
        source = Reported([used("2026-03-09T10:00", input_tokens=100_000_000)], [])
        pull(unit_of_work, source)
        assert total(unit_of_work) == 15
        source.cost_rows = [billed("2026-03-09", "9")]  # the bill of this morning lacks the evening
        pull(unit_of_work, source)
        assert total(unit_of_work) == 15
        source.cost_rows = [billed("2026-03-09", "16")]
        pull(unit_of_work, source)
        assert total(unit_of_work) == 16

    @pytest.mark.one_database
    def test_a_settled_day_counts_as_billed_even_where_the_estimate_was_higher(
        self, unit_of_work: UnitsOfWork, at_noon: Any
    ) -> None:
        source = Reported([used("2026-03-09T10:00", input_tokens=100_000_000)], [billed("2026-03-09", "9")])
        pull(unit_of_work, source)
        at_noon.move_to("2026-03-12T23:00:00")
        pull(unit_of_work, source)
        assert total(unit_of_work) == 15
        at_noon.move_to("2026-03-13T20:00:00")
        pull(unit_of_work, source)
        assert total(unit_of_work) == 9
        with unit_of_work.reading() as session:
            assert queries.freshness(session).settled_to == date(2026, 3, 10)

    def test_a_day_that_is_billed_nothing_counts_as_nothing_once_settled(self, unit_of_work: UnitsOfWork) -> None:
        pull(unit_of_work, Reported([used("2026-03-02T10:00")], []))
        assert total(unit_of_work, View.ESTIMATED) == INPUT_PRICE
        assert total(unit_of_work) == 0

    @pytest.mark.one_database
    def test_the_choice_is_made_per_project_so_that_all_sums_agree(self, unit_of_work: UnitsOfWork) -> None:
        source = Reported(
            [used("2026-03-09T10:00", input_tokens=100_000_000), used("2026-03-09T10:00", project="proj_b", key="key_b")],
            [billed("2026-03-09", "4"), billed("2026-03-09", "7", project="proj_b", key="key_b")],
        )
        pull(unit_of_work, source)
        with unit_of_work.reading() as session:
            by_project = {line.ids[By.PROJECT]: line.figure for line in queries.lines(session, *MARCH, by=[By.PROJECT])}
            by_model = sum(line.figure.amount for line in queries.lines(session, *MARCH, by=[By.MODEL]))
        assert (by_project["proj_a"].estimated, by_project["proj_b"].billed) == (15, 7)
        assert total(unit_of_work) == by_model == 22

    def test_a_correction_of_a_settled_day_is_audited_and_unsettles_it(self, unit_of_work: UnitsOfWork, at_noon: Any) -> None:
        source = Reported([], [billed("2026-03-02", "10")])
        pull(unit_of_work, source)
        source.restate("2026-03-02", "1.5")
        at_noon.tick(timedelta(hours=21))
        pull(unit_of_work, source)
        with unit_of_work.reading() as session:
            event = session.scalars(sa.select(AuditEvent)).one()
            window = session.get_one(SyncWindow, ("costs", "1d", date(2026, 3, 2)))
        assert (event.action, event.subject_id) == ("costs.restated", "2026-03-02")
        assert (Decimal(event.facts["before"]), Decimal(event.facts["after"])) == (10, 15)
        assert window.settled_at is None
        assert total(unit_of_work) == 15


@pytest.mark.one_database
def test_a_reading_that_began_earlier_never_overwrites_a_later_one(unit_of_work: UnitsOfWork, at_noon: Any) -> None:
    """Two workers: the slow one comes back with yesterday's view of the world."""

    class Slow(Reported):
        def costs(self, start: date, end: date) -> Any:
            rows = [billed("2026-03-09", "1").row]
            at_noon.tick(timedelta(minutes=1))
            run_costs(unit_of_work, Reported([], [billed("2026-03-09", "2")]), trailing_days=3, backfill_days=3)
            yield CostDay(date(2026, 3, 9), rows)

    run_costs(unit_of_work, Slow(), trailing_days=3, backfill_days=3)
    assert total(unit_of_work) == 2


@pytest.mark.one_database
@pytest.mark.usefixtures("at_noon")
def test_usage_and_costs_pulled_at_the_same_time_leave_whole_rollups(unit_of_work: UnitsOfWork) -> None:
    source = Reported(
        [used(f"2026-03-{day:02d}T10:00", key=f"key_{key}") for day in range(1, 11) for key in range(20)],
        [billed(f"2026-03-{day:02d}", "1", key=f"key_{key}") for day in range(1, 11) for key in range(20)],
    )
    failures: list[BaseException] = []

    def run(job: Any) -> None:
        try:
            job(unit_of_work, source, trailing_days=9, backfill_days=9)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in (run_usage, run_costs, run_usage, run_costs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert total(unit_of_work, View.BILLED) == 200
    assert total(unit_of_work, View.ESTIMATED) == 200 * INPUT_PRICE
