"""What a window's spend will be at its end, with the band in which it ends four times out of five. Pure.

The level is the median week of the last four, spread over the weekdays as these weeks were. How far the same rule was off
before, on each day of the last thirteen weeks, says what is likely (the middle of it) and the band (its middle 80 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from statistics import median
from typing import Final

from govern.budgets.rules import dollars
from govern.core.db import to_nano

WEEK: Final = 7
LEVEL_DAYS: Final = 4 * WEEK
"""The level is that of so many days."""
ERROR_DAYS: Final = 13 * WEEK
"""How far the rule was off is looked at for so many days."""
HISTORY_DAYS: Final = LEVEL_DAYS + ERROR_DAYS + WEEK
"""Complete days that are of use; older ones say nothing."""
LEAST_DAYS: Final = 6 * WEEK
LEAST_ERRORS: Final = 8
FARTHEST: Final = ERROR_DAYS
"""Days ahead."""
BAND: Final = Decimal("0.8")
"""The share of windows that shall end in the band."""
_TAIL: Final = (1 - BAND) / 2


@dataclass(frozen=True)
class Forecast:
    """Dollars at the end of the window: `likely`, and the band from `low` to `high`. Where nothing can be said, `why` says why
    and the three are None."""

    low: Decimal | None = None
    likely: Decimal | None = None
    high: Decimal | None = None
    why: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.low is None or self.likely is None or self.high is None:
            return f"No forecast. {self.why}"
        band = f"{dollars(self.low)} to {dollars(self.high)}"
        return f"Likely {dollars(self.likely)} at its end; the {int(BAND * 100)} % band is {band}."


def forecast(days: Sequence[Decimal], open_day: date, end_day: date, closed: Decimal, opened: Decimal) -> Forecast:
    """The window's spend when `end_day` begins.

    `days`: the spend of the complete days before `open_day`, without gaps, the newest last. `closed`: what the window has of
    complete days. `opened`: what is known of `open_day` and later; the forecast is never below it. All in dollars.
    """
    ahead = (end_day - open_day).days
    if ahead <= 0:
        return Forecast(why="All days of the window are over.")
    if ahead > FARTHEST:
        return Forecast(why=f"{ahead} days are left; {FARTHEST} days ahead are the most that is said.")
    first = next((at for at, amount in enumerate(days) if amount), len(days))
    known = days[first:][-HISTORY_DAYS:]
    if len(known) < LEAST_DAYS:
        count = f"{len(known)} day" + ("" if len(known) == 1 else "s")
        return Forecast(why=f"Too little data: {count} since the first spend, {LEAST_DAYS} are needed.")
    now, weekday = len(known), open_day.weekday() - len(known)  # the weekday of `known[0]`, modulo a week
    rest = _expected(known, now, ahead, weekday)
    errors = _errors(known, min(ahead, WEEK), weekday)
    if rest <= 0 or len(errors) < LEAST_ERRORS:
        return Forecast(why="Too irregular: there was no spend in most of the last weeks.")
    low, likely, high = (
        to_nano(closed + max(rest * errors[_rank(share, len(errors))], opened)) for share in (_TAIL, Decimal("0.5"), 1 - _TAIL)
    )
    return Forecast(low, likely, high)


def _expected(days: Sequence[Decimal], at: int, ahead: int, weekday: int) -> Decimal:
    """The spend of the days `[at, at + ahead)` as the four weeks before `at` tell it."""
    base = days[at - LEVEL_DAYS : at]
    by_weekday = [_tamed(base[(each - weekday - at) % WEEK :: WEEK]) for each in range(WEEK)]
    whole = sum(by_weekday, Decimal(0))
    if whole <= 0:
        return Decimal(0)
    level = median(sum(base[start : start + WEEK], Decimal(0)) for start in range(0, LEVEL_DAYS, WEEK))
    return level * sum((by_weekday[(weekday + at + step) % WEEK] for step in range(ahead)), Decimal(0)) / whole


def _tamed(days: Sequence[Decimal]) -> Decimal:
    """The sum, in which the largest counts as the second largest: one wild day does not make its weekday a wild one."""
    *rest, second, _ = sorted(days)
    return sum(rest, 2 * second)


def _errors(days: Sequence[Decimal], ahead: int, weekday: int) -> list[Decimal]:
    """What came over what the rule said, for each day from which so many days are known, ascending."""
    last = len(days) - ahead
    found = []
    for at in range(max(LEVEL_DAYS, last - ERROR_DAYS), last + 1):
        said = _expected(days, at, ahead, weekday)
        if said > 0:
            found.append(sum(days[at : at + ahead], Decimal(0)) / said)
    return sorted(found)


def _rank(share: Decimal, count: int) -> int:
    """The place of this quantile among so many values, the outer one where it lies between two."""
    rounding = ROUND_FLOOR if share <= Decimal("0.5") else ROUND_CEILING
    place = int((share * (count + 1)).to_integral_value(rounding=rounding)) - 1
    return min(max(place, 0), count - 1)
