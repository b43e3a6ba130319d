"""Which rollup answers a question, and how: the smallest one that keeps apart everything that the question names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.db import Money
from govern.core.errors import InvalidInput
from govern.people.models import Assignment
from govern.projects.models import Project
from govern.usage.cells import KEPT, stretches
from govern.usage.clocks import ON
from govern.usage.models import Clock, CostFact, CostSeries, Cube, DailySpend, SpendCell, UsageSeries
from govern.usage.names import KEY, By, whose
from govern.usage.questions import Bucket, Counts, Only, Question, View, buckets
from govern.usage.rules import CURRENCY
from govern.usage.standing import on_day, standings
from govern.usage.stretches import cover

_CELLS: Final[dict[By, Any]] = {
    By.WHOSE: SpendCell.whose, By.PROJECT: SpendCell.project, By.KEY: SpendCell.key, By.PERSON: SpendCell.person,
    By.TEAM: SpendCell.team, By.COST_CENTRE: SpendCell.cost_centre, By.MODEL: SpendCell.model,
    By.ENDPOINT: SpendCell.endpoint, By.LINE_ITEM: SpendCell.line_item, By.REASON: SpendCell.reason,
}  # fmt: skip
_FEW: Final = 300
"""So many people are quicker found by their own rows than among everybody's cells."""
_ZERO: Final = sa.literal(Decimal(0), Money)


@dataclass(frozen=True)
class Source:
    """A selectable with a column for each thing that may be grouped; `billed`, `estimated` and `counts` are to be added up."""

    origin: Any
    columns: dict[By, Any]
    where: Sequence[Any]
    billed: Any
    estimated: Any
    counts: Sequence[Any]


def source_of(session: Session, question: Question) -> Source:
    """Where the answer stands. Raises InvalidInput for what no source tells."""
    only, asked = question.only, question.asked
    few = only.person_ids is not None and len(only.person_ids) <= _FEW
    narrow = bool(only.person_id) or only.key_id is not None or few
    if not narrow:
        for cube, kept in KEPT.items():
            if {by.value for by in asked} <= set(kept):
                return _cells(session, question, cube)
    return _bill(session, question) if By.LINE_ITEM in asked else _daily(session, question)


def _cells(session: Session, question: Question, cube: Cube) -> Source:
    steps = [Bucket("", question.start, question.end)]
    if question.step:
        steps = buckets(question.start, question.end, question.step)
    made = stretches(session, question.start, question.end)
    firsts: dict[int, list[date]] = {}
    for step in steps:
        for stretch in cover(step.start, step.end, made):
            firsts.setdefault(stretch.level, []).append(stretch.first)
    c = SpendCell
    read = sa.or_(*(sa.and_(c.level == level, c.first_day.in_(days)) for level, days in firsts.items()))
    billed, estimated = {
        View.BEST: (c.best_billed, c.best_estimated), View.BILLED: (c.billed, _ZERO), View.ESTIMATED: (_ZERO, c.estimated),
    }[question.view]  # fmt: skip
    return Source(
        c, _CELLS | _steps(question, c.first_day, steps), [c.cube == cube, read, *limits(session, question.only, _CELLS)],
        billed, estimated, [getattr(c, name) for name in Counts._fields],
    )  # fmt: skip


def _daily(session: Session, question: Question) -> Source:
    d, standing = DailySpend, standings()
    columns: dict[By, Any] = {
        By.WHOSE: whose(d.person_id, d.project_remote_id), By.PROJECT: d.project_remote_id, By.KEY: KEY, By.PERSON: d.person_id,
        By.TEAM: sa.func.coalesce(standing.c.team, ""), By.COST_CENTRE: sa.func.coalesce(standing.c.cost_centre, ""),
        By.MODEL: d.model, By.ENDPOINT: d.endpoint, By.REASON: d.reason,
    }  # fmt: skip
    is_bill = d.clock == Clock.BILLED
    counted = {View.BEST: d.counts, View.BILLED: is_bill, View.ESTIMATED: ~is_bill}[question.view]
    return Source(
        _standing_beside(d, standing, d.day, question), columns | _steps(question, d.day),
        [
            d.day >= question.start, d.day < question.end,
            *limits(session, question.only, columns, d.api_key_remote_id, d.person_id),
        ],
        sa.case((sa.and_(counted, is_bill), d.amount), else_=_ZERO), sa.case((sa.and_(counted, ~is_bill), d.amount), else_=_ZERO),
        [getattr(d, name) for name in Counts._fields],
    )  # fmt: skip


def _bill(session: Session, question: Question) -> Source:
    """Line items of a person or a key: few rows of the bill itself."""
    if question.view is not View.BILLED:
        raise InvalidInput(ON[By.LINE_ITEM].remark, {"clock": "Choose the billed clock."})
    f, s, standing = CostFact, CostSeries, standings()
    if not all(ON[each].billed for each in question.asked):
        raise InvalidInput(ON[By.ENDPOINT].remark, {"by": "Leave out endpoints or line items."})
    columns: dict[By, Any] = {
        By.WHOSE: whose(s.person_id, s.project_remote_id), By.PROJECT: s.project_remote_id, By.PERSON: s.person_id,
        By.KEY: sa.case((s.key_id != "", s.key_id), else_=s.api_key_remote_id), By.MODEL: s.model, By.LINE_ITEM: s.line_item,
        By.TEAM: sa.func.coalesce(standing.c.team, ""), By.COST_CENTRE: sa.func.coalesce(standing.c.cost_centre, ""),
        By.REASON: sa.type_coerce(s.reason, sa.Text),
    }  # fmt: skip
    joined = sa.join(f, s, s.id == f.series_id)
    return Source(
        _standing_beside(joined, standing, f.day, question, s.person_id), columns | _steps(question, f.day),
        [
            f.day >= question.start, f.day < question.end, s.currency == CURRENCY,
            *limits(session, question.only, columns, s.api_key_remote_id, s.person_id),
        ],
        f.amount, _ZERO, [sa.literal(0)] * len(Counts._fields),
    )  # fmt: skip


def _standing_beside(origin: Any, standing: sa.Subquery, day: Any, question: Question, person: Any = None) -> Any:
    if not question.asked & {By.TEAM, By.COST_CENTRE}:
        return origin
    holder = DailySpend.person_id if person is None else person
    return sa.outerjoin(origin, standing, on_day(standing, holder, day))


def _steps(question: Question, day: Any, steps: Sequence[Bucket] | None = None) -> dict[By, Any]:
    """The column of the question's step of time."""
    if question.step is None:
        return {}
    if question.step is By.DAY:
        return {By.DAY: day}
    every = steps or buckets(question.start, question.end, question.step)
    return {question.step: sa.case(*((day < each.end, each.label) for each in every), else_="")}


def limits(session: Session, only: Only, columns: dict[By, Any], api_key: Any = None, person: Any = None) -> list[Any]:
    """The conditions of `only`. `api_key` and `person` are the columns by which rows are quickly found, where there are such."""
    found: list[Any] = []
    if only.project_id is not None:
        remote = session.scalar(sa.select(Project.remote_id).where(Project.id == only.project_id))
        found.append(columns[By.PROJECT] == (remote or only.project_id))
    if only.person_ids is not None:
        found.append(columns[By.PERSON].in_(only.person_ids))
    if only.key_id is not None and api_key is not None:
        found.append(api_key.in_(_remote_keys(session, only.key_id)))
    plain = {
        By.PERSON: only.person_id, By.MODEL: only.model, By.TEAM: only.team, By.COST_CENTRE: only.cost_centre,
        By.ENDPOINT: only.endpoint, By.LINE_ITEM: only.line_item, By.WHOSE: only.whose.value if only.whose else None,
        By.REASON: only.reason,
    }  # fmt: skip
    found += [columns[by] == value for by, value in plain.items() if value is not None]
    if person is not None:  # by their people, rows are found by an index
        for column, value in ((Assignment.team, only.team), (Assignment.cost_centre, only.cost_centre)):
            if value:
                found.append(person.in_(sa.select(Assignment.person_id).where(column == value)))
    return found


def _remote_keys(session: Session, key_id: str) -> list[str]:
    """OpenAI's ids of the key: our key has one for each of its versions."""
    found = {key_id}
    for series in (UsageSeries, CostSeries):
        found.update(
            session.scalars(sa.select(series.api_key_remote_id).where(series.key_id == key_id).distinct()) if key_id else ()
        )
    return sorted(found)
