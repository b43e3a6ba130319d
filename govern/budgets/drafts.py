"""What a budget is to be: checked, but not stored. Commands store it; previews only look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Unpack, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.budgets import queries, rules, scopes
from govern.budgets.models import Budget, Scope
from govern.budgets.windows import Windows
from govern.core.clock import utcnow
from govern.core.errors import Conflict

DEFAULT_THRESHOLDS: Final = (80, 100)


class Changes(Windows, total=False):
    """What may change of a budget; None and what is left out stay."""

    name: str | None
    amount_usd: Decimal | None
    thresholds: Sequence[int] | None
    thresholds_usd: Sequence[Decimal] | None
    thresholds_forecast: Sequence[int] | None
    notify: Sequence[str] | None


def draft(
    session: Session,
    *,
    name: str,
    scope: Scope | str,
    scope_id: str | None = None,
    per_person: bool = False,
    amount_usd: Decimal,
    thresholds: Sequence[int] = DEFAULT_THRESHOLDS,
    thresholds_usd: Sequence[Decimal] = (),
    thresholds_forecast: Sequence[int] = (),
    notify: Sequence[str] = (),
    slug: str | None = None,
    **windows: Unpack[Windows],
) -> Budget:
    """Such a budget with the id "draft". `scope_id` is as `scopes.resolve` takes it. `notify` empty: the admins are told.
    `slug`: its name in the file where budgets are kept as code.

    `windows`: the fields of `Calendar`; months in UTC when left out. Raises InvalidInput, NotFound.
    """
    scope = scopes.scope_of(scope)
    calendar = rules.calendar_of(windows)
    percents, dollars = rules.check_thresholds(thresholds, thresholds_usd)
    return Budget(
        id="draft", name=rules.check_name(name), scope=scope, scope_id=scopes.resolve(session, scope, scope_id),
        per_person=scopes.check_per_person(scope, per_person), created_at=utcnow(), amount_usd=rules.check_amount(amount_usd),
        thresholds=percents, thresholds_usd=_texts(dollars),
        thresholds_forecast=rules.check_forecast(thresholds_forecast), notify=rules.check_addresses(notify), slug=slug,
        generation=1, **asdict(calendar),
    )  # fmt: skip


def alter(session: Session, budget: Budget, now: datetime, changes: Changes) -> None:
    """Change the budget as it is in memory. A new amount begins a new generation.

    With another `period`, what is not given of the windows goes back to what it usually is. Raises InvalidInput, Conflict
    (retired).
    """
    if budget.retired_at is not None:
        raise Conflict("The budget is retired. Create a new one.")
    given: dict[str, Any] = {field: value for field, value in changes.items() if value is not None}
    if "name" in given:
        budget.name = rules.check_name(given["name"])
    if "notify" in given:
        budget.notify = rules.check_addresses(given["notify"])
    if "thresholds" in given or "thresholds_usd" in given:
        amounts = [mark.usd for mark in budget.marks if mark.usd]
        percents, amounts = rules.check_thresholds(
            given.get("thresholds", budget.thresholds), given.get("thresholds_usd", amounts)
        )
        budget.thresholds, budget.thresholds_usd = percents, _texts(amounts)
    if "thresholds_forecast" in given:
        budget.thresholds_forecast = rules.check_forecast(given["thresholds_forecast"])
    before = budget.calendar
    windows = {field: given[field] for field in Windows.__annotations__ if field in given}
    calendar = rules.calendar_of(cast("Windows", windows), before)
    for field, value in asdict(calendar).items():
        setattr(budget, field, value)
    if replace(calendar, zone=before.zone) != before:
        budget.windows_since = now
    if "amount_usd" in given and rules.check_amount(given["amount_usd"]) != budget.amount_usd:
        budget.amount_usd = rules.check_amount(given["amount_usd"])
        budget.generation = queries.next_generation(session, budget)


def altered(session: Session, budget: Budget, now: datetime, changes: Changes) -> Budget:
    """A copy of the budget that is changed so; the budget stays. Raises InvalidInput, Conflict (retired)."""
    columns = sa.inspect(Budget).column_attrs
    copy = Budget(**{column.key: getattr(budget, column.key) for column in columns})
    alter(session, copy, now, changes)
    return copy


def facts(budget: Budget) -> dict[str, Any]:
    """What the audit log says of a budget."""
    return {
        "name": budget.name, "scope": budget.scope, "scope_id": budget.scope_id, "per_person": budget.per_person,
        "amount_usd": budget.amount_usd, "thresholds": list(budget.thresholds), "thresholds_usd": budget.thresholds_usd or [],
        "thresholds_forecast": budget.thresholds_forecast or [],
        "notify": list(budget.notify), "zone": budget.zone, "period": budget.period, "year_starts": budget.year_starts,
        "days": budget.days, "anchor": budget.anchor, "slug": budget.slug,
    }  # fmt: skip


def _texts(amounts: Sequence[Decimal]) -> list[str]:
    return [f"{each.normalize():f}" for each in amounts]
