"""Reports: who moved most, what a month comes to by cost centre, and how well the estimate meets the bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Final

from sqlalchemy.orm import Session

from govern.usage import queries
from govern.usage.names import By, Whose
from govern.usage.questions import EVERYTHING, Figure, Line, Only, View, next_step, previous
from govern.usage.rules import DAY

_NOTHING: Final = Decimal(0)
_SHARE: Final = Decimal("0.000001")


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
    now = {line.cursor[0]: line for line in queries.lines(session, start, end, by=(by,), view=view, only=only)}
    before = {line.cursor[0]: line for line in queries.lines(session, *previous(start, end), by=(by,), view=view, only=only)}

    def mover(group: str) -> Mover:
        line: Line = now.get(group) or before[group]
        amounts = (side[group].figure if group in side else Figure() for side in (now, before))
        return Mover(line.ids[by], line.names[by], *amounts)

    found = [each for each in map(mover, now.keys() | before.keys()) if each.change]
    return sorted(found, key=lambda each: (-abs(each.change), each.id))[:limit]


@dataclass(frozen=True)
class ChargebackLine:
    """What somebody is charged with. PERSON: people of a cost centre and a team ('' for none). PROJECT: what a project's own
    keys and tools spent; NOBODY: what could not be attributed. `people` is how many spent something."""

    whose: Whose
    cost_centre: str
    team: str
    project_id: str
    project: str
    people: int
    amount: Decimal


@dataclass(frozen=True)
class Chargeback:
    """A month's bill, split so that the lines are the bill: `difference` is what is not explained, and is 0.

    `bill` is added up from the bill's own rows by another way than the lines are. `final`: no day of the month changes any
    more. `other_currencies` are billed amounts that nothing here adds up.
    """

    month: date
    lines: Sequence[ChargebackLine]
    bill: Decimal
    final: bool
    billed_to: date | None
    other_currencies: Mapping[str, Decimal]

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), _NOTHING)

    @property
    def difference(self) -> Decimal:
        return self.bill - self.total

    def part(self, whose: Whose) -> Decimal:
        """What people, projects' own or nobody come to together."""
        return sum((line.amount for line in self.lines if line.whose is whose), _NOTHING)

    def centres(self) -> list[tuple[str, list[ChargebackLine], Decimal]]:
        """(cost centre, its lines by team, sum) of what people spent; without a cost centre last."""
        found: dict[str, list[ChargebackLine]] = {}
        for line in self.lines:
            if line.whose is Whose.PERSON:
                found.setdefault(line.cost_centre, []).append(line)
        named = sorted(found.items(), key=lambda pair: (pair[0] == "", pair[0]))
        return [(centre, lines, sum((line.amount for line in lines), _NOTHING)) for centre, lines in named]


def chargeback(session: Session, month: date) -> Chargeback:
    """The month's bill by cost centre and team, with projects' own and unattributed as lines. `month` is any day of it."""
    start = month.replace(day=1)
    end = next_step(start, By.MONTH)
    grouped = (By.WHOSE, By.COST_CENTRE, By.TEAM)
    spent = queries.lines(session, start, end, by=(*grouped, By.PERSON), view=View.BILLED, only=Only(whose=Whose.PERSON))
    places: dict[tuple[str, str], list[Decimal]] = {}
    for line in spent:
        if line.figure.amount:
            places.setdefault((line.ids[By.COST_CENTRE], line.ids[By.TEAM]), []).append(line.figure.amount)
    lines = [
        ChargebackLine(Whose.PERSON, centre, team, "", "", len(amounts), sum(amounts, _NOTHING))
        for (centre, team), amounts in sorted(places.items(), key=lambda pair: (pair[0][0] == "", pair[0]))
    ]
    for whose in (Whose.PROJECT, Whose.NOBODY):
        own = queries.lines(session, start, end, by=(By.PROJECT,), view=View.BILLED, only=Only(whose=whose))
        lines += [
            ChargebackLine(whose, "", "", line.ids[By.PROJECT], line.names[By.PROJECT], 0, line.figure.amount)
            for line in own
            if line.figure.amount
        ]
    bill = queries.lines(session, start, end, by=(By.LINE_ITEM,), view=View.BILLED)
    fresh = queries.freshness(session)
    return Chargeback(
        start, lines, sum((line.figure.amount for line in bill), _NOTHING),
        final=fresh.settled_to is not None and fresh.settled_to >= end, billed_to=fresh.billed_to,
        other_currencies=queries.other_currencies(session, start, end),
    )  # fmt: skip


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


def accuracy(session: Session, start: date, end: date) -> Accuracy:
    """Estimated against billed, model by model, of the settled ones of the UTC days `[start, end)`."""
    settled_to = queries.freshness(session).settled_to or start
    until = max(start, min(end, settled_to))
    unpriced = queries.unpriced_models(session, start, end)
    if until == start:
        return Accuracy([], None, None, unpriced, (start, start))
    both: dict[tuple[str, str], dict[View, Decimal]] = {}
    for view in (View.ESTIMATED, View.BILLED):
        for line in queries.lines(session, start, until, by=(By.DAY, By.MODEL), view=view):
            if line.figure.amount:
                both.setdefault((line.ids[By.DAY], line.ids[By.MODEL]), {})[view] = line.figure.amount
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
