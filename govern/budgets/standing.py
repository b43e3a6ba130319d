"""How budgets stand: their limits and what was spent, per window, and per person where a budget is for each of a group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import defaults, queries, scopes
from govern.budgets.models import Budget, Scope
from govern.budgets.rules import Limit, Threshold, percent
from govern.budgets.windows import Window
from govern.people.models import Person
from govern.projects.models import Project
from govern.usage import queries as usage
from govern.usage.bulk import batched
from govern.usage.names import By
from govern.usage.questions import Figure

_FEW: Final = 200
"""So many groups are looked up by name; of more, the whole stretch is read."""


@dataclass(frozen=True)
class Standing:
    """How a budget stands in a window. `label` names whose spend it is; `spent` says what is billed and what estimated.

    `limit` is that of now, with raises, and `marks` are the thresholds; of a window that is over, those of its last moment.
    `person_id`: of a budget for each person, whose standing this is; '' otherwise.
    """

    budget: Budget
    label: str
    window: Window
    limit: Limit
    spent: Figure
    marks: Sequence[Threshold]
    person_id: str = ""

    @property
    def percent(self) -> int:
        """Whole per cent of the limit that are used."""
        return percent(self.spent.amount, self.limit.usd)

    @property
    def left(self) -> Decimal:
        """Dollars until the limit; negative beyond it."""
        return self.limit.usd - self.spent.amount


def standings(session: Session, budgets: Sequence[Budget], now: datetime) -> list[Standing]:
    """How each of these budgets stands in its window of now; one for each person as it does for who spent most."""
    found: dict[str, Standing] = {}
    for standing in at_windows(session, [(budget, budget.calendar.at(now)) for budget in budgets], now):
        most = found.setdefault(standing.budget.id, standing)
        if standing.spent.amount > most.spent.amount:
            found[standing.budget.id] = standing
    names = scopes.labels(session, budgets)
    nobody = [budget for budget in budgets if budget.id not in found]
    terms = _Terms(session, nobody, now)
    for budget in nobody:
        window = budget.calendar.at(now)
        limit, marks = terms.of(budget, window)
        found[budget.id] = Standing(budget, "", window, limit, Figure(), marks)
    return [replace(found[budget.id], label=names[budget.id]) for budget in budgets]


def of_people(session: Session, budget: Budget, now: datetime) -> list[Standing]:
    """How a budget for each person stands for those who spent something, who spent most first."""
    found = at_windows(session, [(budget, budget.calendar.at(now))], now)
    return sorted(found, key=lambda each: (-each.spent.amount, each.person_id))


def of_person(session: Session, person_id: str, now: datetime) -> list[Standing]:
    """How the budgets stand that hold for this person: their own, and those for each of a group in which they are."""
    own = sa.and_(Budget.scope == Scope.PERSON, Budget.scope_id == person_id)
    query = sa.select(Budget).where(Budget.retired_at.is_(None), sa.or_(Budget.per_person.is_(True), own))
    budgets = session.scalars(query.order_by(Budget.id.desc())).all()
    pairs = [(budget, budget.calendar.at(now)) for budget in budgets]
    also = {(budget.id, window.key): {person_id} for budget, window in pairs}
    return at_windows(session, pairs, now, also=also, people=[person_id])


def at_windows(
    session: Session,
    pairs: Sequence[tuple[Budget, Window]],
    now: datetime,
    *,
    also: Mapping[tuple[str, str], Collection[str]] | None = None,
    people: Collection[str] | None = None,
) -> list[Standing]:
    """How each budget stands in the window beside it. One query per stretch of days and kind of scope, however many budgets.

    A budget for each person stands once for each for whom it holds and who spent something or is named in `also` (budget id and
    window key → people); only for those of `people`, few, where these are given.
    """
    names = scopes.labels(session, [budget for budget, _ in pairs])
    projects = _remote_ids(session, [budget for budget, _ in pairs])
    terms = _Terms(session, [budget for budget, _ in pairs], now)
    asked: dict[_Stretch, set[str] | None] = {}
    placed = []
    for budget, window in pairs:
        by = By.PERSON if budget.per_person else scopes.GROUPS[budget.scope]
        group = projects.get(budget.scope_id, "") if by is By.PROJECT else budget.scope_id
        stretch = _Stretch(window.first_day, window.end_day, by)
        wanted = people if budget.per_person else [group]
        before = asked.setdefault(stretch, set())
        asked[stretch] = None if wanted is None or before is None else before | set(wanted)
        placed.append((budget, window, stretch, group))
    read = {stretch: _spent(session, stretch, groups) for stretch, groups in asked.items()}
    members = _Members(session, [pair for pair in pairs if pair[0].per_person], now, people)
    found = []
    for budget, window, stretch, group in placed:
        spent, (limit, marks) = read[stretch], terms.of(budget, window)
        if not budget.per_person:
            found.append(Standing(budget, names[budget.id], window, limit, spent.get(group, Figure()), marks))
            continue
        candidates = {*spent, *(also or {}).get((budget.id, window.key), ())} - {""}
        for person_id in members.of(budget, window, candidates if people is None else candidates & set(people)):
            found.append(Standing(budget, "", window, limit, spent.get(person_id, Figure()), marks, person_id))
    called = _names(session, {each.person_id for each in found if each.person_id})
    return [replace(each, label=called.get(each.person_id, "")) if each.person_id else each for each in found]


class _Terms:
    """What budgets are compared with in a window: the terms and raises of now, or of its last moment."""

    def __init__(self, session: Session, budgets: Sequence[Budget], now: datetime) -> None:
        ids = [budget.id for budget in budgets]
        self._now, self._raised, self._earlier = now, queries.raises_of(session, ids), queries.terms_of(session, ids)

    def of(self, budget: Budget, window: Window) -> tuple[Limit, Sequence[Threshold]]:
        at = min(self._now, window.end - timedelta(microseconds=1))
        held = next((terms for terms in self._earlier.get(budget.id, ()) if at < terms.until_at), budget)
        return Limit(held.amount_usd, held.generation).raised(self._raised.get(budget.id, ()), at), held.marks


class _Members:
    """For whom budgets for each person hold."""

    def __init__(
        self, session: Session, pairs: Sequence[tuple[Budget, Window]], now: datetime, people: Collection[str] | None
    ) -> None:
        self._now = now
        if pairs:
            days = [defaults.day_of(budget, window, now) for budget, window in pairs]
            self._places = defaults.Places(session, min(days), max(days), people)
            self._able = defaults.that_could_hold(session, list({budget.id: budget for budget, _ in pairs}.values()), people)

    def of(self, budget: Budget, window: Window, people: Iterable[str]) -> list[str]:
        day = defaults.day_of(budget, window, self._now)
        return sorted(each for each in people if budget in self._able.holding(each, self._places.on(each, day), window.end))


class _Stretch(NamedTuple):
    first_day: date
    end_day: date
    by: By | None


def _spent(session: Session, stretch: _Stretch, groups: Collection[str] | None) -> Mapping[str, Figure]:
    if stretch.first_day >= stretch.end_day:
        return {}
    if stretch.by is None:
        return {"": usage.totals(session, stretch.first_day, stretch.end_day).whole}
    among = groups if groups is not None and len(groups) <= _FEW else None
    return usage.spent(session, stretch.first_day, stretch.end_day, stretch.by, among=among)


def _remote_ids(session: Session, budgets: Sequence[Budget]) -> dict[str, str]:
    wanted = {budget.scope_id for budget in budgets if budget.scope is Scope.PROJECT}
    rows = session.execute(sa.select(Project.id, Project.remote_id).where(Project.id.in_(wanted)))
    return {row.id: row.remote_id for row in rows}


def _names(session: Session, person_ids: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in batched(sorted(person_ids)):
        rows = session.execute(sa.select(Person.id, Person.name, Person.email).where(Person.id.in_(part)))
        found.update((person_id, name or email) for person_id, name, email in rows)
    return found
