"""Spend as charts and tables want it: series step by step, and groups with their share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.usage import queries
from govern.usage.names import By
from govern.usage.questions import EVERYTHING, STEPS, Bucket, Figure, Line, Only, Totals, View, buckets
from govern.web.pages import ranges
from govern.web.pages.ranges import Range

DRAWN: Final = 6
"""Series that a chart tells apart; the rest is drawn as one."""
LISTED: Final = 50


@dataclass(frozen=True)
class Question:
    """What is asked: which days, grouped by what, on which clock, of what, drawn in which steps."""

    days: Range
    by: By
    view: View = View.BEST
    only: Only = EVERYTHING
    step: By = By.DAY


@dataclass(frozen=True)
class Series:
    """One line of a chart: a name and an amount per day. `kind` is bars or line."""

    name: str
    amounts: Sequence[Decimal | None]
    kind: str = "bars"


@dataclass(frozen=True)
class Point:
    """A step of time: where it begins (ISO), and its name for people."""

    value: str
    text: str


@dataclass(frozen=True)
class Chart:
    """Steps of time and what is drawn over them; the page's table holds the same figures."""

    points: Sequence[Point]
    series: Sequence[Series]
    step: str = "Day"


@dataclass(frozen=True)
class Groups:
    """The largest groups, what the others come to together (None on a later page), the whole and whose it is."""

    lines: Sequence[Line]
    rest: Decimal | None
    whole: Figure
    totals: Totals
    following: Sequence[str] | None

    def share(self, line: Line) -> Decimal:
        """The line's part of the whole, 0 where there is none."""
        return line.figure.amount / self.whole.amount if self.whole.amount else Decimal(0)


def by_clock(session: Session, days: Range, only: Only, step: By = By.DAY) -> Chart:
    """Each step's spend that counts, billed and estimated apart."""
    found = {line.ids[step]: line.figure for line in queries.lines(session, days.start, days.end, by=(step,), only=only)}
    steps = buckets(days.start, days.end, step)
    figures = [found.get(each.label, Figure()) for each in steps]
    return Chart(
        [_point(each, step) for each in steps],
        [Series("Billed", [each.billed for each in figures]), Series("Estimated", [each.estimated for each in figures])],
        step.value.capitalize(),
    )


def _point(bucket: Bucket, step: By) -> Point:
    if step is By.HOUR:
        return Point(f"{bucket.label}:00Z", f"{bucket.start.day} {bucket.start:%b}, {bucket.label[-2:]}:00")
    text = f"{bucket.start:%B %Y}" if step is By.MONTH else f"{bucket.start.day} {bucket.start:%b %Y}"
    return Point(bucket.start.isoformat(), text)


def groups(session: Session, question: Question, *, after: Sequence[str] | None = None, compare: bool = False) -> Groups:
    """The largest groups of the range, or those behind `after` (the cursor of the last one seen)."""
    days, by, view, only = question.days, question.by, question.view, question.only
    found = queries.lines(
        session, days.start, days.end, by=(by,), view=view, only=only, largest_first=by not in STEPS, limit=LISTED + 1,
        after=after, compare=compare,
    )  # fmt: skip
    shown = [line for line in found[:LISTED] if line.figure.amount or line.counts.requests or line.previous != Figure()]
    totals = queries.totals(session, days.start, days.end, view=view, only=only)
    following = found[LISTED - 1].cursor if len(found) > LISTED else None
    rest = totals.whole.amount - sum((line.figure.amount for line in shown), Decimal(0)) if after is None else None
    return Groups(shown, rest, totals.whole, totals, following)


def total(session: Session, days: Range, only: Only, view: View = View.BEST) -> Figure:
    """The whole of the range."""
    return queries.totals(session, days.start, days.end, view=view, only=only).whole


def stacked(session: Session, question: Question, largest: Groups, names: Sequence[str]) -> Chart:
    """The largest groups step by step, and all others as one. `names` are the groups' names for people."""
    days, by, only, step = question.days, question.by, question.only, question.step
    steps = buckets(days.start, days.end, step)
    points = [_point(each, step) for each in steps]
    every = _stepwise(session, question, steps, only)
    if by in STEPS:
        return Chart(points, [Series("Spend", every)], step.value.capitalize())
    series = [
        Series(name, _stepwise(session, question, steps, narrowed(only, by, line.ids[by])))
        for line, name in zip(largest.lines[:DRAWN], names, strict=False)
    ]
    drawn = [sum((each.amounts[at] or Decimal(0) for each in series), Decimal(0)) for at in range(len(every))]
    rest = [whole - part for whole, part in zip(every, drawn, strict=True)]
    if any(rest):
        series.append(Series("Others", rest))
    return Chart(points, series, step.value.capitalize())


def _stepwise(session: Session, question: Question, steps: Sequence[Bucket], only: Only) -> list[Decimal]:
    days, step = question.days, question.step
    lines = queries.lines(session, days.start, days.end, by=(step,), view=question.view, only=only, counted=False)
    found = {line.ids[step]: line.figure.amount for line in lines}
    return [found.get(each.label, Decimal(0)) for each in steps]


def narrowed(only: Only, by: By, group: str) -> Only:
    """The same question, about one group."""
    names = {
        By.PERSON: "person_id", By.PROJECT: "project_id", By.KEY: "key_id", By.MODEL: "model", By.TEAM: "team",
        By.COST_CENTRE: "cost_centre", By.ENDPOINT: "endpoint", By.LINE_ITEM: "line_item", By.WHOSE: "whose",
        By.REASON: "reason",
    }  # fmt: skip
    limit: dict[str, Any] = {names[by]: group}
    return replace(only, **limit)


@dataclass(frozen=True)
class OfPerson:
    """What somebody spent this month: the whole, the models that cost most, day by day, and how far the figures reach."""

    whole: Figure
    models: Sequence[Line]
    chart: Chart
    freshness: queries.Freshness


def of_person(session: Session, person_id: str) -> OfPerson:
    """A person's spend of this month."""
    days, only = ranges.preset("month", utcnow().date()), Only(person_id=person_id)
    models = queries.lines(
        session, days.start, days.end, by=(By.MODEL,), only=only, limit=DRAWN, largest_first=True, counted=False
    )
    shown = [line for line in models if line.figure.amount]
    return OfPerson(total(session, days, only), shown, by_clock(session, days, only), queries.freshness(session))
