"""A month's bill by cost centre and team, split so that the lines are the bill, to the last digit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.usage import queries
from govern.usage.models import CostSeries
from govern.usage.names import By, Names, Whose, whose
from govern.usage.questions import Only, Question, View, next_step
from govern.usage.records import CostAdjustment
from govern.usage.rules import CURRENCY
from govern.usage.standing import on_day, standings

_NOTHING: Final = Decimal(0)


class Payer(NamedTuple):
    """Who is charged. PERSON: people of a cost centre and a team ('' for none). PROJECT: what a project's own keys and tools
    spent; NOBODY: what could not be attributed. `project` is OpenAI's id."""

    whose: str
    cost_centre: str = ""
    team: str = ""
    project: str = ""


@dataclass(frozen=True)
class ChargebackLine:
    """What somebody is charged with. `adjustment`: what changed after the month was closed, apart from what was charged then.

    `people` is how many spent something; a project's id is ours where we know it.
    """

    whose: Whose
    cost_centre: str
    team: str
    project_id: str
    project: str
    people: int
    amount: Decimal
    adjustment: bool = False


@dataclass(frozen=True)
class Chargeback:
    """A month's bill. `difference` is what the lines do not explain, and is 0: `bill` is added up by another way than they are.

    `final`: no day of the month changes any more. `other_currencies` are billed amounts that nothing here adds up.
    """

    month: date
    lines: Sequence[ChargebackLine]
    bill: Decimal
    final: bool
    billed_to: date | None
    other_currencies: Mapping[str, Decimal]

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), _NOTHING)

    @property
    def difference(self) -> Decimal:
        return self.bill - self.total

    def part(self, whose: Whose) -> Decimal:
        """What people, projects' own or nobody come to together, adjustments included."""
        return sum((line.amount for line in self.lines if line.whose is whose), _NOTHING)

    @property
    def adjustments(self) -> Decimal:
        return sum((line.amount for line in self.lines if line.adjustment), _NOTHING)

    def centres(self) -> list[tuple[str, list[ChargebackLine], Decimal]]:
        """(cost centre, its lines by team, sum) of what people spent; without a cost centre last."""
        found: dict[str, list[ChargebackLine]] = {}
        for line in self.lines:
            if line.whose is Whose.PERSON:
                found.setdefault(line.cost_centre, []).append(line)
        named = sorted(found.items(), key=lambda pair: (pair[0] == "", pair[0]))
        return [(centre, lines, sum((line.amount for line in lines), _NOTHING)) for centre, lines in named]


def chargeback(session: Session, month: date) -> Chargeback:
    """The month's bill by cost centre and team, with projects' own, what could not be attributed, and what changed after the
    month was closed as lines. `month` is any day of it."""
    start = month.replace(day=1)
    end = next_step(start, By.MONTH)
    billed, people = _billed(session, start, end)
    adjusted = _adjusted(session, start, end)
    names = Names(session, By.PROJECT, {payer.project for payer in billed.keys() | adjusted.keys()})
    lines = []
    for payer in sorted(billed.keys() | adjusted.keys(), key=_order):
        later = adjusted.get(payer, _NOTHING)
        for amount, is_adjustment in ((billed.get(payer, _NOTHING) - later, False), (later, True)):
            if amount:
                lines.append(
                    ChargebackLine(
                        Whose(payer.whose), payer.cost_centre, payer.team, names.id_of(payer.project),
                        names.name_of(payer.project), 0 if is_adjustment else people[payer], amount, is_adjustment,
                    )
                )  # fmt: skip
    items = queries.rows(session, Question(start, end, (By.LINE_ITEM,), View.BILLED), counted=False)
    fresh = queries.freshness(session)
    return Chargeback(
        start, lines, sum((row.figure.amount for row in items), _NOTHING),
        final=fresh.settled_to is not None and fresh.settled_to >= end, billed_to=fresh.billed_to,
        other_currencies=queries.other_currencies(session, start, end),
    )  # fmt: skip


def _billed(session: Session, start: date, end: date) -> tuple[dict[Payer, Decimal], Counter[Payer]]:
    """What is billed now, and how many people of a cost centre and team spent something."""
    amounts: dict[Payer, Decimal] = defaultdict(Decimal)
    people: Counter[Payer] = Counter()
    persons = Question(start, end, (By.COST_CENTRE, By.TEAM, By.PERSON), View.BILLED, Only(whose=Whose.PERSON))
    for (centre, team), count, amount in queries.per_place(session, persons):
        payer = Payer(Whose.PERSON, centre, team)
        amounts[payer], people[payer] = amount, count
    for kind in (Whose.PROJECT, Whose.NOBODY):
        own = Question(start, end, (By.PROJECT,), View.BILLED, Only(whose=kind))
        for (project,), figure, _ in queries.rows(session, own, counted=False):
            amounts[Payer(kind, project=project)] += figure.amount
    return amounts, people


def _adjusted(session: Session, start: date, end: date) -> dict[Payer, Decimal]:
    """What changed after the month was closed, by who is charged with it."""
    a, s, standing = CostAdjustment, CostSeries, standings()
    query = (
        sa.select(
            whose(s.person_id, s.project_remote_id), s.person_id, s.project_remote_id, standing.c.cost_centre, standing.c.team,
            a.before, a.after,
        )
        .join(s, s.id == a.series_id)
        .outerjoin(standing, on_day(standing, s.person_id, a.day))
        .where(a.day >= start, a.day < end, s.currency == CURRENCY)
    )  # fmt: skip
    found: dict[Payer, Decimal] = defaultdict(Decimal)
    for kind, person, project, centre, team, before, after in session.execute(query):
        payer = Payer(kind, centre or "", team or "") if person else Payer(kind, project=project)
        found[payer] += after - before
    return found


def _order(payer: Payer) -> tuple[Any, ...]:
    kinds = (Whose.PERSON, Whose.PROJECT, Whose.NOBODY)
    return kinds.index(Whose(payer.whose)), payer.cost_centre == "", payer.cost_centre, payer.team, payer.project
