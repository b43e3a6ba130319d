"""Forecasts of budgets: the days that are known, asked of the spend. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.orm import Session

from govern.budgets.forecast import HISTORY_DAYS, Forecast, forecast
from govern.budgets.models import Budget, Scope
from govern.budgets.standing import Standing
from govern.usage import queries as usage
from govern.usage.names import By
from govern.usage.questions import Only, Question
from govern.usage.rules import DAY


class Known(NamedTuple):
    """`days`: dollars of each complete day, the newest last, the day before `open_day`. `opened`: of `open_day` and later."""

    days: list[Decimal]
    open_day: date
    opened: Decimal


def forecasts(session: Session, standings: Iterable[Standing], now: datetime) -> list[Forecast]:
    """Where each of these windows of now will end. One query of some days for each."""
    open_day = complete_before(session, now)
    return [forecast_of(session, standing, open_day) for standing in standings]


def complete_before(session: Session, now: datetime) -> date:
    """The first UTC day that is not known whole: today, or where the figures end."""
    fresh = usage.freshness(session)
    reached = [each for each in (fresh.estimated_until and fresh.estimated_until.date(), fresh.billed_to) if each]
    return min(max(reached, default=now.date()), now.date())


def forecast_of(session: Session, standing: Standing, open_day: date) -> Forecast:
    """Where this window of now will end. `open_day` is that of `complete_before`, the same for all."""
    if standing.budget.per_person and not standing.person_id:
        return Forecast(why="Nobody has spent anything in this window yet.")
    only = only_of(standing.budget, standing.person_id)
    window = standing.window
    if open_day < window.first_day:
        return Forecast(why="The figures do not reach into the window yet.")
    known = known_days(session, only, open_day, max(window.end_day, open_day + DAY))
    spent = standing.spent.amount
    return forecast(known.days, known.open_day, window.end_day, spent - known.opened, known.opened)


def known_days(session: Session, only: Only, open_day: date, end_day: date) -> Known:
    """The days before `open_day`, and what came since, until `end_day`."""
    start = open_day - timedelta(days=HISTORY_DAYS)
    amounts = spend_by_day(session, only, start, end_day)
    days = [amounts.get(start + number * DAY, Decimal(0)) for number in range(HISTORY_DAYS)]
    return Known(days, open_day, sum((amount for day, amount in amounts.items() if day >= open_day), Decimal(0)))


def spend_by_day(session: Session, only: Only, start: date, end: date) -> dict[date, Decimal]:
    """Dollars of the UTC days `[start, end)`; days without any are left out."""
    rows = usage.rows(session, Question(start, end, (By.DAY,), only=only), counted=False)
    return {date.fromisoformat(row.group[0]): row.figure.amount for row in rows}


def only_of(budget: Budget, person_id: str = "") -> Only:
    """What limits a question to the spend that the budget watches: of this person, where it is for each."""
    if budget.per_person:
        return Only(person_id=person_id)
    named = budget.scope_id
    match budget.scope:
        case Scope.ORGANIZATION:
            return Only()
        case Scope.PROJECT:
            return Only(project_id=named)
        case Scope.PERSON:
            return Only(person_id=named)
        case Scope.TEAM:
            return Only(team=named)
        case Scope.COST_CENTRE:
            return Only(cost_centre=named)
        case Scope.KEY:
            return Only(key_id=named)
        case Scope.MODEL:
            return Only(model=named)
