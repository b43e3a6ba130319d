"""Reads of budgets, their raises, alerts and deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets.models import Alert, AlertState, Budget, BudgetRaise, BudgetTerms, Delivery, Scope
from govern.core.clock import utcnow
from govern.core.errors import NotFound
from govern.usage.bulk import batched

OF_SOMEBODY: Final = (Scope.PROJECT, Scope.PERSON)
"""The scopes that are seen by who sees the person or the project, and not by whoever sees everything alone."""


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


def raises_of(session: Session, budget_ids: Iterable[str]) -> dict[str, list[BudgetRaise]]:
    """Budget id → its raises, also those that are over, oldest first; budgets without any are left out."""
    found: dict[str, list[BudgetRaise]] = defaultdict(list)
    for part in batched(sorted(set(budget_ids))):
        query = sa.select(BudgetRaise).where(BudgetRaise.budget_id.in_(part)).order_by(BudgetRaise.id)
        for each in session.scalars(query):
            found[each.budget_id].append(each)
    return dict(found)


def terms_of(session: Session, budget_ids: Iterable[str]) -> dict[str, list[BudgetTerms]]:
    """Budget id → its earlier terms, oldest first; budgets that were never changed are left out."""
    found: dict[str, list[BudgetTerms]] = defaultdict(list)
    for part in batched(sorted(set(budget_ids))):
        query = sa.select(BudgetTerms).where(BudgetTerms.budget_id.in_(part))
        for each in session.scalars(query.order_by(BudgetTerms.until_at, BudgetTerms.generation)):
            found[each.budget_id].append(each)
    return dict(found)


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
    person_ids: Sequence[str] = (),
    state: AlertState | None = None,
    assigned_to: str | None = None,
) -> Sequence[Alert]:
    """Alerts, newest first, older than the id `after`; of these budgets, or about these people. A state is that of now."""
    query = sa.select(Alert).order_by(Alert.id.desc()).limit(limit)
    if after:
        query = query.where(Alert.id < after)
    if budget_id:
        query = query.where(Alert.budget_id == budget_id)
    if budget_ids is not None:
        query = query.where(sa.or_(Alert.budget_id.in_(budget_ids), Alert.person_id.in_(person_ids)))
    if state:
        query = query.where(*_in_state(state, utcnow()))
    if assigned_to:
        query = query.where(Alert.assigned_to == assigned_to)
    return session.scalars(query).all()


def _in_state(state: AlertState, now: datetime) -> list[sa.ColumnElement[bool]]:
    """`Alert.state` as conditions."""
    if state is AlertState.WITHDRAWN:
        return [Alert.withdrawn_at.is_not(None)]
    speaks: list[sa.ColumnElement[bool]] = [Alert.withdrawn_at.is_(None), Alert.superseded.is_(state is AlertState.SUPERSEDED)]
    if state is AlertState.SUPERSEDED:
        return speaks
    if state is AlertState.ACKNOWLEDGED:
        return [*speaks, Alert.acknowledged_at.is_not(None)]
    snoozed = sa.and_(Alert.snoozed_until.is_not(None), Alert.snoozed_until > now)
    return [*speaks, Alert.acknowledged_at.is_(None), snoozed if state is AlertState.SNOOZED else sa.not_(snoozed)]


def deliveries(session: Session, alert_ids: Sequence[str]) -> dict[str, list[Delivery]]:
    """Alert id → what was sent about it, oldest first."""
    found: dict[str, list[Delivery]] = {alert_id: [] for alert_id in alert_ids}
    for delivery in session.scalars(sa.select(Delivery).where(Delivery.alert_id.in_(alert_ids)).order_by(Delivery.id)):
        found[delivery.alert_id].append(delivery)
    return found
