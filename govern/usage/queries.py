"""Reads of spend and usage. They read rollups, never the facts (but for the hours of a few days); each figure says its clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.core.errors import InvalidInput
from govern.usage import hours
from govern.usage.bulk import batched
from govern.usage.learning import current_prices
from govern.usage.models import CostFact, CostSeries, SyncWindow, UsageFact, UsageSeries
from govern.usage.names import By, Names, Whose
from govern.usage.questions import (
    EVERYTHING,
    Counts,
    Figure,
    Line,
    Only,
    Question,
    Row,
    Totals,
    View,
    buckets,
    previous,
)  # fmt: skip
from govern.usage.rules import COSTS, CURRENCY, DAY
from govern.usage.sources import source_of


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
    view: View = View.BEST,
    only: Only = EVERYTHING,
    after: Sequence[str] | None = None,
    limit: int | None = None,
    largest_first: bool = False,
    compare: bool = False,
    counted: bool = True,
) -> list[Line]:
    """Spend of the UTC days `[start, end)` by any combination of groups, in the order of the groups, or largest first.

    `after` is the `cursor` of the last line of the page before, in the same order. With `compare` each line has its `previous`
    (see `questions.previous`). Raises InvalidInput.
    """
    if not by:
        raise InvalidInput("Group by at least one thing.", {"by": "Choose at least one."})
    question = Question(start, end, tuple(by), view, only)
    found = rows(session, question, after=after, limit=limit, largest_first=largest_first, counted=counted)
    before = _previous(session, question, [row.group for row in found]) if compare else {}
    names = {each: Names(session, each, {row.group[at] for row in found}) for at, each in enumerate(by)}
    return [
        Line(
            {each: names[each].id_of(row.group[at]) for at, each in enumerate(by)},
            {each: names[each].name_of(row.group[at]) for at, each in enumerate(by)},
            row.figure, (_nano(row.figure.amount), *row.group) if largest_first else row.group, row.counts,
            before.get(row.group, Figure()) if compare else None,
        )
        for row in found
    ]  # fmt: skip


def totals(session: Session, start: date, end: date, *, view: View = View.BEST, only: Only = EVERYTHING) -> Totals:
    """The whole of the UTC days `[start, end)`, and how much of it belongs to people, to projects alone, and to nobody."""
    found = rows(session, Question(start, end, (By.WHOSE,), view, only))
    parts = {row.group[0]: row.figure.amount for row in found}
    return Totals(
        sum((row.figure for row in found), Figure()),
        parts.get(Whose.PERSON, Decimal(0)), parts.get(Whose.PROJECT, Decimal(0)), parts.get(Whose.NOBODY, Decimal(0)),
        Counts(*(sum(row.counts[at] for row in found) for at in range(len(Counts._fields)))),
    )  # fmt: skip


def spent(session: Session, start: date, end: date, by: By, *, among: Collection[str] | None = None) -> dict[str, Figure]:
    """What counts against a budget: group (a project is OpenAI's id) → figure, of the UTC days `[start, end)`, or of `among`."""
    groups = None if among is None else [(group,) for group in among]
    return {row.group[0]: row.figure for row in rows(session, Question(start, end, (by,)), among=groups, counted=False)}


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
    if session.scalar(sa.select(CostSeries.id).where(CostSeries.currency != CURRENCY).limit(1)) is None:
        return {}  # nearly always, and the bill's rows are many
    query = (
        sa.select(CostSeries.currency, sa.func.sum(CostFact.amount, type_=Money()))
        .join(CostFact, CostFact.series_id == CostSeries.id)
        .where(CostFact.day >= start, CostFact.day < end, CostSeries.currency != CURRENCY)
        .group_by(CostSeries.currency)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def unpriced_models(session: Session, start: date, end: date) -> dict[str, int]:
    """Models that the price book does not know, with the tokens that no estimate covers."""
    found = rows(session, Question(start, end, (By.MODEL,)))
    return {row.group[0]: row.counts.unpriced_tokens for row in found if row.counts.unpriced_tokens}


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


def days_read(session: Session, start: date, end: date) -> dict[str, set[date]]:
    """Which of the UTC days `[start, end)` are `settled`, `billed` and `used`: read, whether or not they had rows."""
    w = SyncWindow
    rows = session.execute(
        sa.select(w.day, w.endpoint, w.settled_at).where(w.day >= start, w.day < end, w.pulled_at.is_not(None))
    )
    found: dict[str, set[date]] = {"settled": set(), "billed": set(), "used": set()}
    for day, endpoint, settled_at in rows:
        found["billed" if endpoint == COSTS else "used"].add(day)
        if endpoint == COSTS and settled_at is not None:
            found["settled"].add(day)
    return found


def rows(
    session: Session,
    question: Question,
    *,
    after: Sequence[str] | None = None,
    limit: int | None = None,
    largest_first: bool = False,
    among: Sequence[tuple[str, ...]] | None = None,
    counted: bool = True,
) -> list[Row]:
    """The groups themselves, without names; `among` limits to these. Otherwise like `lines`. Raises InvalidInput.

    What is not `counted` has no counts: adding up fewer columns is quicker.
    """
    bounds = _bounds(question.by, after, largest_first) if after is not None else None
    if question.step is By.HOUR:
        found = hours.rows(session, question, current_prices(session))
        return hours.page(found, bounds=bounds, limit=limit, largest_first=largest_first, among=among)
    source = source_of(session, question)
    columns = [source.columns[each] for each in question.by]
    billed, estimated = (sa.func.sum(each, type_=Money()) for each in (source.billed, source.estimated))
    amount = sa.type_coerce(sa.func.sum(source.billed) + sa.func.sum(source.estimated), Money)
    counts = [sa.func.sum(each) for each in source.counts] if counted else []
    query = sa.select(*columns, billed, estimated, *counts).select_from(source.origin)
    query = query.where(*source.where).group_by(*columns)
    if among is not None:
        wanted = [_bounds(question.by, group) for group in among]
        query = query.where(columns[0].in_([one for (one,) in wanted]) if len(columns) == 1 else sa.tuple_(*columns).in_(wanted))
    if bounds is not None and largest_first:
        least, *last = bounds
        behind = sa.tuple_(*columns) > sa.tuple_(*last)
        query = query.having(sa.or_(amount < least, sa.and_(amount == least, behind)))
    elif bounds is not None:
        query = query.where(sa.tuple_(*columns) > sa.tuple_(*bounds))
    query = query.order_by(amount.desc(), *columns) if largest_first else query.order_by(*columns)
    width = len(columns)
    return [
        Row(
            tuple(str(value) for value in row[:width]),
            Figure(row[width] + row[width + 1], row[width], row[width + 1]), Counts(*(int(count) for count in row[width + 2 :])),
        )
        for row in session.execute(query.limit(limit))
    ]  # fmt: skip


def changes(session: Session, question: Question, limit: int) -> list[tuple[str, Figure, Figure]]:
    """The groups whose spend changed most against the range before: (group, now, before). For one group without a step of time.

    The database finds them: of ten thousand people only the few are read.
    """
    start, end = previous(question.start, question.end)
    sides = []
    for at, asked in enumerate((question, replace(question, start=start, end=end))):
        source = source_of(session, asked)
        sums = [sa.func.sum(source.billed), sa.func.sum(source.estimated)]
        none = [sa.literal(0), sa.literal(0)]
        group = source.columns[question.by[0]]
        query = sa.select(group, *(sums + none if at == 0 else none + sums)).select_from(source.origin)
        sides.append(query.where(*source.where).group_by(group))
    both = sa.union_all(*(side.with_only_columns(*_named(side)) for side in sides)).subquery()
    c = both.c
    parts = [sa.func.sum(column, type_=Money()) for column in (c.billed, c.estimated, c.billed_before, c.estimated_before)]
    moved = sa.func.abs(sa.func.sum(c.billed + c.estimated) - sa.func.sum(c.billed_before + c.estimated_before))
    ranked = sa.select(c.part, *parts).group_by(c.part).having(moved > 0).order_by(moved.desc(), c.part).limit(limit)
    return [(str(group), Figure(a + b, a, b), Figure(d + e, d, e)) for group, a, b, d, e in session.execute(ranked)]


def _named(side: sa.Select[Any]) -> list[Any]:
    names = ("part", "billed", "estimated", "billed_before", "estimated_before")
    return [
        sa.type_coerce(column, sa.BigInteger if at else sa.Text).label(names[at])
        for at, column in enumerate(side.selected_columns)
    ]


def per_place(session: Session, question: Question) -> list[tuple[tuple[str, ...], int, Decimal]]:
    """Of a question whose last group is the person: the other groups, how many people spent something, and what."""
    source = source_of(session, question)
    columns = [source.columns[each].label(each.value) for each in question.by]
    amount = sa.type_coerce(sa.func.sum(source.billed) + sa.func.sum(source.estimated), sa.BigInteger).label("amount")
    query = sa.select(*columns, amount).select_from(source.origin).where(*source.where)
    people = query.group_by(*(source.columns[each] for each in question.by)).having(amount != 0).subquery()
    places = [people.c[each.value] for each in question.by[:-1]]
    found = sa.select(*places, sa.func.count(), sa.func.sum(people.c.amount, type_=Money())).group_by(*places)
    return [(tuple(row[:-2]), int(row[-2]), row[-1]) for row in session.execute(found)]


def _previous(session: Session, question: Question, groups: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Figure]:
    """Group → its figure in the range before; a step of time has the step of the same number as its counterpart."""
    start, end = previous(question.start, question.end)
    before = replace(question, start=start, end=end)
    then: dict[str, str] = {}
    at = question.by.index(question.step) if question.step else None
    if question.step:
        pairs = zip(buckets(question.start, question.end, question.step), buckets(start, end, question.step), strict=False)
        then = {now.label: old.label for now, old in pairs}
    wanted = {
        group if at is None else (*group[:at], then[group[at]], *group[at + 1 :]): group
        for group in groups
        if at is None or group[at] in then
    }
    found: dict[tuple[str, ...], Figure] = {}
    for part in batched(wanted):
        found.update((wanted[row.group], row.figure) for row in rows(session, before, among=part, counted=False))
    return found


def _nano(amount: Decimal) -> str:
    return str(int(amount.scaleb(9)))


def _bounds(by: Sequence[By], after: Sequence[str], largest_first: bool = False) -> list[Any]:
    wrong = InvalidInput("The cursor does not belong to this question.", {"cursor": "Send the `next` of the page before."})
    amount, group = (after[:1], after[1:]) if largest_first else ((), after)
    if len(group) != len(by):
        raise wrong
    try:
        least = [Decimal(int(text)).scaleb(-9) for text in amount]
        return [*least, *(date.fromisoformat(value) if each is By.DAY else value for each, value in zip(by, group, strict=True))]
    except ValueError:
        raise wrong from None


def last_uses(session: Session, api_key_remote_ids: Collection[str]) -> dict[str, datetime]:
    """OpenAI's key id → the beginning of the last bucket in which usage of it was reported. Keys without any are left out."""
    query = (
        sa.select(UsageSeries.api_key_remote_id, sa.func.max(UsageFact.bucket_start))
        .join(UsageFact, UsageFact.series_id == UsageSeries.id)
        .where(UsageSeries.api_key_remote_id.in_(api_key_remote_ids))
        .group_by(UsageSeries.api_key_remote_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}
