"""What a month is, when a threshold is crossed, what a budget may say. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from govern.core.db import to_nano
from govern.core.errors import InvalidInput

LARGEST: Final = Decimal(1_000_000_000)
_MAIL: Final = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]+")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NOON: Final = time(12, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """One calendar month in a zone: the instants `[start, end)` and the UTC days `[first_day, end_day)` that belong to it.

    OpenAI bills whole UTC days, so a day cannot be split: it belongs to the month in which its noon (UTC) lies. Every day
    belongs to exactly one month of a zone.
    """

    key: str
    month: str
    year: int
    start: datetime
    end: datetime
    first_day: date
    end_day: date


def month_window(at: datetime, zone: str) -> Window:
    """The month of the zone's calendar that holds the instant."""
    local = at.astimezone(ZoneInfo(zone))
    return _window(local.year, local.month, zone)


def month_before(window: Window, zone: str) -> Window:
    """The month that ended when this one began."""
    return month_window(window.start - timedelta(seconds=1), zone)


def window_of(key: str, zone: str) -> Window:
    """The window that a stored key (`2026-03`) names."""
    year, month = key.split("-")
    return _window(int(year), int(month), zone)


def _window(year: int, month: int, zone: str) -> Window:
    start, end = _begin(year, month, zone), _begin(year + month // 12, month % 12 + 1, zone)
    return Window(f"{year:04d}-{month:02d}", _MONTHS[month - 1], year, start, end, _day_from(start), _day_from(end))


def _begin(year: int, month: int, zone: str) -> datetime:
    # Where clocks skip the midnight, the first existing instant after it is meant: zoneinfo's fold 0 gives just that.
    return datetime(year, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _day_from(instant: datetime) -> date:
    """The first UTC day whose noon is not before the instant."""
    day = instant.date()
    return day if datetime.combine(day, _NOON) >= instant else day + timedelta(days=1)


def crossed(spent: Decimal, limit: Decimal, thresholds: Sequence[int]) -> list[int]:
    """The thresholds (per cent of the limit) that the spend has reached, ascending."""
    return [each for each in sorted(thresholds) if spent * 100 >= limit * each]


def percent(spent: Decimal, limit: Decimal) -> int:
    """Whole per cent of the limit, rounded down: it never names a threshold that was not reached."""
    return int((spent * 100 / limit).to_integral_value(rounding="ROUND_FLOOR"))


def check_name(name: str) -> str:
    """The name on one line. Raises InvalidInput."""
    cleaned = " ".join(name.split())
    if not 1 <= len(cleaned) <= 200 or not cleaned.isprintable():
        raise InvalidInput("The budget needs a name of 1 to 200 characters.", {"name": "1 to 200 characters."})
    return cleaned


def check_amount(amount: Decimal) -> Decimal:
    """The limit, to a nano-dollar. Raises InvalidInput."""
    if not amount.is_finite() or not 0 < amount <= LARGEST:
        raise InvalidInput("The amount must be above 0 US dollars.", {"monthly_usd": "Above 0, at most 1,000,000,000."})
    return to_nano(amount)


def check_thresholds(thresholds: Sequence[int]) -> list[int]:
    """Whole per cents, each once, ascending. Raises InvalidInput."""
    found = sorted(set(thresholds))
    if not 1 <= len(found) <= 20 or found[0] < 1 or found[-1] > 1000:
        raise InvalidInput(
            "Give 1 to 20 thresholds, each between 1 and 1000 per cent.", {"thresholds": "1 to 20 whole numbers from 1 to 1000."}
        )
    return found


def check_zone(zone: str) -> str:
    """The name of a time zone that exists. Raises InvalidInput."""
    try:
        return ZoneInfo(zone).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"{zone[:64]!r} is not a time zone; a name such as Europe/Berlin is.", {"zone": "Such as UTC or Europe/Berlin."}
        ) from None


def check_addresses(addresses: Sequence[str]) -> list[str]:
    """Mail addresses, each once, in order. Raises InvalidInput."""
    found = list(dict.fromkeys(address.strip() for address in addresses))
    wrong = [address for address in found if len(address) > 254 or not _MAIL.fullmatch(address) or not address.isprintable()]
    if wrong or len(found) > 50:
        sentence = f"{wrong[0][:80]!r} is not a mail address." if wrong else "At most 50 addresses can be told."
        raise InvalidInput(sentence, {"notify": sentence})
    return found
