"""What settled days teach about prices: how far the book is off, and what a model costs that the book does not know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.clock import utcnow
from govern.core.db import to_nano
from govern.core.uow import UnitOfWork
from govern.usage import daily
from govern.usage.compared import Compared, settled_days
from govern.usage.models import CostFact, CostSeries, SyncWindow
from govern.usage.prices import Learned, Price, PriceBook, load_prices
from govern.usage.records import LearnedPrice
from govern.usage.rules import COSTS, CURRENCY, DAY

LESSON_DAYS: Final = 14
LEAST_DAYS: Final = 3
"""Fewer settled days with use of a model teach nothing."""
LEAST_USD: Final = Decimal("0.01")
"""Of a day. Below it, rounding is larger than a mistake."""
TOLERANCE: Final = Decimal("0.005")
FARTHEST: Final = Decimal(4)
"""A bill that is more than four times the estimate, or less than a quarter, is not about the price."""
_PARTS: Final = (
    ("cached_input", re.compile(r"\bcached")), ("cache_write", re.compile(r"\bcache[ _]write")),
    ("output", re.compile(r"\boutput")), ("input", re.compile(r"\binput")),
)  # fmt: skip
_UNITS: Final = {"tokens": Decimal(1), "1000_tokens": Decimal(1000)}
_MILLION: Final = Decimal(1_000_000)
_ALL: Final = ""
"""The part of a lesson about a whole entry of the book."""


def current_prices(session: Session, book: PriceBook | None = None) -> PriceBook:
    """The price book with what was learned. Raises InvalidInput for a book that cannot be read."""
    rows = session.scalars(sa.select(LearnedPrice)).all()
    factors = {row.model: Learned(row.since, row.through, row.factor) for row in rows if row.part == _ALL}
    parts: dict[str, list[LearnedPrice]] = {}
    for row in rows:
        if row.part != _ALL:
            parts.setdefault(row.model, []).append(row)
    return (book or load_prices()).with_learned(factors | {model: _as_price(found) for model, found in parts.items()})


def learn(uow: UnitOfWork, book: PriceBook) -> int:
    """Write down what the newest settled days teach; how many lessons are new or other than before.

    Days that are not settled yet are estimated anew where a lesson changed.
    """
    settled = sa.select(SyncWindow.day).where(SyncWindow.endpoint == COSTS, SyncWindow.settled_at.is_not(None))
    days = sorted(uow.session.scalars(settled.order_by(SyncWindow.day.desc()).limit(LESSON_DAYS)))
    if not days:
        return 0
    since, through = days[0], days[-1]
    compared = [each for each in settled_days(uow.session, since, through + DAY) if each.model]
    lessons: dict[tuple[str, str], tuple[int, Decimal | None, Decimal | None]] = {}
    unknown = set()
    for model in sorted({each.model for each in compared}):
        mine = [each for each in compared if each.model == model]
        if book.published(model, through) is None:
            unknown.add(model)
        elif factor := _factor(book, mine):
            lessons[model, _ALL] = factor[0], factor[1], None
    for (model, part), (count, price) in _unit_prices(uow.session, unknown, since, through).items():
        lessons[model, part] = count, None, price
    changed = _write(uow, lessons, since, through)
    if changed:
        today = utcnow().date()
        daily.mark(uow.session, [through + DAY * number for number in range(1, (today - through).days + 1)])
    return changed


def _factor(book: PriceBook, days: Iterable[Compared]) -> tuple[int, Decimal] | None:
    """How many times the book's price the bill was, by the median of the days; None where it is about right, or not certain.

    The estimate of a day may already hold an earlier lesson: it is compared with what the book itself would have said.
    """
    found = []
    for each in days:
        published, used = book.published(each.model, each.day), book.find(each.model, each.day)
        if each.billed < LEAST_USD or each.estimated < LEAST_USD or published is None or used is None:
            continue
        reference = next((name for name in ("output", "input", "unit") if getattr(published, name)), None)
        if reference is not None:
            found.append(each.billed / each.estimated * getattr(used, reference) / getattr(published, reference))
    if len(found) < LEAST_DAYS:
        return None
    factor = to_nano(median(found))
    return (len(found), factor) if abs(factor - 1) >= TOLERANCE and 1 / FARTHEST <= factor <= FARTHEST else None


def _unit_prices(
    session: Session, models: set[str], since: date, through: date
) -> dict[tuple[str, str], tuple[int, Decimal]]:  # fmt: skip
    """(model, part) → days, and dollars for a million tokens: cost ÷ quantity. A batch has another price and teaches nothing."""
    query = (
        sa.select(
            CostSeries.model, CostSeries.line_item, CostSeries.quantity_unit, CostFact.day, CostFact.amount, CostFact.quantity
        )
        .join(CostFact, CostFact.series_id == CostSeries.id)
        .where(CostSeries.model.in_(models), CostSeries.currency == CURRENCY, CostFact.day >= since, CostFact.day <= through)
    )
    sums: dict[tuple[str, str], tuple[Decimal, Decimal, set[date]]] = {}
    for model, item, unit, day, amount, quantity in session.execute(query):
        head, _, words = item.partition(", ")
        part = next((name for name, pattern in _PARTS if pattern.search(words)), None)
        if part is None or unit not in _UNITS or not quantity or head.endswith(" batch"):
            continue
        cost, count, days = sums.get((model, part), (Decimal(0), Decimal(0), set()))
        sums[model, part] = cost + amount, count + Decimal(quantity) * _UNITS[unit], days | {day}
    return {
        key: (len(days), to_nano(cost / count * _MILLION))
        for key, (cost, count, days) in sums.items()
        if len(days) >= LEAST_DAYS and count > 0 and cost >= 0
    }


def _write(
    uow: UnitOfWork, lessons: dict[tuple[str, str], tuple[int, Decimal | None, Decimal | None]], since: date, through: date
) -> int:  # fmt: skip
    known = {(row.model, row.part): row for row in uow.session.scalars(sa.select(LearnedPrice))}
    changed = 0
    for key in known.keys() - lessons.keys():
        uow.session.delete(known[key])
        changed += 1
    for (model, part), (days, factor, price) in lessons.items():
        row = known.get((model, part))
        if row is None:
            row = LearnedPrice(endpoint="", model=model, part=part, since=since, through=through, days=days, learned_at=uow.now)
            uow.session.add(row)
        elif (row.factor, row.unit_price) == (factor, price):
            continue  # the same lesson again
        row.since, row.through, row.days, row.factor, row.unit_price, row.learned_at = (
            since,
            through,
            days,
            factor,
            price,
            uow.now,
        )
        changed += 1
    return changed


def _as_price(rows: list[LearnedPrice]) -> Learned:
    rates = {row.part: row.unit_price or Decimal(0) for row in rows}
    entry, out = rates.get("input", Decimal(0)), rates.get("output", Decimal(0))
    price = Price(
        model=rows[0].model, since=rows[0].since, input=entry, output=out, cached_input=rates.get("cached_input", entry),
        cache_write=rates.get("cache_write", entry), audio_input=entry, audio_output=out,
    )  # fmt: skip
    return Learned(min(row.since for row in rows), max(row.through for row in rows), price=price)
