"""Reports: who moved most, and how well the estimate meets the bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Final

from sqlalchemy.orm import Session

from govern.usage import queries
from govern.usage.names import By, Names
from govern.usage.questions import EVERYTHING, Figure, Only, Question, View
from govern.usage.rules import DAY

_NOTHING: Final = Decimal(0)
_SHARE: Final = Decimal("0.000001")
TARGET: Final = Decimal("0.03")
"""The median error per model and day that estimates are to stay within."""


@dataclass(frozen=True)
class Mover:
    """A group and how far its spend moved: `now` in the range, `before` in the range before (see `questions.previous`)."""

    id: str
    name: str
    now: Figure
    before: Figure

    @property
    def change(self) -> Decimal:
        return self.now.amount - self.before.amount


def movers(
    session: Session, start: date, end: date, *, by: By, view: View = View.BEST, only: Only = EVERYTHING, limit: int = 10
) -> list[Mover]:
    """The groups whose spend changed most against the range before, up or down."""
    question = Question(start, end, (by,), view, only)
    most = queries.changes(session, question, limit)
    names = Names(session, by, {group for group, _, _ in most})
    return [Mover(names.id_of(group), names.name_of(group), now, before) for group, now, before in most]


@dataclass(frozen=True)
class ModelDay:
    """One model on one settled day, on both clocks."""

    day: date
    model: str
    estimated: Decimal
    billed: Decimal

    @property
    def error(self) -> Decimal | None:
        """How far the estimate is off, as a share of the bill; None where one of the two has nothing."""
        if not self.billed or not self.estimated:
            return None
        return ((self.estimated - self.billed) / self.billed).quantize(_SHARE)


@dataclass(frozen=True)
class Accuracy:
    """How well the estimate meets the bill over settled days.

    `coverage`: the share of the bill whose model and day has an estimate; None without a bill. `error`: the median over models
    and days of how far the estimate is off, whatever the direction. `unpriced`: models without a price, and their tokens.
    `settled`: the days that were looked at, `[start, end)`.
    """

    days: Sequence[ModelDay]
    coverage: Decimal | None
    error: Decimal | None
    unpriced: Mapping[str, int]
    settled: tuple[date, date]

    @property
    def met(self) -> bool | None:
        """Whether the estimates meet TARGET; None while there is nothing to compare."""
        return meets(self.error)

    def models(self) -> list[tuple[str, Decimal, Decimal, Decimal | None]]:
        """(model, estimated, billed, median error) of each model, the most expensive first; '' is what names no model."""
        by_model: dict[str, list[ModelDay]] = {}
        for day in self.days:
            by_model.setdefault(day.model, []).append(day)
        rows = [
            (
                model, sum((day.estimated for day in days), _NOTHING), sum((day.billed for day in days), _NOTHING),
                _median(days),
            )
            for model, days in by_model.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (-max(row[1], row[2]), row[0]))


def meets(error: Decimal | None) -> bool | None:
    """Whether a median error is within TARGET; None stays None."""
    return None if error is None else error <= TARGET


def accuracy(session: Session, start: date, end: date) -> Accuracy:
    """Estimated against billed, model by model, of the settled ones of the UTC days `[start, end)`."""
    settled_to = queries.freshness(session).settled_to or start
    until = max(start, min(end, settled_to))
    unpriced = queries.unpriced_models(session, start, end)
    if until == start:
        return Accuracy([], None, None, unpriced, (start, start))
    both: dict[tuple[str, str], dict[View, Decimal]] = {}
    for view in (View.ESTIMATED, View.BILLED):
        for row in queries.rows(session, Question(start, until, (By.DAY, By.MODEL), view), counted=False):
            if row.figure.amount:
                day, model = row.group
                both.setdefault((day, model), {})[view] = row.figure.amount
    days = [
        ModelDay(date.fromisoformat(day), model, sides.get(View.ESTIMATED, _NOTHING), sides.get(View.BILLED, _NOTHING))
        for (day, model), sides in sorted(both.items())
    ]
    bill = sum((day.billed for day in days), _NOTHING)
    covered = sum((day.billed for day in days if day.error is not None), _NOTHING)
    return Accuracy(days, (covered / bill).quantize(_SHARE) if bill else None, _median(days), unpriced, (start, until))


def _median(days: Sequence[ModelDay]) -> Decimal | None:
    errors = [abs(day.error) for day in days if day.error is not None]
    return median(errors) if errors else None


@dataclass(frozen=True)
class Coverage:
    """How many of the range's days up to now are settled, billed and not settled, only estimated, and not read at all."""

    settled: int
    billed: int
    estimated: int
    missing: int


def coverage(session: Session, start: date, end: date, today: date) -> Coverage:
    """On which clock the days `[start, end)` stand, as far as they have come."""
    days = {start + at * DAY for at in range((min(end, today + DAY) - start).days)}
    known = queries.days_read(session, start, end)
    settled, billed, used = (known[name] & days for name in ("settled", "billed", "used"))
    return Coverage(len(settled), len(billed - settled), len(used - billed - settled), len(days - settled - billed - used))
