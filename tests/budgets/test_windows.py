"""Windows in time zones: days, weeks, months, quarters, years and stretches of days, over clock changes and month ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govern.budgets.windows import Calendar, Period, window_of
from govern.core.errors import InvalidInput

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo",
    "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "America/Havana", "Africa/Cairo",
    "Pacific/Norfolk", "Pacific/Apia",
)  # fmt: skip
DAY, WEEK, MONTH, QUARTER, YEAR, DAYS = Period
BERLIN = "Europe/Berlin"


def every(days: int, anchor: str, zone: str = "UTC") -> tuple[object, ...]:
    return (DAYS, zone, 1, days, date.fromisoformat(anchor))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


TEN_DAYS = every(10, "2026-01-01", BERLIN)


@pytest.mark.parametrize(
    ("at", "calendar", "key", "instants", "days"),
    [
        # Months: at their edges, over a leap day, at the year's end.
        ("2026-03-10T12:00", (MONTH, "UTC"), "2026-03", "2026-03-01T00 2026-04-01T00", "2026-03-01 2026-04-01"),
        ("2026-03-01T00:00", (MONTH, "UTC"), "2026-03", "2026-03-01T00 2026-04-01T00", "2026-03-01 2026-04-01"),
        ("2026-02-28T23:59", (MONTH, "UTC"), "2026-02", "2026-02-01T00 2026-03-01T00", "2026-02-01 2026-03-01"),
        ("2028-02-29T12:00", (MONTH, "UTC"), "2028-02", "2028-02-01T00 2028-03-01T00", "2028-02-01 2028-03-01"),
        ("2026-12-31T23:59", (MONTH, "UTC"), "2026-12", "2026-12-01T00 2027-01-01T00", "2026-12-01 2027-01-01"),
        # Winter time at its beginning, summer time at its end: the month is an hour short. And an hour long in autumn.
        ("2026-03-10T12:00", (MONTH, BERLIN), "2026-03", "2026-02-28T23 2026-03-31T22", "2026-03-01 2026-04-01"),
        ("2026-10-10T12:00", (MONTH, BERLIN), "2026-10", "2026-09-30T22 2026-10-31T23", "2026-10-01 2026-11-01"),
        ("2026-02-28T23:30", (MONTH, BERLIN), "2026-03", "2026-02-28T23 2026-03-31T22", "2026-03-01 2026-04-01"),
        ("2026-03-01T04:00", (MONTH, "America/New_York"), "2026-02", "2026-02-01T05 2026-03-01T05", "2026-02-01 2026-03-01"),
        # So far ahead that the month begins before noon (UTC) of the day before: that day is the month's first.
        ("2026-03-10T12:00", (MONTH, "Pacific/Apia"), "2026-03", "2026-02-28T11 2026-03-31T11", "2026-02-28 2026-03-31"),
        # Where clocks skip the midnight (Beirut's summer time of 1984 began on the first of May at 00:00).
        ("1984-05-10T00:00", (MONTH, "Asia/Beirut"), "1984-05", "1984-04-30T22 1984-05-31T21", "1984-05-01 1984-06-01"),
        # Days: of 23 and of 25 hours, a leap day, and across the date line.
        ("2026-03-29T12:00", (DAY, BERLIN), "2026-03-29", "2026-03-28T23 2026-03-29T22", "2026-03-29 2026-03-30"),
        ("2026-10-25T12:00", (DAY, BERLIN), "2026-10-25", "2026-10-24T22 2026-10-25T23", "2026-10-25 2026-10-26"),
        ("2028-02-29T00:00", (DAY, "UTC"), "2028-02-29", "2028-02-29T00 2028-03-01T00", "2028-02-29 2028-03-01"),
        ("2026-03-10T09:00", (DAY, "Pacific/Kiritimati"), "2026-03-10", "2026-03-09T10 2026-03-10T10", "2026-03-09 2026-03-10"),
        # A day on which clocks change so that no UTC noon lies in it, and one in which two do.
        ("2026-10-03T14:00", (DAY, "Pacific/Norfolk"), "2026-10-04", "2026-10-03T13 2026-10-04T12", "2026-10-04 2026-10-04"),
        ("2026-04-05T00:00", (DAY, "Pacific/Norfolk"), "2026-04-05", "2026-04-04T12 2026-04-05T13", "2026-04-04 2026-04-06"),
        # Weeks: within a month, over its end, over the year's end (of the ISO year before), an hour short.
        ("2026-03-15T23:59", (WEEK, "UTC"), "2026-W11", "2026-03-09T00 2026-03-16T00", "2026-03-09 2026-03-16"),
        ("2026-03-31T00:00", (WEEK, "UTC"), "2026-W14", "2026-03-30T00 2026-04-06T00", "2026-03-30 2026-04-06"),
        ("2027-01-01T00:00", (WEEK, "UTC"), "2026-W53", "2026-12-28T00 2027-01-04T00", "2026-12-28 2027-01-04"),
        ("2026-03-29T12:00", (WEEK, BERLIN), "2026-W13", "2026-03-22T23 2026-03-29T22", "2026-03-23 2026-03-30"),
        # Quarters and years, of the calendar and of a fiscal year.
        ("2026-05-31T12:00", (QUARTER, "UTC"), "2026-04/2026-06", "2026-04-01T00 2026-07-01T00", "2026-04-01 2026-07-01"),
        ("2026-01-15T12:00", (QUARTER, "UTC", 2), "2025-11/2026-01", "2025-11-01T00 2026-02-01T00", "2025-11-01 2026-02-01"),
        ("2026-12-31T23:59", (YEAR, "UTC"), "2026-01/2026-12", "2026-01-01T00 2027-01-01T00", "2026-01-01 2027-01-01"),
        ("2026-03-31T12:00", (YEAR, BERLIN, 4), "2025-04/2026-03", "2025-03-31T22 2026-03-31T22", "2025-04-01 2026-04-01"),
        ("2026-03-31T23:00", (YEAR, BERLIN, 4), "2026-04/2027-03", "2026-03-31T22 2027-03-31T22", "2026-04-01 2027-04-01"),
        # Days from an anchor: after it, before it, over a clock change; and those that are a week or a month go by its key.
        ("2026-03-10T12:00", every(14, "2026-03-03"), "2026-03-03/14d", "2026-03-03T00 2026-03-17T00", "2026-03-03 2026-03-17"),
        ("2026-03-02T23:59", every(14, "2026-03-03"), "2026-02-17/14d", "2026-02-17T00 2026-03-03T00", "2026-02-17 2026-03-03"),
        ("2026-03-29T12:00", TEN_DAYS, "2026-03-22/10d", "2026-03-21T23 2026-03-31T22", "2026-03-22 2026-04-01"),
        ("2026-03-10T12:00", every(7, "2026-03-02"), "2026-W11", "2026-03-09T00 2026-03-16T00", "2026-03-09 2026-03-16"),
        ("2026-02-10T12:00", every(28, "2026-02-01"), "2026-02", "2026-02-01T00 2026-03-01T00", "2026-02-01 2026-03-01"),
        ("2026-03-10T12:00", every(1, "2026-02-01"), "2026-03-10", "2026-03-10T00 2026-03-11T00", "2026-03-10 2026-03-11"),
    ],
)  # fmt: skip
def test_the_window_that_holds_an_instant(*, at: str, calendar: tuple[object, ...], key: str, instants: str, days: str) -> None:
    window = Calendar(*calendar).at(instant(at))  # type: ignore[arg-type]
    assert window.key == key
    assert (window.start, window.end) == tuple(instant(text) for text in instants.split())
    assert (window.first_day, window.end_day) == tuple(date.fromisoformat(day) for day in days.split())


@pytest.mark.parametrize(
    ("key", "name", "short"),
    [
        ("2026-03-10", "10 March 2026", "10 March"),
        ("2026-W11", "9–15 March 2026", "9–15 March"),
        ("2026-W14", "30 March – 5 April 2026", "30 March – 5 April"),
        ("2026-W53", "28 December 2026 – 3 January 2027", "28 December 2026 – 3 January 2027"),
        ("2026-03", "March 2026", "March"),
        ("2026-04/2026-06", "April–June 2026", "April–June"),
        ("2025-11/2026-01", "November 2025 – January 2026", "November 2025 – January 2026"),
        ("2026-01/2026-12", "2026", "2026"),
        ("2025-04/2026-03", "April 2025 – March 2026", "April 2025 – March 2026"),
        ("2026-02-17/14d", "17 February – 2 March 2026", "17 February – 2 March"),
    ],
)
def test_what_a_window_is_called(key: str, name: str, short: str) -> None:
    window = window_of(key, "Europe/Berlin")
    assert (window.key, window.name, window.short) == (key, name, short)


_INSTANTS = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
_STRETCHES = st.tuples(st.integers(1, 366), st.dates(date(2000, 1, 1), date(2099, 12, 31)))
_CALENDARS = st.one_of(
    st.builds(Calendar, st.sampled_from([DAY, WEEK, MONTH]), st.sampled_from(ZONES)),
    st.builds(Calendar, st.sampled_from([QUARTER, YEAR]), st.sampled_from(ZONES), st.integers(1, 12)),
    st.builds(lambda zone, days: Calendar(DAYS, zone, 1, *days), st.sampled_from(ZONES), _STRETCHES),
)
LENGTHS = {DAY: (1, 1), WEEK: (7, 7), MONTH: (28, 31), QUARTER: (89, 92), YEAR: (365, 366)}


@settings(max_examples=200)
@given(_INSTANTS, _CALENDARS)
def test_windows_follow_one_another_without_gap_or_overlap(at: datetime, calendar: Calendar) -> None:
    window = calendar.at(at)
    after = calendar.at(window.end)
    assert window.start <= at < window.end
    assert (after.start, after.first_day) == (window.end, window.end_day)
    assert calendar.before(after) == window
    assert window_of(window.key, calendar.zone) == window
    assert window.key != after.key
    assert len(window.key) <= 20
    shortest, longest = LENGTHS.get(calendar.period, (calendar.days, calendar.days))
    assert shortest <= (window.ends - window.begins).days <= longest  # type: ignore[operator]
    assert abs((window.end - window.start) - (window.ends - window.begins)) <= timedelta(hours=1)
    # A UTC day belongs to the window of its noon.
    noon = datetime(at.year, at.month, at.day, 12, tzinfo=UTC)
    holder = calendar.at(noon)
    assert holder.first_day <= noon.date() < holder.end_day


def test_the_windows_since_an_instant_end_after_it() -> None:
    calendar = Calendar(WEEK, "Europe/Berlin")
    now = instant("2026-03-10T12:00")
    keys = [window.key for window in calendar.since(now - timedelta(days=14), now)]
    assert keys == ["2026-W11", "2026-W10", "2026-W09"]
    assert [window.key for window in calendar.since(calendar.at(now).start, now)] == ["2026-W11"]


@pytest.mark.parametrize(
    ("calendar", "words", "details"),
    [
        (Calendar(), "a month", "Months in UTC"),
        (Calendar(YEAR, "UTC", 7), "a fiscal year", "Years of a year from July in UTC"),
        (Calendar(DAYS, "UTC", 1, 14, date(2026, 3, 3)), "every 14 days", "14 days each, one from 2026-03-03, in UTC"),
        (Calendar(DAYS, "UTC", 1, 1, date(2026, 3, 3)), "a day", "1 days each, one from 2026-03-03, in UTC"),
    ],
)
def test_what_windows_are_called(calendar: Calendar, words: str, details: str) -> None:
    assert (calendar.words, calendar.details) == (words, details)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"zone": "Mars/Olympus"}, "zone"), ({"zone": ""}, "zone"), ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": "/etc"}, "zone"),
        ({"period": YEAR, "year_starts": 0}, "year_starts"), ({"period": YEAR, "year_starts": 13}, "year_starts"),
        ({"period": MONTH, "year_starts": 4}, "year_starts"), ({"period": WEEK, "days": 3}, "period"),
        ({"period": MONTH, "anchor": date(2026, 1, 1)}, "period"), ({"period": DAYS}, "days"),
        ({"period": DAYS, "days": 0, "anchor": date(2026, 1, 1)}, "days"),
        ({"period": DAYS, "days": 367, "anchor": date(2026, 1, 1)}, "days"),
        ({"period": DAYS, "days": 3}, "anchor"), ({"period": DAYS, "days": 3, "anchor": date(1999, 12, 31)}, "anchor"),
    ],
)  # fmt: skip
def test_what_no_calendar_may_be(fields: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Calendar(**fields)  # type: ignore[arg-type]
    assert list(refused.value.fields) == [wrong]
