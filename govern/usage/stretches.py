"""Stretches of 1, 2, 4 … 32 days: any range is a few of them, so a year costs little more to read than a week. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

LEVELS: Final = 5
"""The longest stretch has 2^5 days."""


class Stretch(NamedTuple):
    """The 2^`level` days from `first` on; `first` is a multiple of the length, counted from the first day of all."""

    level: int
    first: date

    @property
    def end(self) -> date:
        """The first day after it."""
        return self.first + timedelta(days=1 << self.level)

    @property
    def halves(self) -> tuple[date, date]:
        """The first days of the two shorter stretches that it is made of."""
        return self.first, self.first + timedelta(days=1 << (self.level - 1))


def holding(day: date) -> list[Stretch]:
    """Every stretch of more than one day that holds this day."""
    return [_aligned(level, day) for level in range(1, LEVELS + 1)]


def cover(start: date, end: date, made: Collection[Stretch]) -> list[Stretch]:
    """The days `[start, end)` as few stretches: of the longer ones only those that are `made`; single days always serve."""
    found = []
    day = start
    while day < end:
        longest = Stretch(0, day)
        for level in range(LEVELS, 0, -1):
            stretch = Stretch(level, day)
            if stretch == _aligned(level, day) and stretch.end <= end and stretch in made:
                longest = stretch
                break
        found.append(longest)
        day = longest.end
    return found


def lacking(start: date, end: date, made: Collection[Stretch]) -> Iterator[Stretch]:
    """The longer stretches within the days `[start, end)` that are not made, shorter ones first: each is made of two halves."""
    for level in range(1, LEVELS + 1):
        stretch = _aligned(level, start)
        while stretch.end <= end:
            if stretch.first >= start and stretch not in made:
                yield stretch
            stretch = Stretch(level, stretch.end)


def _aligned(level: int, day: date) -> Stretch:
    return Stretch(level, date.fromordinal(max(1, day.toordinal() >> level << level)))
