"""Reads of spend and usage. All of them read the daily rollup, never the facts; each figure says which clock it is from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.core.errors import InvalidInput
from govern.projects.models import Project
from govern.usage.models import Clock, CostFact, CostSeries, DailySpend, SyncWindow, UsageFact, UsageSeries
from govern.usage.names import COLUMNS, KEY, By, Names
from govern.usage.rollup import COSTS, CURRENCY
from govern.usage.rules import DAY


class View(StrEnum):
    """Which figures to add up. COUNTED: billed where a day is settled, else the clock that shows more."""

    COUNTED = "counted"
    BILLED = "billed"
    ESTIMATED = "estimated"


@dataclass(frozen=True)
class Only:
    """Limits a question. `project_id` and `key_id` take our ids or OpenAI's; `person_ids` are the people one may see."""

    project_id: str | None = None
    person_id: str | None = None
    person_ids: Sequence[str] | None = None
    key_id: str | None = None
    model: str | None = None


EVERYTHING: Final = Only()


@dataclass(frozen=True)
class Figure:
    """Dollars, and from which clock: `amount` = `billed` + `estimated`, the parts that went into it."""

    amount: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)
    estimated: Decimal = Decimal(0)


@dataclass(frozen=True)
class Line:
    """One group's spend and usage. `ids` and `names` by what was grouped: '' is "not known", a day is ISO text.

    A project's id is ours where we know it, else OpenAI's. Token counts come from usage whatever the view.
    """

    ids: dict[By, str]
    names: dict[By, str]
    figure: Figure
    cursor: tuple[str, ...]
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    unpriced_tokens: int


@dataclass(frozen=True)
class Totals:
    """The whole and its parts: `whole.amount` = people + projects' own + unattributed, exactly."""

    whole: Figure
    people: Decimal
    projects: Decimal
    unattributed: Decimal
    unpriced_tokens: int


@dataclass(frozen=True)
class Freshness:
    """How far each clock reaches, and when it was last read. `settled_to`: every day before it is final."""

    estimated_until: datetime | None
    estimated_pulled_at: datetime | None
    billed_to: date | None
    billed_pulled_at: datetime | None
    settled_to: date | None


def lines(
    session: Session,
    start: date,
    end: date,
    *,
    by: Sequence[By] = (By.DAY,),
    view: View = View.COUNTED,
    only: Only = EVERYTHING,
    after: Sequence[str] | None = None,
    limit: int | None = None,
    largest_first: bool = False,
) -> list[Line]:
    """Spend of the UTC days `[start, end)` by any combination of groups, in the order of the groups (or largest first).

    `after` is the `cursor` of the last line of the page before; it needs the default order. Raises
    InvalidInput.
    """
    if not by:
        raise InvalidInput("Group by at least one of day, project, person, key, model.", {"by": "Choose at least one."})
    columns = [COLUMNS[each] for each in by]
    figures = _figures(view)
    query = sa.select(*columns, *figures.values()).where(DailySpend.day >= start, DailySpend.day < end).group_by(*columns)
    query = query.where(*_filters(session, only))
    if after is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*_bounds(by, after)))
    query = query.order_by(figures["amount"].desc(), *columns) if largest_first else query.order_by(*columns)
    rows = session.execute(query.limit(limit)).all()
    groups = [tuple(str(value) for value in row[: len(by)]) for row in rows]
    resolve = {each: Names(session, each, {group[at] for group in groups}) for at, each in enumerate(by)}
    return [
        Line(
            {each: resolve[each].id_of(group[at]) for at, each in enumerate(by)},
            {each: resolve[each].name_of(group[at]) for at, each in enumerate(by)},
            Figure(*row[len(by) : len(by) + 3]), group, *(int(count) for count in row[len(by) + 3 :]),
        )
        for group, row in zip(groups, rows, strict=True)
    ]  # fmt: skip


def totals(
    session: Session, start: date, end: date, *, view: View = View.COUNTED, person_ids: Sequence[str] | None = None
) -> Totals:
    """The whole of the UTC days `[start, end)`, and how much of it belongs to people, to projects alone, and to nobody."""
    kind = sa.case((DailySpend.person_id != "", "person"), (DailySpend.project_remote_id != "", "project"), else_="unattributed")
    query = sa.select(kind, *_figures(view).values()).where(DailySpend.day >= start, DailySpend.day < end).group_by(kind)
    if person_ids is not None:
        query = query.where(DailySpend.person_id.in_(person_ids))
    rows = {row[0]: row[1:] for row in session.execute(query)}
    amounts = {name: rows[name][0] if name in rows else Decimal(0) for name in ("person", "project", "unattributed")}
    whole = Figure(*(sum((row[at] for row in rows.values()), Decimal(0)) for at in range(3)))
    unpriced = sum(int(row[7]) for row in rows.values())
    return Totals(whole, amounts["person"], amounts["project"], amounts["unattributed"], unpriced)


def spent(session: Session, start: date, end: date, by: By) -> dict[str, Figure]:
    """What counts against a budget: group (a project is OpenAI's id) → figure, of the UTC days `[start, end)`."""
    column = COLUMNS[by]
    figures = list(_figures(View.COUNTED).values())[:3]
    query = sa.select(column, *figures).where(DailySpend.day >= start, DailySpend.day < end, DailySpend.counts)
    return {str(group): Figure(*values) for group, *values in session.execute(query.group_by(column))}


def line_items(session: Session, start: date, end: date) -> list[tuple[str, str, Decimal]]:
    """The bill's own lines of the UTC days `[start, end)`: (line item, currency, amount), largest first; every currency."""
    amount = sa.func.sum(CostFact.amount, type_=Money())
    query = (
        sa.select(CostSeries.line_item, CostSeries.currency, amount)
        .join(CostFact, CostFact.series_id == CostSeries.id)
        .where(CostFact.day >= start, CostFact.day < end)
        .group_by(CostSeries.line_item, CostSeries.currency)
        .order_by(amount.desc(), CostSeries.line_item)
    )
    return [(item, currency, value) for item, currency, value in session.execute(query)]


def other_currencies(session: Session, start: date, end: date) -> dict[str, Decimal]:
    """Billed amounts that are not in US dollars: no report adds them up, so they are shown beside it."""
    query = (
        sa.select(CostSeries.currency, sa.func.sum(CostFact.amount, type_=Money()))
        .join(CostFact, CostFact.series_id == CostSeries.id)
        .where(CostFact.day >= start, CostFact.day < end, CostSeries.currency != CURRENCY)
        .group_by(CostSeries.currency)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def unpriced_models(session: Session, start: date, end: date) -> dict[str, int]:
    """Models that the price book does not know, with the tokens that no estimate covers."""
    query = (
        sa.select(DailySpend.model, sa.func.sum(DailySpend.unpriced_tokens))
        .where(DailySpend.day >= start, DailySpend.day < end, DailySpend.unpriced_tokens > 0)
        .group_by(DailySpend.model)
    )
    return {model: int(tokens) for model, tokens in session.execute(query)}


def freshness(session: Session) -> Freshness:
    """How far the figures reach."""
    is_bill = SyncWindow.endpoint == COSTS
    estimated = session.execute(
        sa.select(sa.func.max(SyncWindow.covers_until), sa.func.max(SyncWindow.pulled_at)).where(~is_bill)
    )
    billed = session.execute(
        sa.select(sa.func.max(sa.case((SyncWindow.rows > 0, SyncWindow.day))), sa.func.max(SyncWindow.pulled_at)).where(is_bill)
    )
    open_day = session.scalar(sa.select(sa.func.min(SyncWindow.day)).where(is_bill, SyncWindow.settled_at.is_(None)))
    last_day = session.scalar(sa.select(sa.func.max(SyncWindow.day)).where(is_bill))
    until, read_at = estimated.one()
    last_billed, bill_read_at = billed.one()
    settled_to = open_day or (last_day + DAY if last_day else None)
    return Freshness(until, read_at, last_billed + DAY if last_billed else None, bill_read_at, settled_to)


def _figures(view: View) -> dict[str, Any]:
    zero = sa.literal(Decimal(0), Money())
    billed, estimated = DailySpend.clock == Clock.BILLED, DailySpend.clock == Clock.ESTIMATED
    chosen = {View.COUNTED: DailySpend.counts, View.BILLED: billed, View.ESTIMATED: estimated}[view]

    def total(condition: Any) -> sa.ColumnElement[Decimal]:
        return sa.func.sum(sa.case((condition, DailySpend.amount), else_=zero), type_=Money())

    return {
        "amount": total(chosen),
        "billed": total(sa.and_(chosen, billed)),
        "estimated": total(sa.and_(chosen, estimated)),
        "requests": sa.func.sum(DailySpend.requests),
        "input_tokens": sa.func.sum(DailySpend.input_tokens),
        "cached_tokens": sa.func.sum(DailySpend.cached_tokens),
        "output_tokens": sa.func.sum(DailySpend.output_tokens),
        "unpriced_tokens": sa.func.sum(DailySpend.unpriced_tokens),
    }


def _filters(session: Session, only: Only) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if only.project_id is not None:
        remote = session.scalar(sa.select(Project.remote_id).where(Project.id == only.project_id))
        filters.append(DailySpend.project_remote_id == (remote or only.project_id))
    if only.person_id is not None:
        filters.append(DailySpend.person_id == only.person_id)
    if only.person_ids is not None:
        filters.append(DailySpend.person_id.in_(only.person_ids))
    if only.key_id is not None:
        filters.append(sa.literal(only.key_id) == KEY)
    if only.model is not None:
        filters.append(DailySpend.model == only.model)
    return filters


def _bounds(by: Sequence[By], after: Sequence[str]) -> list[Any]:
    if len(after) != len(by):
        raise InvalidInput("The cursor does not belong to this question.", {"after": "Use the cursor of the page before."})
    try:
        return [date.fromisoformat(value) if each is By.DAY else value for each, value in zip(by, after, strict=True)]
    except ValueError:
        raise InvalidInput("The cursor is not readable.", {"after": "Use the cursor of the page before."}) from None


def last_uses(session: Session, api_key_remote_ids: Collection[str]) -> dict[str, datetime]:
    """OpenAI's key id → the beginning of the last bucket in which usage of it was reported. Keys without any are left out."""
    query = (
        sa.select(UsageSeries.api_key_remote_id, sa.func.max(UsageFact.bucket_start))
        .join(UsageFact, UsageFact.series_id == UsageSeries.id)
        .where(UsageSeries.api_key_remote_id.in_(api_key_remote_ids))
        .group_by(UsageSeries.api_key_remote_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}
