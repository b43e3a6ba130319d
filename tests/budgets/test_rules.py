"""Months in time zones, crossings, and what a budget may say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.budgets import rules
from govern.budgets.rules import crossed, month_before, month_window, percent, window_of
from govern.core.errors import InvalidInput

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo",
    "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "America/Havana", "Africa/Cairo",
)  # fmt: skip


@pytest.mark.parametrize(
    ("at", "zone", "key", "start", "end", "days"),
    [
        ("2026-03-10T12:00", "UTC", "2026-03", "2026-03-01T00:00", "2026-04-01T00:00", ("2026-03-01", "2026-04-01")),
        ("2026-03-01T00:00", "UTC", "2026-03", "2026-03-01T00:00", "2026-04-01T00:00", ("2026-03-01", "2026-04-01")),
        ("2026-02-28T23:59", "UTC", "2026-02", "2026-02-01T00:00", "2026-03-01T00:00", ("2026-02-01", "2026-03-01")),
        ("2028-02-29T12:00", "UTC", "2028-02", "2028-02-01T00:00", "2028-03-01T00:00", ("2028-02-01", "2028-03-01")),  # leap
        ("2026-12-31T23:59", "UTC", "2026-12", "2026-12-01T00:00", "2027-01-01T00:00", ("2026-12-01", "2027-01-01")),
        # Winter time at its beginning, summer time at its end: the month is an hour short.
        ("2026-03-10T12:00", "Europe/Berlin", "2026-03", "2026-02-28T23:00", "2026-03-31T22:00", ("2026-03-01", "2026-04-01")),
        # And an hour long in autumn.
        ("2026-10-10T12:00", "Europe/Berlin", "2026-10", "2026-09-30T22:00", "2026-10-31T23:00", ("2026-10-01", "2026-11-01")),
        ("2026-02-28T23:30", "Europe/Berlin", "2026-03", "2026-02-28T23:00", "2026-03-31T22:00", ("2026-03-01", "2026-04-01")),
        ("2026-03-01T04:00", "America/New_York", "2026-02", "2026-02-01T05:00", "2026-03-01T05:00", ("2026-02-01", "2026-03-01")),
        # So far ahead that the month begins before noon (UTC) of the day before: that day is the month's first.
        ("2026-03-10T12:00", "Pacific/Apia", "2026-03", "2026-02-28T11:00", "2026-03-31T11:00", ("2026-02-28", "2026-03-31")),
    ],
)  # fmt: skip
def test_the_month_that_holds_an_instant(
    *, at: str, zone: str, key: str, start: str, end: str, days: tuple[str, str]
) -> None:  # fmt: skip
    def instant(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    window = month_window(instant(at), zone)
    assert (window.key, window.start, window.end) == (key, instant(start), instant(end))
    assert (window.first_day, window.end_day) == tuple(date.fromisoformat(day) for day in days)


def test_a_month_that_begins_where_clocks_skip_midnight() -> None:
    """Cairo's summer time of 2011 never was; Beirut's of 1984 began on the first of May at 00:00."""
    window = month_window(datetime(1984, 5, 10, tzinfo=UTC), "Asia/Beirut")
    assert window.start == datetime(1984, 4, 30, 22, tzinfo=UTC)


_INSTANTS = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(_INSTANTS, st.sampled_from(ZONES))
def test_months_follow_one_another_without_gap_or_overlap(at: datetime, zone: str) -> None:
    window = month_window(at, zone)
    after = month_window(window.end, zone)
    assert window.start <= at < window.end
    assert (after.start, after.first_day) == (window.end, window.end_day)
    assert month_before(after, zone) == window
    assert window_of(window.key, zone) == window
    assert 28 <= (window.end_day - window.first_day).days <= 31
    assert timedelta(days=27, hours=23) <= window.end - window.start <= timedelta(days=31, hours=1)


@given(st.dates(date(2015, 1, 1), date(2040, 1, 1)), st.sampled_from(ZONES))
def test_every_utc_day_belongs_to_exactly_the_month_of_its_noon(day: date, zone: str) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    window = month_window(noon, zone)
    assert window.first_day <= day < window.end_day
    before = month_before(window, zone)
    assert not before.first_day <= day < before.end_day


@pytest.mark.parametrize(
    ("spent", "reached", "used"),
    [
        ("0", [], 0),
        ("79.999999999", [], 79),
        ("80", [80], 80),
        ("80.000000001", [80], 80),
        ("99.999999999", [80], 99),
        ("100", [80, 100], 100),
        ("250.5", [80, 100, 250], 250),
        ("-5", [], -5),
    ],
)
def test_a_threshold_is_reached_exactly_at_its_share(spent: str, reached: list[int], used: int) -> None:
    assert crossed(Decimal(spent), Decimal(100), [250, 80, 100]) == reached
    assert percent(Decimal(spent), Decimal(100)) == used


@given(st.decimals("0", "1e6", places=9), st.decimals("0.01", "1e6", places=9), st.integers(1, 1000))
def test_the_percentage_shown_agrees_with_what_was_crossed(spent: Decimal, limit: Decimal, threshold: int) -> None:
    assert (percent(spent, limit) >= threshold) == bool(crossed(spent, limit, [threshold]))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (rules.check_name, ""), (rules.check_name, " "), (rules.check_name, "x" * 201), (rules.check_name, "a\x00b"),
        (rules.check_amount, Decimal(0)), (rules.check_amount, Decimal(-1)), (rules.check_amount, Decimal("NaN")),
        (rules.check_amount, Decimal("Infinity")), (rules.check_amount, Decimal("1e10")),
        (rules.check_thresholds, []), (rules.check_thresholds, [0]), (rules.check_thresholds, [1001]),
        (rules.check_thresholds, list(range(1, 22))),
        (rules.check_zone, "Mars/Olympus"), (rules.check_zone, ""), (rules.check_zone, "../../etc/passwd"),
        (rules.check_zone, "/etc"),
        (rules.check_addresses, ["no address"]), (rules.check_addresses, ["a@b.example\nBcc: c@d.example"]),
        (rules.check_addresses, ["a@b.example,c@d.example"]), (rules.check_addresses, [f"a{n}@b.example" for n in range(51)]),
    ],
)  # fmt: skip
def test_what_is_refused(check, value) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as refused:
        check(value)
    assert refused.value.fields


def test_what_is_tidied() -> None:
    assert rules.check_name("  Team\n search ") == "Team search"
    assert rules.check_thresholds([100, 50, 100]) == [50, 100]
    assert rules.check_addresses([" a@b.example", "a@b.example", "c@d.example"]) == ["a@b.example", "c@d.example"]
    assert rules.check_amount(Decimal("9.9999999999")) == 10
