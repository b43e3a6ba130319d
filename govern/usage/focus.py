"""Costs as FOCUS 1.2 has them, the FinOps Open Cost and Usage Specification: one row for each row of OpenAI's bill.

What OpenAI does not tell is left out or empty, never guessed: there are no list prices, so list, contracted and effective cost
are the billed cost. A row without a quantity or a line item cannot be called usage by the rules of FOCUS: it is an adjustment.
What changed after its month was closed is a row of its own, of the class `Correction`, beside what was billed then.
Where people stood on the day is in columns of our own (`x_…`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from govern.core.db import Money
from govern.keys.models import Key, ObservedKey
from govern.people.models import Person
from govern.projects.models import Project
from govern.usage.exports import Cell, Reading, Sheet
from govern.usage.models import CostFact, CostSeries
from govern.usage.names import By
from govern.usage.questions import next_step
from govern.usage.records import CostAdjustment
from govern.usage.rules import DAY
from govern.usage.standing import on_day, standings

COLUMNS: Final = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId", "ResourceName",
    "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuPriceId", "SubAccountId",
    "SubAccountName", "SubAccountType", "x_CostCentre", "x_KeyId", "x_PersonId", "x_PersonName", "x_Team",
)  # fmt: skip
ACCOUNT: Final = "openai"
_UNITS: Final = {
    "tokens": "Tokens", "1000_tokens": "1000 Tokens", "duration_seconds": "Seconds", "duration_minutes": "Minutes",
    "duration_hours": "Hours", "gibibyte_hours": "GiB-Hours", "images": "Images", "characters": "Characters", "": "Units",
}  # fmt: skip
_AT_ONCE: Final = 5_000


def sheet(reading: Reading, start: date, end: date, account: str = ACCOUNT) -> Sheet:
    """Every billed row of the UTC days `[start, end)`, in every currency. `account` names the bill: OpenAI tells no number."""
    return Sheet("FOCUS", COLUMNS, _rows(reading, start, end, account))


def _rows(reading: Reading, start: date, end: date, account: str) -> Iterator[Sequence[Cell]]:
    f, later = CostFact, _later(start, end)
    gone = later.outerjoin(f, sa.and_(f.day == later.c.day, f.series_id == later.c.series_id))
    changed = f.__table__.outerjoin(later, sa.and_(later.c.day == f.day, later.c.series_id == f.series_id))
    facts = _described(f.day, f.series_id, later.c.change, changed)
    lost = _described(later.c.day, later.c.series_id, later.c.change, gone)
    asked = (
        (facts.where(f.day >= start, f.day < end), (f.day, f.series_id)),
        (lost.where(f.series_id.is_(None)), (later.c.day, later.c.series_id)),
    )
    for query, place in asked:
        ordered, after = query.order_by(*place).limit(_AT_ONCE), None
        while True:
            with reading() as session:
                part = ordered if after is None else ordered.where(sa.tuple_(*place) > sa.tuple_(*after))
                found = session.execute(part).all()
            for row in found:
                yield from _rows_of(row, account)
            if len(found) < _AT_ONCE:
                break
            after = (found[-1].day, found[-1].series_id)


def _later(start: date, end: date) -> sa.Subquery:
    """By how much each row of these days changed after its month was closed."""
    a = CostAdjustment
    change = sa.func.sum(a.after - a.before, type_=Money()).label("change")
    days = sa.select(a.day, a.series_id, change).where(a.day >= start, a.day < end)
    return days.group_by(a.day, a.series_id).subquery()


def _described(day: Any, series_id: Any, change: Any, source: Any) -> sa.Select[Any]:
    """The facts of `source`, with what is known of their series."""
    f, s, standing = CostFact, CostSeries, standings()
    return (
        sa.select(
            day, series_id, f.amount, f.quantity, change, s.quantity_unit, s.currency, s.line_item, s.project_remote_id,
            Project.name.label("project"), s.api_key_remote_id, sa.func.coalesce(Key.name, ObservedKey.name).label("key"),
            s.key_id, s.person_id, Person.name.label("person"), standing.c.team, standing.c.cost_centre,
        )
        .select_from(source)
        .join(s, s.id == series_id)
        .outerjoin(Project, Project.remote_id == s.project_remote_id)
        .outerjoin(Key, Key.id == s.key_id)
        .outerjoin(ObservedKey, ObservedKey.remote_id == s.api_key_remote_id)
        .outerjoin(Person, Person.id == s.person_id)
        .outerjoin(standing, on_day(standing, s.person_id, day))
    )  # fmt: skip


def _rows_of(row: Any, account: str) -> Iterator[Sequence[Cell]]:
    """What was billed when the month was closed, and what changed since; together they are what is billed now."""
    now, change = row.amount or Decimal(0), row.change or Decimal(0)
    if now != change or not change:
        yield _row(row, account, now - change)
    if change:
        yield _row(row, account, change, correction=True)


def _row(row: Any, account: str, amount: Decimal, *, correction: bool = False) -> Sequence[Cell]:
    month = row.day.replace(day=1)
    quantity = Decimal(row.quantity) if row.quantity and not correction else None
    measured = bool(row.quantity and row.line_item)
    category = "Credit" if amount < 0 and not correction else "Usage" if measured else "Adjustment"
    unit = _unit(row.quantity_unit) if quantity is not None else None
    used, used_unit = (quantity, unit) if category == "Usage" else (None, None)
    priced = "Standard" if category == "Usage" and not correction else None
    key = row.api_key_remote_id or None
    sub = row.project_remote_id or None
    return (
        amount, account, None, "Organization", row.currency.upper(), _instant(next_step(month, By.MONTH)), _instant(month),
        category, "Correction" if correction else None, row.line_item or None, "Usage-Based", _instant(row.day + DAY),
        _instant(row.day), used, used_unit, amount, amount, "OpenAI", amount, priced, quantity, unit, "OpenAI",
        "OpenAI", key, (row.key or None) if key else None, "API Key" if key else None, "AI and Machine Learning", "OpenAI API",
        "Generative AI", row.line_item or None, row.line_item or None, sub, (row.project or None) if sub else None,
        "Project" if sub else None, row.cost_centre or None, row.key_id or None, row.person_id or None, row.person or None,
        row.team or None,
    )  # fmt: skip


def _unit(word: str) -> str:
    """FOCUS's word for OpenAI's unit; of one that we do not know, its own with capitals."""
    return _UNITS.get(word) or word.replace("_", " ").title()


def _instant(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
