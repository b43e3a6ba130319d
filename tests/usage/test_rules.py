"""Which days are read, in what calls, and when a day is final."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.usage.rules import DAY, REVISIT_DAYS, Pulled, due_days, is_settled, midnight, ranges

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOW.date()


def due(ledger: dict[date, Pulled], *, now: datetime = NOW, trailing: int = 3, backfill: int = 10) -> list[date]:
    return due_days(ledger, now=now, trailing_days=trailing, backfill_days=backfill)


def all_pulled(since: date, at: datetime) -> dict[date, Pulled]:
    return {since + DAY * offset: Pulled(at) for offset in range((TODAY - since).days + 1)}


def test_the_first_run_reads_the_backfill_and_today() -> None:
    assert due({}) == [TODAY - DAY * back for back in range(10, -1, -1)]


def test_later_runs_read_the_trailing_days_and_today() -> None:
    ledger = all_pulled(TODAY - DAY * 10, NOW - timedelta(minutes=15))
    assert due(ledger) == [date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9), TODAY]


def test_a_gap_fills_itself_however_old_it_is() -> None:
    ledger = all_pulled(TODAY - DAY * 200, NOW)
    del ledger[TODAY - DAY * 150]
    assert due(ledger)[0] == TODAY - DAY * 150


def test_older_days_are_read_again_once_a_day_and_the_oldest_never() -> None:
    ledger = all_pulled(TODAY - DAY * 60, NOW - timedelta(hours=20))
    assert due(ledger) == [TODAY - DAY * back for back in range(REVISIT_DAYS, -1, -1)]
    assert len(due(all_pulled(TODAY - DAY * 60, NOW - timedelta(hours=19)))) == 4


def test_the_whole_last_month_is_still_read_on_the_fifth() -> None:
    for month in range(1, 13):
        fifth = datetime(2027, month, 5, 6, tzinfo=UTC)
        first = (fifth.replace(day=1) - DAY).replace(day=1).date()
        ledger = {first - DAY: Pulled(fifth - DAY)} | {first + DAY * n: Pulled(fifth - DAY) for n in range(40)}
        assert first in due(ledger, now=fifth)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], []),
        ([1], [(1, 2)]),
        ([1, 2, 3], [(1, 4)]),
        ([1, 2, 3, 4, 5], [(1, 4), (4, 6)]),
        ([1, 3, 4, 9], [(1, 2), (3, 5), (9, 10)]),
    ],
)
def test_neighbours_share_a_call(days: list[int], expected: list[tuple[int, int]]) -> None:
    found = ranges([date(2026, 3, day) for day in days], 3)
    assert [(start.day, end.day) for start, end in found] == expected


@given(st.sets(st.integers(0, 400)), st.integers(1, 31))
def test_calls_cover_exactly_the_days_that_are_due(offsets: set[int], longest: int) -> None:
    days = [date(2026, 1, 1) + DAY * offset for offset in sorted(offsets)]
    found = ranges(days, longest)
    covered = [start + DAY * n for start, end in found for n in range((end - start).days)]
    assert covered == days
    assert all((end - start).days <= longest for start, end in found)


@pytest.mark.parametrize(
    ("pulled_at", "restated_at", "settled"),
    [
        ("2026-03-09T12:00", None, False),  # the day itself
        ("2026-03-12T23:59", None, False),  # over for just under three days
        ("2026-03-13T00:00", None, True),
        ("2026-03-13T00:00", "2026-03-10T08:00", False),  # corrected since
        ("2026-03-13T08:00", "2026-03-10T08:00", True),
        ("2026-04-20T00:00", None, True),  # a backfill reads it long after
    ],
)
def test_a_day_settles_when_it_was_quiet_for_three_days(pulled_at: str, restated_at: str | None, settled: bool) -> None:
    def instant(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    restated = instant(restated_at) if restated_at else None
    assert is_settled(date(2026, 3, 9), pulled_at=instant(pulled_at), restated_at=restated) is settled


def test_a_utc_day_begins_at_midnight_utc() -> None:
    assert midnight(date(2026, 3, 29)) == datetime(2026, 3, 29, tzinfo=UTC)
