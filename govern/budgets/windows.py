"""The windows of a budget: days, weeks, months, quarters, years and stretches of days in a named zone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from govern.core.errors import InvalidInput

DAY: Final = timedelta(days=1)
LONGEST: Final = 366
"""Days that a stretch has at most."""
EARLIEST, LATEST = date(2000, 1, 1), date(2099, 12, 31)
_NOON: Final = time(12, tzinfo=UTC)
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Period(StrEnum):
    """How long a window is. WEEK begins on Monday. DAYS: so many days, counted from an anchor."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    DAYS = "days"


class Windows(TypedDict, total=False):
    """The fields of a `Calendar` as a door gives them; None and what is left out say nothing."""

    period: Period | str | None
    zone: str | None
    year_starts: int | None
    days: int | None
    anchor: date | None


@dataclass(frozen=True)
class Window:
    """One window: the zone's days `[begins, ends)`, the instants `[start, end)`, the UTC days `[first_day, end_day)` in it.

    OpenAI bills whole UTC days, so a day cannot be split: it belongs to the window in which its noon (UTC) lies. Every day
    belongs to exactly one window of a calendar; a window of one day may have none where clocks change (`is_empty`).
    `key` names the window among all windows of a zone, whatever their length.
    """

    key: str
    begins: date
    ends: date
    start: datetime
    end: datetime
    first_day: date
    end_day: date

    @property
    def is_empty(self) -> bool:
        """Whether no UTC day lies in it."""
        return self.first_day >= self.end_day

    @property
    def name(self) -> str:
        """For people: "2026", "March 2026", "January–March 2026", "9–15 March 2026", "10 March 2026"."""
        return self._name(year=True)

    @property
    def short(self) -> str:
        """The same without the year, where it lies in one and is shorter than it."""
        return self._name(year=False)

    def _name(self, *, year: bool) -> str:
        first, last = self.begins, self.ends - DAY
        months = first.day == 1 and self.ends.day == 1
        a, b = (_month(each) if months else f"{each.day} {_month(each)}" for each in (first, last))
        if first.year != last.year:
            return f"{a} {first.year} – {b} {last.year}"
        if months and (first.month, last.month) == (1, 12):
            return str(first.year)
        if a == b:
            text = a
        elif months:
            text = f"{a}–{b}"
        elif first.month == last.month:
            text = f"{first.day}–{b}"
        else:
            text = f"{a} – {b}"
        return f"{text} {last.year}" if year else text


@dataclass(frozen=True)
class Calendar:
    """Which windows follow one another in a zone. `year_starts`: the first month of the fiscal year, for quarters and years.

    `days` and `anchor` (the first day of one of the windows) are those of `Period.DAYS`. Raises InvalidInput.
    """

    period: Period = Period.MONTH
    zone: str = "UTC"
    year_starts: int = 1
    days: int | None = None
    anchor: date | None = None

    def __post_init__(self) -> None:
        check_zone(self.zone)
        if not 1 <= self.year_starts <= 12:
            raise InvalidInput("The year starts in a month from 1 to 12.", {"year_starts": "A month from 1 to 12."})
        if self.year_starts != 1 and self.period not in (Period.QUARTER, Period.YEAR):
            raise InvalidInput("Only quarters and years have a first month.", {"year_starts": "Leave it out."})
        if self.period is not Period.DAYS:
            if self.days is not None or self.anchor is not None:
                raise InvalidInput("Only a stretch of days has a length and an anchor.", {"period": 'Choose "days".'})
            return
        if self.days is None or not 1 <= self.days <= LONGEST:
            raise InvalidInput("How many days is the window long?", {"days": f"1 to {LONGEST} days."})
        if self.anchor is None or not EARLIEST <= self.anchor <= LATEST:
            raise InvalidInput("On which day does one of the windows begin?", {"anchor": f"From {EARLIEST} to {LATEST}."})

    def at(self, instant: datetime) -> Window:
        """The window that holds the instant."""
        return _window(*self._around(instant.astimezone(ZoneInfo(self.zone)).date()), self.zone)

    def before(self, window: Window) -> Window:
        """The window that ended when this one began."""
        return self.at(window.start - timedelta(seconds=1))

    def since(self, instant: datetime, now: datetime) -> Iterator[Window]:
        """The windows that end after the instant, back from the one that holds `now`."""
        window = self.at(now)
        while window.end > instant:
            yield window
            window = self.before(window)

    @property
    def words(self) -> str:
        """What an amount is for: "a month", "every 14 days"."""
        if self.period is Period.DAYS:
            return "a day" if self.days == 1 else f"every {self.days} days"
        fiscal = "fiscal " if self.year_starts != 1 else ""
        return f"a {fiscal}{self.period.value}"

    @property
    def details(self) -> str:
        """How the windows lie: "Months in Europe/Berlin", "Quarters of a year from April in UTC"."""
        if self.period is Period.DAYS and self.anchor is not None:
            return f"{self.days} days each, one from {self.anchor}, in {self.zone}"
        fiscal = f" of a year from {MONTHS[self.year_starts - 1]}" if self.year_starts != 1 else ""
        return f"{self.period.value.capitalize()}s{fiscal} in {self.zone}"

    def _around(self, day: date) -> tuple[date, date]:
        """The window `[begins, ends)` of the zone's days that holds the day."""
        if self.period is Period.DAY:
            return day, day + DAY
        if self.period is Period.WEEK:
            monday = day - day.weekday() * DAY
            return monday, monday + 7 * DAY
        if self.period is Period.DAYS and self.days and self.anchor:
            begins = self.anchor + (day - self.anchor).days // self.days * self.days * DAY
            return begins, begins + self.days * DAY
        length = {Period.QUARTER: 3, Period.YEAR: 12}.get(self.period, 1)
        begins = _months_later(day, -((day.month - self.year_starts) % length))
        return begins, _months_later(begins, length)


def window_of(key: str, zone: str) -> Window:
    """The window that a key names, as it was stored with an alert."""
    first, _, rest = key.partition("/")
    if "W" in key:
        monday = date.fromisoformat(f"{key}-1")
        return _window(monday, monday + 7 * DAY, zone)
    if rest.endswith("d"):
        begins = date.fromisoformat(first)
        return _window(begins, begins + int(rest[:-1]) * DAY, zone)
    if len(first) == len("2026-03-10"):
        return _window(date.fromisoformat(first), date.fromisoformat(first) + DAY, zone)
    begins, last = (date.fromisoformat(f"{month}-01") for month in (first, rest or first))
    return _window(begins, _months_later(last, 1), zone)


def check_zone(zone: str) -> str:
    """The name of a time zone that exists. Raises InvalidInput."""
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"{zone[:64]!r} is not a time zone; a name such as Europe/Berlin is.", {"zone": "Such as UTC or Europe/Berlin."}
        ) from None


def _window(begins: date, ends: date, zone: str) -> Window:
    start, end = _begin(begins, zone), _begin(ends, zone)
    return Window(_key(begins, ends), begins, ends, start, end, _day_from(start), _day_from(end))


def _key(begins: date, ends: date) -> str:
    """`2026-03` a month, `2026-01/2026-03` more of them, `2026-W11` a week, `2026-03-10` a day, `2026-03-10/14d` other days."""
    if begins.day == 1 and ends.day == 1:
        first, last = begins.isoformat()[:7], (ends - DAY).isoformat()[:7]
        return first if first == last else f"{first}/{last}"
    days = (ends - begins).days
    if days == 7 and begins.weekday() == 0:
        year, week, _ = begins.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return begins.isoformat() if days == 1 else f"{begins.isoformat()}/{days}d"


def _begin(day: date, zone: str) -> datetime:
    # Where clocks skip the midnight, the first existing instant after it is meant: zoneinfo's fold 0 gives just that.
    return datetime.combine(day, time(0), ZoneInfo(zone)).astimezone(UTC)


def _day_from(instant: datetime) -> date:
    """The first UTC day whose noon is not before the instant."""
    day = instant.date()
    return day if datetime.combine(day, _NOON) >= instant else day + DAY


def _months_later(day: date, months: int) -> date:
    """The first of the month so many months after the day's."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _month(day: date) -> str:
    return MONTHS[day.month - 1]
