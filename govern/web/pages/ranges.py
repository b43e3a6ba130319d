"""Ranges of UTC days, as addresses name them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from govern.core.clock import utcnow
from govern.web.pages import forms

DAY: Final = timedelta(days=1)
LONGEST: Final = 400
PRESETS: Final = (
    ("month", "This month"),
    ("last-month", "Last month"),
    ("7", "Last 7 days"),
    ("30", "Last 30 days"),
    ("90", "Last 90 days"),
)


@dataclass(frozen=True)
class Range:
    """The UTC days `[start, end)`; `preset` is the word that asked for it, '' for days picked one by one."""

    start: date
    end: date
    preset: str

    @property
    def last(self) -> date:
        """The last day in it."""
        return self.end - DAY

    def days(self) -> list[date]:
        """Every day of it."""
        return [self.start + at * DAY for at in range((self.end - self.start).days)]


def preset(word: str, today: date) -> Range:
    """The range that a preset's word means on this day; an unknown word means this month."""
    if word == "last-month":
        end = today.replace(day=1)
        return Range((end - DAY).replace(day=1), end, word)
    if word in ("7", "30", "90"):
        return Range(today - (int(word) - 1) * DAY, today + DAY, word)
    return Range(today.replace(day=1), today + DAY, "month")


def asked() -> Range:
    """The range of this request's address: `from` and `to` (both included), or a preset."""
    today = utcnow().date()
    try:
        start = date.fromisoformat(forms.query_text("from") or "")
        end = date.fromisoformat(forms.query_text("to") or "") + DAY
    except (ValueError, OverflowError):
        return preset(forms.query_text("range") or "month", today)
    if not start < end or (end - start).days > LONGEST:
        return preset("month", today)
    return Range(start, end, "")
