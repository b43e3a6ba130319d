"""Reads of budgets, alerts and deliveries, and how a budget stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import scopes
from govern.budgets.models import Alert, Budget, BudgetRaise, Delivery, Scope
from govern.budgets.rules import Limit, percent
from govern.budgets.windows import Window
from govern.core.errors import NotFound
from govern.projects.models import Project
from govern.usage import queries as usage
from govern.usage.bulk import batched
from govern.usage.names import By
from govern.usage.questions import Figure

OF_SOMEBODY: Final = (Scope.PROJECT, Scope.PERSON)
"""The scopes that are seen by who sees the person or the project, and not by whoever sees everything alone."""


@dataclass(frozen=True)
class Standing:
    """How a budget stands in a window. `label` names the scope for people; `spent` says what is billed and what estimated.

    `limit` is that of now, with raises; of a window that is over, that of its last moment.
    """

    budget: Budget
    label: str
    window: Window
    limit: Limit
    spent: Figure

    @property
    def percent(self) -> int:
        """Whole per cent of the limit that are used."""
        return percent(self.spent.amount, self.limit.usd)

    @property
    def left(self) -> Decimal:
        """Dollars until the limit; negative beyond it."""
        return self.limit.usd - self.spent.amount


def get(session: Session, budget_id: str) -> Budget:
    """The budget, retired or not. Raises NotFound."""
    budget = session.get(Budget, budget_id)
    if budget is None:
        raise NotFound(f"There is no budget {budget_id!r}.")
    return budget


def locked(session: Session, budget_id: str) -> Budget:
    """The budget, for whoever changes it, one after another. Raises NotFound."""
    budget = session.get(Budget, budget_id, with_for_update=True, populate_existing=True)
    if budget is None:
        raise NotFound(f"There is no budget {budget_id!r}.")
    return budget


def next_generation(session: Session, budget: Budget) -> int:
    """A generation that no limit of the budget had yet. It must be locked."""
    last = session.scalar(sa.select(sa.func.max(BudgetRaise.generation)).where(BudgetRaise.budget_id == budget.id))
    return max(budget.generation, last or 0) + 1


def within(budget: Budget, scope_ids: Sequence[str] | None) -> bool:
    """Whether the budget is that of one of these people and projects; None: of any."""
    return scope_ids is None or (budget.scope in OF_SOMEBODY and budget.scope_id in scope_ids)


def find_budgets(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    scope: Scope | None = None,
    scope_id: str | None = None,
    scope_ids: Sequence[str] | None = None,
    retired: bool = False,
) -> Sequence[Budget]:
    """Budgets, newest first, older than the id `after`; retired ones only when asked for.

    `scope_ids` limits to these people and projects.
    """
    query = sa.select(Budget).order_by(Budget.id.desc()).limit(limit)
    if after:
        query = query.where(Budget.id < after)
    if scope:
        query = query.where(Budget.scope == scope)
    if scope_id is not None:
        query = query.where(Budget.scope_id == scope_id)
    if scope_ids is not None:
        query = query.where(Budget.scope.in_(OF_SOMEBODY), Budget.scope_id.in_(scope_ids))
    return session.scalars(query if retired else query.where(Budget.retired_at.is_(None))).all()


def active_budgets(session: Session, budget_ids: Iterable[str] | None = None) -> Sequence[Budget]:
    """Every budget that is watched, oldest first, or those of the ids given."""
    query = sa.select(Budget).where(Budget.retired_at.is_(None)).order_by(Budget.id)
    return session.scalars(query if budget_ids is None else query.where(Budget.id.in_(list(budget_ids)))).all()


def standings(session: Session, budgets: Sequence[Budget], now: datetime) -> list[Standing]:
    """How each of these budgets stands in its window of now."""
    return at_windows(session, [(budget, budget.calendar.at(now)) for budget in budgets], now)


def at_windows(session: Session, pairs: Sequence[tuple[Budget, Window]], now: datetime) -> list[Standing]:
    """How each budget stands in the window beside it. One query per stretch of days and kind of scope, however many budgets."""
    names = scopes.labels(session, [budget for budget, _ in pairs])
    projects = _remote_ids(session, [budget for budget, _ in pairs])
    raised = raises_of(session, [budget.id for budget, _ in pairs])
    asked: dict[_Stretch, set[str]] = defaultdict(set)
    placed = []
    for budget, window in pairs:
        by = scopes.GROUPS[budget.scope]
        group = projects.get(budget.scope_id, "") if by is By.PROJECT else budget.scope_id
        stretch = _Stretch(window.first_day, window.end_day, by)
        asked[stretch].add(group)
        placed.append((budget, window, stretch, group))
    read = {stretch: _spent(session, stretch, groups) for stretch, groups in asked.items()}
    return [
        Standing(budget, names[budget.id], window, _limit(budget, window, raised, now), read[stretch].get(group, Figure()))
        for budget, window, stretch, group in placed
    ]


def _limit(budget: Budget, window: Window, raised: Mapping[str, Sequence[BudgetRaise]], now: datetime) -> Limit:
    at = min(now, window.end - timedelta(microseconds=1))
    return Limit(budget.amount_usd, budget.generation).raised(raised.get(budget.id, ()), at)


def raises_of(session: Session, budget_ids: Iterable[str]) -> dict[str, list[BudgetRaise]]:
    """Budget id → its raises, also those that are over, oldest first; budgets without any are left out."""
    found: dict[str, list[BudgetRaise]] = defaultdict(list)
    for part in batched(sorted(set(budget_ids))):
        query = sa.select(BudgetRaise).where(BudgetRaise.budget_id.in_(part)).order_by(BudgetRaise.id)
        for each in session.scalars(query):
            found[each.budget_id].append(each)
    return dict(found)


_FEW: Final = 200
"""So many groups are looked up by name; of more, the whole stretch is read."""


class _Stretch(NamedTuple):
    first_day: date
    end_day: date
    by: By | None


def _spent(session: Session, stretch: _Stretch, groups: Collection[str]) -> Mapping[str, Figure]:
    if stretch.first_day >= stretch.end_day:
        return {}
    if stretch.by is None:
        return {"": usage.totals(session, stretch.first_day, stretch.end_day).whole}
    return usage.spent(session, stretch.first_day, stretch.end_day, stretch.by, among=groups if len(groups) <= _FEW else None)


def _remote_ids(session: Session, budgets: Sequence[Budget]) -> dict[str, str]:
    wanted = {budget.scope_id for budget in budgets if budget.scope is Scope.PROJECT}
    rows = session.execute(sa.select(Project.id, Project.remote_id).where(Project.id.in_(wanted)))
    return {row.id: row.remote_id for row in rows}


def get_alert(session: Session, alert_id: str) -> Alert:
    """The alert. Raises NotFound."""
    alert = session.get(Alert, alert_id)
    if alert is None:
        raise NotFound(f"There is no alert {alert_id!r}.")
    return alert


def find_alerts(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    budget_id: str | None = None,
    budget_ids: Sequence[str] | None = None,
) -> Sequence[Alert]:
    """Alerts, newest first, older than the id `after`."""
    query = sa.select(Alert).order_by(Alert.id.desc()).limit(limit)
    if after:
        query = query.where(Alert.id < after)
    if budget_id:
        query = query.where(Alert.budget_id == budget_id)
    if budget_ids is not None:
        query = query.where(Alert.budget_id.in_(budget_ids))
    return session.scalars(query).all()


def deliveries(session: Session, alert_ids: Sequence[str]) -> dict[str, list[Delivery]]:
    """Alert id → what was sent about it, oldest first."""
    found: dict[str, list[Delivery]] = {alert_id: [] for alert_id in alert_ids}
    for delivery in session.scalars(sa.select(Delivery).where(Delivery.alert_id.in_(alert_ids)).order_by(Delivery.id)):
        found[delivery.alert_id].append(delivery)
    return found
