"""Spend as charts and tables want it: series by day, and groups with their share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.orm import Session

from govern.usage import queries
from govern.usage.names import By
from govern.usage.questions import EVERYTHING, Figure, Line, Only, View
from govern.web.pages.ranges import Range

DRAWN: Final = 6
"""Series that a chart tells apart; the rest is drawn as one."""
LISTED: Final = 50


@dataclass(frozen=True)
class Question:
    """What is asked: which days, grouped by what, on which clock, of what."""

    days: Range
    by: By
    view: View = View.BEST
    only: Only = EVERYTHING


@dataclass(frozen=True)
class Series:
    """One line of a chart: a name and an amount per day. `kind` is bars or line."""

    name: str
    amounts: Sequence[Decimal | None]
    kind: str = "bars"


@dataclass(frozen=True)
class Chart:
    """Days and what is drawn over them; the page's table holds the same figures."""

    days: Sequence[date]
    series: Sequence[Series]

    def total(self, at: int) -> Decimal:
        """The sum of one day."""
        return sum((series.amounts[at] or Decimal(0) for series in self.series), Decimal(0))


@dataclass(frozen=True)
class Groups:
    """The largest groups, and what the others come to together."""

    lines: Sequence[Line]
    rest: Decimal
    whole: Figure

    def share(self, line: Line) -> Decimal:
        """The line's part of the whole, 0 where there is none."""
        return line.figure.amount / self.whole.amount if self.whole.amount else Decimal(0)


def by_clock(session: Session, days: Range, only: Only) -> Chart:
    """Each day's spend that counts, billed and estimated apart."""
    found = {line.ids[By.DAY]: line.figure for line in queries.lines(session, days.start, days.end, only=only)}
    figures = [found.get(day.isoformat(), Figure()) for day in days.days()]
    return Chart(
        days.days(),
        [Series("Billed", [each.billed for each in figures]), Series("Estimated", [each.estimated for each in figures])],
    )


def groups(session: Session, question: Question) -> Groups:
    """The largest groups of the range."""
    days, by, view, only = question.days, question.by, question.view, question.only
    found = queries.lines(session, days.start, days.end, by=(by,), view=view, only=only, largest_first=True, limit=LISTED)
    shown = [line for line in found if line.figure.amount or line.counts.requests]
    whole = total(session, days, only, view)
    return Groups(shown, whole.amount - sum((line.figure.amount for line in shown), Decimal(0)), whole)


def total(session: Session, days: Range, only: Only, view: View = View.BEST) -> Figure:
    """The whole of the range."""
    daily = [line.figure for line in queries.lines(session, days.start, days.end, view=view, only=only)]
    return Figure(
        sum((each.amount for each in daily), Decimal(0)),
        sum((each.billed for each in daily), Decimal(0)),
        sum((each.estimated for each in daily), Decimal(0)),
    )


def stacked(session: Session, question: Question, largest: Groups, names: Sequence[str]) -> Chart:
    """The largest groups day by day, and all others as one. `names` are the groups' names for people."""
    days, by, only = question.days, question.by, question.only
    every = _daily(session, question, only)
    if by is By.DAY:
        return Chart(days.days(), [Series("Spend", every)])
    series = [
        Series(name, _daily(session, question, narrowed(only, by, line.ids[by])))
        for line, name in zip(largest.lines[:DRAWN], names, strict=False)
    ]
    drawn = [sum((each.amounts[at] or Decimal(0) for each in series), Decimal(0)) for at in range(len(every))]
    rest = [whole - part for whole, part in zip(every, drawn, strict=True)]
    if any(rest):
        series.append(Series("Others", rest))
    return Chart(days.days(), series)


def _daily(session: Session, question: Question, only: Only) -> list[Decimal]:
    days = question.days
    lines = queries.lines(session, days.start, days.end, view=question.view, only=only)
    found = {line.ids[By.DAY]: line.figure.amount for line in lines}
    return [found.get(day.isoformat(), Decimal(0)) for day in days.days()]


def narrowed(only: Only, by: By, group: str) -> Only:
    """The same question, about one group."""
    names = {
        By.PERSON: "person_id", By.PROJECT: "project_id", By.KEY: "key_id", By.MODEL: "model", By.TEAM: "team",
        By.COST_CENTRE: "cost_centre", By.ENDPOINT: "endpoint", By.LINE_ITEM: "line_item",
    }  # fmt: skip
    limit: dict[str, Any] = {names[by]: group}
    return replace(only, **limit)
