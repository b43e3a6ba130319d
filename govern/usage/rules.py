"""Which days to pull, how to group them into calls, and when a day is final. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

DAY: Final = timedelta(days=1)
COSTS: Final = "costs"
"""The name of the costs endpoint in the sync ledger."""
CURRENCY: Final = "usd"
"""What reports add up. Bills in other currencies are shown beside them."""
BY_ENDPOINT: Final = ("vector_stores", "code_interpreter_sessions", "file_search_calls", "web_search_calls")
"""What these cost is billed without naming a model, whichever model called them."""
SETTLE: Final = timedelta(hours=72)
"""A day that has been over and unchanged for so long is taken as final. OpenAI restates buckets for about two days."""
REVISIT_DAYS: Final = 35
"""So long a day is read again once a day."""
REVISIT_EVERY: Final = timedelta(hours=20)
CLOSE: Final = timedelta(days=5)
"""So long after its end a month is closed: all of it is read once more, and what changes later is an adjustment of it."""


@dataclass(frozen=True)
class Pulled:
    """What the ledger knows of a day: when it was last read."""

    pulled_at: datetime


def midnight(day: date) -> datetime:
    """The instant at which the UTC day begins. OpenAI's days are UTC days."""
    return datetime.combine(day, time(0), UTC)


def due_days(ledger: Mapping[date, Pulled], *, now: datetime, trailing_days: int, backfill_days: int) -> list[date]:
    """The UTC days to read now, oldest first.

    Every day since the first one (the ledger's, or `backfill_days` back) that was never read: so gaps fill themselves. Every
    day of the last `trailing_days` and today, because they still change. Older ones, up to REVISIT_DAYS, once a day; and all
    of a month once more when it is closed.
    """
    today = now.astimezone(UTC).date()
    first = min([*ledger, today - backfill_days * DAY])
    return [day for day in _days(first, today + DAY) if _is_due(ledger.get(day), day, today, now, trailing_days)]


def _is_due(pulled: Pulled | None, day: date, today: date, now: datetime, trailing_days: int) -> bool:
    if pulled is None or day >= today - trailing_days * DAY:
        return True
    if pulled.pulled_at < closes_at(day) <= now:
        return True
    return day >= today - REVISIT_DAYS * DAY and now - pulled.pulled_at >= REVISIT_EVERY


def following_month(day: date) -> date:
    """The first day of the month after."""
    return (day.replace(day=1) + 31 * DAY).replace(day=1)


def closes_at(day: date) -> datetime:
    """The instant at which the month of this day is closed."""
    return midnight(following_month(day)) + CLOSE


def ranges(days: Iterable[date], longest: int) -> list[tuple[date, date]]:
    """The days as half-open stretches of at most `longest` neighbours: fewer calls, since OpenAI answers few a minute."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] == day and day - found[-1][0] < longest * DAY:
            found[-1] = (found[-1][0], day + DAY)
        else:
            found.append((day, day + DAY))
    return found


def is_settled(day: date, *, pulled_at: datetime, restated_at: datetime | None) -> bool:
    """Whether the day, read at `pulled_at`, had then been over and unchanged for SETTLE."""
    quiet_since = max(midnight(day + DAY), restated_at or midnight(day))
    return pulled_at - quiet_since >= SETTLE


def _days(first: date, end: date) -> Iterable[date]:
    while first < end:
        yield first
        first += DAY
