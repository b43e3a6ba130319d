"""Budgets for each person of a group: for whom one holds, and what goes before it.

A person's own budget goes before that of each in their team, that before the one of each in their cost centre, and that before
the one of everybody; but only before one of the same kind of window, so that a limit per day stands beside one per month.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets.models import Budget, Scope
from govern.budgets.windows import DAY, Window
from govern.people.models import Assignment

ORDER: Final = (Scope.PERSON, Scope.TEAM, Scope.COST_CENTRE, Scope.ORGANIZATION)
"""The nearest first. A budget per person is for one of the last three."""


@dataclass(frozen=True)
class Place:
    """Where a person stands on a day; '' for none."""

    team: str = ""
    cost_centre: str = ""


class Defaults:
    """The budgets that are one person's, and those for each of a group: which of them hold for whom. Pure."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        self._by_scope: dict[tuple[Scope, str], list[Budget]] = defaultdict(list)
        for budget in budgets:
            if budget.per_person or budget.scope is Scope.PERSON:
                self._by_scope[budget.scope, budget.scope_id].append(budget)

    def holding(self, person_id: str, place: Place, until: datetime) -> list[Budget]:
        """The budgets of those made before `until` that hold for the person: of each kind of window the nearest ones."""
        nearest: dict[tuple[str, int | None], Scope] = {}
        found = []
        for scope, scope_id in zip(ORDER, (person_id, place.team, place.cost_centre, ""), strict=True):
            if not scope_id and scope is not Scope.ORGANIZATION:
                continue
            for budget in self._by_scope.get((scope, scope_id), ()):
                kind = (budget.period, budget.days)
                if budget.created_at < until and nearest.setdefault(kind, scope) is scope:
                    found.append(budget)
        return found


class Places:
    """Where everybody, or each of these people, stood on the days `[first, last]`."""

    def __init__(self, session: Session, first: date, last: date, people: Collection[str] | None = None) -> None:
        self._of: dict[str, list[tuple[date, date | None, Place]]] = defaultdict(list)
        a = Assignment
        query = sa.select(a.person_id, a.from_on, a.until_on, a.team, a.cost_centre).where(
            a.from_on <= last, sa.or_(a.until_on.is_(None), a.until_on > first)
        )
        query = query if people is None else query.where(a.person_id.in_(people))
        for person_id, from_on, until_on, team, cost_centre in session.execute(query):
            self._of[person_id].append((from_on, until_on, Place(team or "", cost_centre or "")))

    def on(self, person_id: str, day: date) -> Place:
        """Where the person stood on this day."""
        held = (place for start, end, place in self._of.get(person_id, ()) if start <= day and (end is None or day < end))
        return next(held, Place())


def day_of(budget: Budget, window: Window, now: datetime) -> date:
    """The day whose places count: today; of a window that is over, its last day."""
    return min(now.astimezone(ZoneInfo(budget.zone)).date(), window.ends - DAY)


def that_could_hold(session: Session, instead: Sequence[Budget], people: Collection[str] | None = None) -> Defaults:
    """All active budgets of people, or of these people, and for each of a group; `instead` in place of what is stored of them."""
    ids = {budget.id for budget in instead}
    own = Budget.scope == Scope.PERSON
    own = own if people is None else sa.and_(own, Budget.scope_id.in_(people))
    query = sa.select(Budget).where(Budget.retired_at.is_(None), sa.or_(Budget.per_person.is_(True), own))
    return Defaults([*instead, *(budget for budget in session.scalars(query) if budget.id not in ids)])
