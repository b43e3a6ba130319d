"""Raise a budget for a while. Nothing is reset at the end: what the limit is at a moment is a question asked of the raises."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from govern.audit import service as audit
from govern.budgets import queries, rules
from govern.budgets.models import BudgetRaise
from govern.budgets.rules import Limit
from govern.core.errors import Conflict, InvalidInput, NotFound
from govern.core.uow import UnitOfWork

LONGEST: Final = timedelta(days=3653)


def raise_budget(uow: UnitOfWork, budget_id: str, *, by_usd: Decimal, until: date, reason: str | None = None) -> BudgetRaise:
    """Let the limit be higher from now on until the end of that day, in the budget's zone. Raises add up.

    The higher limit has its own thresholds to reach; those of the lower one tell no second time after it. Raises InvalidInput,
    NotFound, Conflict (retired).
    """
    budget = queries.locked(uow.session, budget_id)
    if budget.retired_at is not None:
        raise Conflict("The budget is retired. Create a new one.")
    today = uow.now.astimezone(ZoneInfo(budget.zone)).date()
    if not today <= until <= today + LONGEST:
        raise InvalidInput("A raise ends today or later, within ten years.", {"until": "Today or later, within ten years."})
    ends_at = datetime.combine(until + timedelta(days=1), time(0), ZoneInfo(budget.zone)).astimezone(UTC)
    by_usd = rules.check_amount(by_usd, "by_usd")
    held = Limit(budget.amount_usd, 0).raised(queries.raises_of(uow.session, [budget.id]).get(budget.id, ()), uow.now)
    if held.usd + by_usd > rules.LARGEST:
        raise InvalidInput("With its raises the limit is too high.", {"by_usd": "At most 1,000,000,000 with the rest."})
    row = BudgetRaise(
        id=uow.new_id("brs"), budget_id=budget.id, by_usd=by_usd, starts_at=uow.now, ends_at=ends_at,
        generation=queries.next_generation(uow.session, budget), reason=reason, created_by=uow.actor.id,
    )  # fmt: skip
    uow.session.add(row)
    audit.record(uow, "budget.raised", budget, by_usd=row.by_usd, until=until, reason=reason)
    return row


def end_raise(uow: UnitOfWork, budget_id: str, raise_id: str) -> BudgetRaise:
    """Let the raise hold no longer. One that is over stays as it is. Raises NotFound."""
    budget = queries.locked(uow.session, budget_id)
    row = uow.session.get(BudgetRaise, raise_id)
    if row is None or row.budget_id != budget.id:
        raise NotFound(f"There is no raise {raise_id!r} of this budget.")
    if row.ends_at > uow.now:
        row.ends_at = uow.now
        audit.record(uow, "budget.raise_ended", budget, by_usd=row.by_usd)
    return row
