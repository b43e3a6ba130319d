"""The coarser rollups: cells of one day made with that day's spend, and longer stretches made from shorter ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.crashpoints import crashpoint
from govern.core.inserting import insert_new
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.usage.bulk import batched, serialize
from govern.usage.models import (
    Clock,
    CostFact,
    CostSeries,
    Cube,
    DailySpend,
    SeenAssignment,
    SpendCell,
    SpendStretch,
    SyncWindow,
)  # fmt: skip
from govern.usage.names import KEY, whose
from govern.usage.rules import CURRENCY
from govern.usage.standing import on_day, standings
from govern.usage.stretches import Stretch, holding, lacking

JOB: Final = Actor(ActorKind.JOB, "usage.roll_up", "usage.roll_up")
DIMENSIONS: Final = ("whose", "project", "key", "person", "team", "cost_centre", "model", "endpoint", "line_item", "reason")
KEPT: Final[dict[Cube, tuple[str, ...]]] = {
    Cube.TOTALS: ("whose",),
    Cube.MODELS: ("whose", "model", "endpoint", "line_item"),
    Cube.PROJECTS: ("whose", "project"),
    Cube.REASONS: ("whose", "project", "reason"),
    Cube.TEAMS: ("whose", "team", "cost_centre"),
    Cube.KINDS: ("whose", "project", "model", "endpoint", "line_item", "reason"),
    Cube.TEAM_KINDS: ("whose", "team", "cost_centre", "model", "endpoint"),
    Cube.PEOPLE: ("whose", "person", "team", "cost_centre"),
    Cube.HOLDERS: ("whose", "project", "key", "person", "team", "cost_centre", "reason"),
}
"""What each rollup keeps apart, from the smallest to the largest."""
_MADE_FROM: Final = {
    Cube.TOTALS: Cube.KINDS, Cube.MODELS: Cube.KINDS, Cube.PROJECTS: Cube.KINDS, Cube.TEAMS: Cube.TEAM_KINDS,
    Cube.PEOPLE: Cube.HOLDERS, Cube.REASONS: Cube.HOLDERS,
}  # fmt: skip
MONEY: Final = ("billed", "estimated", "best_billed", "best_estimated")
COUNTS: Final = ("requests", "input_tokens", "cached_tokens", "output_tokens", "unpriced_tokens")
_COLUMNS: Final = ("cube", "level", "first_day", *DIMENSIONS, *MONEY, *COUNTS)
_STRETCHES_AT_ONCE: Final = 31
_MANY: Final = 500
"""From so many people on it is cheaper to look at every day than at theirs."""


class _Assignment(NamedTuple):
    """Where somebody stands, as `standings` tells it."""

    person_id: str
    from_on: date
    until_on: date | None
    team: str
    cost_centre: str


def remake(session: Session, days: Collection[date]) -> None:
    """Make the cells of these days from their daily spend, and take away the longer stretches that they belong to."""
    for part in batched(sorted(days), 100):
        session.execute(sa.delete(SpendCell).where(SpendCell.level == 0, SpendCell.first_day.in_(part)))
        with _whole_days(session):
            coarser = (_coarser(part, cube, finer) for cube, finer in _MADE_FROM.items())
            for cells in (*_day_cells(part), _line_items(session, part), *coarser):
                session.execute(sa.insert(SpendCell).from_select(_COLUMNS, cells, include_defaults=False))
        stale = {stretch for day in part for stretch in holding(day)}
        for some in batched(stale, 100):
            session.execute(sa.delete(SpendStretch).where(sa.tuple_(SpendStretch.level, SpendStretch.first_day).in_(some)))
        insert_new(session, SpendStretch, [{"level": 0, "first_day": day} for day in part])


def run(unit_of_work: UnitsOfWork, today: date) -> dict[str, int]:
    """Make again the days whose people stand elsewhere now, days that have no cells yet, and the longer stretches that are due.

    Returns counts: `days`, `stretches`. One transaction for each, so that the sync never waits long.
    """
    with unit_of_work.reading() as session:
        moves = _moves(session)
        days = sorted(_touched(session, moves) | _without(session))
    for day in days:
        with unit_of_work(JOB) as uow:
            serialize(uow.session)
            remake(uow.session, [day])
        crashpoint("usage.roll_up.day")
    if moves.new or moves.gone:
        with unit_of_work(JOB) as uow:
            serialize(uow.session)
            _note(uow.session, moves)
    return {"days": len(days), "stretches": _lengthen(unit_of_work, today)}


def _lengthen(unit_of_work: UnitsOfWork, today: date) -> int:
    with unit_of_work.reading() as session:
        first = session.scalar(sa.select(sa.func.min(SpendStretch.first_day)))
        made = stretches(session, first, today) if first else set()
    due = list(lacking(first, today, made)) if first else []
    for part in batched(due, _STRETCHES_AT_ONCE):
        with unit_of_work(JOB) as uow:
            serialize(uow.session)
            for stretch in part:
                _make(uow.session, stretch)
        crashpoint("usage.roll_up.stretches")
    return len(due)


def stretches(session: Session, start: date, end: date) -> set[Stretch]:
    """The longer stretches within the days `[start, end)` that have their cells."""
    s = SpendStretch
    rows = session.execute(sa.select(s.level, s.first_day).where(s.level > 0, s.first_day >= start, s.first_day < end))
    return {Stretch(level, first) for level, first in rows}


def _make(session: Session, stretch: Stretch) -> None:
    """From its two halves; a half that is not made, because a day of it has just changed, leaves the stretch for the next run."""
    below, halves = stretch.level - 1, stretch.halves
    if below:
        there = sa.select(sa.func.count()).where(SpendStretch.level == below, SpendStretch.first_day.in_(halves))
        if session.scalar(there) != 2:
            return
    session.execute(sa.delete(SpendCell).where(SpendCell.level == stretch.level, SpendCell.first_day == stretch.first))
    groups = [SpendCell.cube, *(getattr(SpendCell, name) for name in DIMENSIONS)]
    cells = (
        sa.select(
            SpendCell.cube, sa.literal(stretch.level, sa.SmallInteger), sa.literal(stretch.first, sa.Date), *groups[1:],
            *(_total(getattr(SpendCell, name)) for name in (*MONEY, *COUNTS)),
        )
        .where(SpendCell.cube.in_(list(Cube)), SpendCell.level == below, SpendCell.first_day.in_(halves))
        .group_by(*groups)
    )  # fmt: skip
    session.execute(sa.insert(SpendCell).from_select(_COLUMNS, cells, include_defaults=False))
    insert_new(session, SpendStretch, [{"level": stretch.level, "first_day": stretch.first}])


def _day_cells(days: Sequence[date]) -> list[sa.Select[Any]]:
    d, standing = DailySpend, standings()
    is_bill = d.clock == Clock.BILLED
    measures = [
        _total(d.amount, is_bill), _total(d.amount, ~is_bill), _total(d.amount, sa.and_(is_bill, d.counts)),
        _total(d.amount, sa.and_(~is_bill, d.counts)), *(_total(getattr(d, name)) for name in COUNTS),
    ]  # fmt: skip
    kept: dict[str, Any] = {
        "whose": whose(d.person_id, d.project_remote_id), "project": d.project_remote_id, "key": KEY, "person": d.person_id,
        "team": sa.func.coalesce(standing.c.team, ""), "cost_centre": sa.func.coalesce(standing.c.cost_centre, ""),
        "model": d.model, "endpoint": d.endpoint, "reason": d.reason,
    }  # fmt: skip

    def cells(cube: Cube, without: str = "") -> sa.Select[Any]:
        names = [name for name in KEPT[cube] if name != without]
        query = sa.select(*_head(cube, d.day), *_dimensions({name: kept[name] for name in names}), *measures)
        if "team" in names:
            query = query.outerjoin(standing, on_day(standing, d.person_id, d.day))
        return query.where(d.day.in_(days)).group_by(d.day, *(kept[name] for name in names))

    estimated = cells(Cube.KINDS, without="line_item").where(~is_bill)
    return [cells(Cube.HOLDERS), cells(Cube.TEAM_KINDS), estimated]


def _coarser(days: Sequence[date], cube: Cube, finer: Cube) -> sa.Select[Any]:
    """A smaller rollup of the same days, from a larger one that was just made."""
    c = SpendCell
    kept = {name: getattr(c, name) for name in KEPT[cube]}
    sums = [_total(getattr(c, name)) for name in (*MONEY, *COUNTS)]
    query = sa.select(*_head(cube, c.first_day), *_dimensions(kept), *sums)
    return query.where(c.cube == finer, c.level == 0, c.first_day.in_(days)).group_by(c.first_day, *kept.values())


def _line_items(session: Session, days: Sequence[date]) -> sa.Select[Any]:
    """The bill by line item: daily spend does not keep line items apart, the bill's own rows do."""
    f, s, d = CostFact, CostSeries, DailySpend
    outdone = sa.select(d.day, d.project_remote_id).where(d.day.in_(days), d.clock == Clock.BILLED, ~d.counts).distinct()
    projects: dict[date, list[str]] = defaultdict(list)
    for day, project in session.execute(outdone):  # few: the estimate counts only on days that are not settled
        projects[day].append(project)
    left_out = [sa.and_(f.day == day, s.project_remote_id.in_(some)) for day, some in projects.items()]
    kept = {
        "whose": whose(s.person_id, s.project_remote_id), "project": s.project_remote_id, "model": s.model,
        "line_item": s.line_item, "reason": sa.type_coerce(s.reason, sa.Text),
    }  # fmt: skip
    none, counting = sa.literal(0), sa.not_(sa.or_(*left_out)) if left_out else sa.true()
    measures = [_total(f.amount), none, _total(f.amount, counting), none, *(none for _ in COUNTS)]
    return (
        sa.select(*_head(Cube.KINDS, f.day), *_dimensions(kept), *measures)
        .join(s, s.id == f.series_id)
        .where(f.day.in_(days), s.currency == CURRENCY)
        .group_by(f.day, *kept.values())
    )


@contextmanager
def _whole_days(session: Session) -> Iterator[None]:
    """Have PostgreSQL join whole days at once. Of a new day it has no statistics yet, takes it for empty, and would look
    through all assignments for each of its rows."""
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    if on_postgresql:
        session.execute(sa.text("SET LOCAL enable_nestloop = off"))
    yield
    if on_postgresql:
        session.execute(sa.text("SET LOCAL enable_nestloop = on"))


def _head(cube: Cube, day: Any) -> list[Any]:
    return [sa.literal(cube.value), sa.literal(0), day]


def _dimensions(kept: dict[str, Any]) -> list[Any]:
    return [kept.get(name, sa.literal("")) for name in DIMENSIONS]


def _total(column: Any, condition: Any = None) -> Any:
    whole = column if condition is None else sa.case((condition, column), else_=sa.literal(0, sa.BigInteger))
    return sa.func.sum(whole)


@dataclass(frozen=True)
class _Moves:
    """Assignments that the cells were not made with (`new`), and ones they were made with that are no more (`gone`)."""

    new: Collection[_Assignment]
    gone: Collection[_Assignment]


def _moves(session: Session) -> _Moves:
    s, seen = standings().c, SeenAssignment
    now = session.execute(sa.select(s.person_id, s.from_on, s.until_on, s.team, s.cost_centre))
    before = session.execute(sa.select(seen.person_id, seen.from_on, seen.until_on, seen.team, seen.cost_centre))
    new, old = {_Assignment(*row) for row in now}, {_Assignment(*row) for row in before}
    return _Moves(new - old, old - new)


def _note(session: Session, moves: _Moves) -> None:
    """Write down what the cells were made with. What changed in the meantime differs from it, and is seen by the next run."""
    for part in batched(moves.gone):
        places = [(gone.person_id, gone.from_on) for gone in part]
        key = sa.tuple_(SeenAssignment.person_id, SeenAssignment.from_on)
        session.execute(sa.delete(SeenAssignment).where(key.in_(places)))
    insert_new(session, SeenAssignment, [new._asdict() for new in moves.new])


def _touched(session: Session, moves: _Moves) -> set[date]:
    """The days on which somebody spent who stands elsewhere now."""
    people = {each.person_id for each in (*moves.new, *moves.gone)}
    if len(people) > _MANY:
        return set(session.scalars(sa.select(SpendStretch.first_day).where(SpendStretch.level == 0)))
    return set(session.scalars(sa.select(DailySpend.day).where(DailySpend.person_id.in_(people)).distinct()))


def _without(session: Session) -> set[date]:
    """Days of which something was read and no cells were made: those from before there were any."""
    read = set(session.scalars(sa.select(SyncWindow.day).where(SyncWindow.rows > 0).distinct()))
    return read - set(session.scalars(sa.select(SpendStretch.first_day).where(SpendStretch.level == 0)))
