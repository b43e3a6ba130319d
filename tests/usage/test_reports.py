"""Every question against the plain sum of the same rows: whatever rollup answers it, the figure is the same to the last digit."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core.errors import InvalidInput
from govern.people.models import Assignment
from govern.usage import cells, queries
from govern.usage.models import SpendStretch
from govern.usage.names import By, Whose
from govern.usage.questions import Figure, Only, View
from govern.usage.sync import run_costs, run_usage
from tests.given import ADMIN, EVE, MAX, World
from tests.usage.reported import CHAT, Reported, billed, used

if TYPE_CHECKING:
    from govern.bootstrap import Govern

TODAY = date(2026, 3, 20)
START, END = date(2026, 2, 10), date(2026, 3, 21)
MODELS = ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
MOVES = date(2026, 3, 12)
TEAMS = {"eve": ((date(2026, 1, 1), "search", "CC1"), (MOVES, "ads", "CC2")), "max": ((date(2026, 2, 20), "search", "CC1"),)}


class Paid(NamedTuple):
    """What one row comes to, and everything that may be grouped."""

    day: date
    clock: View
    whose: str
    project: str
    person: str
    team: str
    cost_centre: str
    model: str
    line_item: str
    amount: Decimal


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with freeze_time("2026-03-20T12:00:00", tick=True):
        yield


@pytest.fixture
def paid(world: World, govern: Govern) -> list[Paid]:
    """Forty days of two people, a project's own account, and traffic of nobody: reported, pulled, rolled up."""
    project = world.synced().project("Search").remote_id
    own = {"eve": world.openai.make_personal_key(EVE, "Search")[0], "max": world.openai.make_personal_key(MAX, "Search")[0]}
    world.synced()
    people = {"eve": world.person(EVE).id, "max": world.person(MAX).id}
    stand(govern, people, TEAMS)
    holders = ((project, own["eve"], "eve"), (project, own["max"], "max"), ("proj_b", "key_bot", ""), (None, None, ""))
    usage, costs, plain = [], [], []
    for at, day in enumerate(START + timedelta(days=n) for n in range((END - START).days)):
        for number, ((place, key, who), model) in enumerate(itertools.product(holders, MODELS)):
            whose = Whose.PERSON if who else Whose.PROJECT if place else Whose.NOBODY
            standing = [each for each in TEAMS.get(who, ()) if each[0] <= day]
            team, centre = standing[-1][1:] if standing else ("", "")
            head = (whose.value, place or "", people.get(who, ""), team, centre, model)
            tokens = 1000 * (at + 1) * (number + 1)
            usage.append(used(f"{day}T{at % 24:02d}:00", project=place, key=key, model=model, input_tokens=tokens))
            price = Decimal("0.15") if "mini" in model else Decimal("2.5")
            plain.append(Paid(day, View.ESTIMATED, *head, "", tokens * price / 1_000_000))
            if day < date(2026, 3, 19):
                for item, share in (("input", 1), ("cached input", 3)):
                    amount = Decimal(at + number + 1).scaleb(-7) * share + (price if day.day % 3 == 0 else 0)
                    costs.append(billed(day.isoformat(), str(amount), project=place, key=key, item=f"{model}, {item}"))
                    plain.append(Paid(day, View.BILLED, *head, f"{model}, {item}", amount))
    source = Reported(usage, costs)
    run_usage(govern.unit_of_work, source, trailing_days=3, backfill_days=38, endpoints=CHAT)
    run_costs(govern.unit_of_work, source, trailing_days=3, backfill_days=38)
    assert cells.run(govern.unit_of_work, TODAY)["stretches"] > 20
    return plain


def stand(govern: Govern, people: dict[str, str], teams: dict[str, tuple[tuple[date, str, str], ...]]) -> None:
    with govern.unit_of_work(ADMIN) as uow:
        uow.session.execute(sa.delete(Assignment))
        for who, steps in teams.items():
            for first, team, centre in steps:
                uow.session.add(
                    Assignment(id=uow.new_id("asg"), person_id=people[who], team=team, cost_centre=centre, from_on=first)
                )


def counting(plain: list[Paid]) -> list[Paid]:
    """What `best` adds up: billed of settled days; of others, project by project, the clock that shows more."""
    sums: dict[tuple[date, str, View], Decimal] = defaultdict(Decimal)
    for row in plain:
        sums[row.day, row.project, row.clock] += row.amount
    settled = TODAY - timedelta(days=4)

    def counts(row: Paid) -> bool:
        both = {clock: sums.get((row.day, row.project, clock)) for clock in (View.BILLED, View.ESTIMATED)}
        bill, estimate = both[View.BILLED], both[View.ESTIMATED]
        if row.day <= settled:
            return row.clock is View.BILLED
        wins = View.ESTIMATED if bill is None or (estimate is not None and bill < estimate) else View.BILLED
        return row.clock is wins

    return [row for row in plain if counts(row)]


LABELS: dict[By, Callable[[Paid], str]] = {
    By.WHOSE: lambda row: row.whose, By.PROJECT: lambda row: row.project, By.PERSON: lambda row: row.person,
    By.TEAM: lambda row: row.team, By.COST_CENTRE: lambda row: row.cost_centre, By.MODEL: lambda row: row.model,
    By.LINE_ITEM: lambda row: row.line_item, By.ENDPOINT: lambda row: "completions" if row.clock is View.ESTIMATED else "",
    By.DAY: lambda row: row.day.isoformat(), By.MONTH: lambda row: row.day.isoformat()[:7],
    By.WEEK: lambda row: (row.day - timedelta(days=row.day.weekday())).isoformat(),
}  # fmt: skip

QUESTIONS: list[tuple[By, ...]] = [
    (By.DAY,), (By.WEEK,), (By.MONTH,), (By.WHOSE,), (By.PROJECT, By.MODEL), (By.ENDPOINT, By.MONTH), (By.TEAM,),
    (By.COST_CENTRE, By.WEEK), (By.TEAM, By.MODEL), (By.PERSON,), (By.PERSON, By.TEAM, By.MONTH), (By.PERSON, By.MODEL),
    (By.TEAM, By.PROJECT, By.MODEL, By.DAY), (By.LINE_ITEM, By.MONTH), (By.PERSON, By.ENDPOINT, By.COST_CENTRE),
]  # fmt: skip
RANGES = ((START, END), (date(2026, 2, 27), date(2026, 3, 13)), (date(2026, 3, 12), date(2026, 3, 13)))


def test_every_question_has_the_plain_answer(paid: list[Paid], govern: Govern, world: World) -> None:
    remote = {world.project("Search").id: world.project("Search").remote_id}
    limits: list[tuple[Only, Callable[[Paid], bool]]] = [
        (Only(), lambda row: True),
        (Only(team="search"), lambda row: row.team == "search"),
        (Only(person_id=world.person(EVE).id), lambda row: row.person == world.person(EVE).id),
        (Only(cost_centre="", whose=Whose.PERSON), lambda row: row.cost_centre == "" and row.whose == Whose.PERSON),
        (Only(model=MODELS[0], project_id="proj_b"), lambda row: row.model == MODELS[0] and row.project == "proj_b"),
    ]
    with govern.unit_of_work.reading() as session:
        ranges, views = itertools.cycle(RANGES), itertools.cycle(View)
        asked = [(by, view, limits[0]) for by, view in itertools.product(QUESTIONS, View)]
        asked += [(by, next(views), limit) for by, limit in itertools.product(QUESTIONS, limits[1:])]
        for by, view, (only, admits) in asked:
            start, end = next(ranges)
            if By.LINE_ITEM in by and only != Only() and view is not View.BILLED:
                continue
            rows = counting(paid) if view is View.BEST else [row for row in paid if row.clock is view]
            expected: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
            for row in rows:
                if start <= row.day < end and admits(row):
                    expected[tuple(LABELS[each](row) for each in by)] += row.amount
            found = queries.lines(session, start, end, by=by, view=view, only=only)
            shown = {tuple(remote.get(value, value) for value in line.ids.values()): line.figure.amount for line in found}
            case = (by, start, end, view, only)
            assert {group: amount for group, amount in shown.items() if amount} == dict(expected), case
            assert sum((line.figure for line in found), Figure()).amount == sum(expected.values()), case
            whole = queries.totals(session, start, end, view=view, only=only)
            assert whole.whole.amount == whole.people + whole.projects + whole.unattributed == sum(expected.values()), case


def pages_and_comparisons_agree(paid: list[Paid], govern: Govern) -> None:
    with govern.unit_of_work.reading() as session:
        for by in ((By.DAY, By.MODEL), (By.WEEK, By.PERSON)):
            for largest_first in (False, True):
                whole = queries.lines(session, START, END, by=by, largest_first=largest_first, compare=True)
                pages: list[queries.Line] = []
                while page := queries.lines(
                    session, START, END, by=by, limit=7, largest_first=largest_first, compare=True,
                    after=pages[-1].cursor if pages else None,
                ):  # fmt: skip
                    pages += page
                assert pages == whole
        march = {line.ids[By.MODEL]: line for line in queries.lines(
            session, date(2026, 3, 1), date(2026, 3, 11), by=[By.MODEL], view=View.BILLED, compare=True
        )}  # fmt: skip
    for model, line in march.items():
        before = [row.amount for row in paid if row.clock is View.BILLED and row.model == model and row.day == date(2026, 2, 10)]
        assert line.previous is not None
        assert line.previous.amount == sum(before), "the same ten days of the month before; the first known one is the tenth"


def hours_add_up_to_the_days_estimate(paid: list[Paid], govern: Govern, world: World) -> None:
    first = date(2026, 3, 11)
    with govern.unit_of_work.reading() as session:
        found = queries.lines(session, first, first + timedelta(days=3), by=[By.HOUR, By.TEAM])
        one = queries.lines(session, first, MOVES, by=[By.HOUR], only=Only(person_id=world.person(EVE).id), compare=True)
        with pytest.raises(InvalidInput, match="days, not hours"):
            queries.lines(session, first, MOVES, by=[By.HOUR], view=View.BILLED)
    estimates = [row for row in paid if row.clock is View.ESTIMATED]
    days = [row for row in estimates if first <= row.day < first + timedelta(days=3)]
    for day in (first, MOVES):
        for team in ("search", "ads", ""):
            hours = [line for line in found if line.ids[By.HOUR].startswith(day.isoformat()) and line.ids[By.TEAM] == team]
            assert sum(line.figure.estimated for line in hours) == sum(r.amount for r in days if r.day == day and r.team == team)
    assert [line.ids[By.HOUR] for line in one] == ["2026-03-11T05"]
    assert one[0].figure.amount == sum(row.amount for row in days if row.day == first and row.person == world.person(EVE).id)


@pytest.mark.one_database
def test_pages_comparisons_and_hours(paid: list[Paid], govern: Govern, world: World) -> None:
    pages_and_comparisons_agree(paid, govern)
    hours_add_up_to_the_days_estimate(paid, govern, world)


def test_a_change_of_assignments_moves_spend_between_teams(paid: list[Paid], govern: Govern, world: World) -> None:
    people = {"eve": world.person(EVE).id, "max": world.person(MAX).id}
    stand(govern, people, {"eve": ((date(2026, 1, 1), "ads", "CC2"),)})
    moved = cells.run(govern.unit_of_work, TODAY)
    assert moved["days"] == len({row.day for row in paid})
    assert cells.run(govern.unit_of_work, TODAY) == {"days": 0, "stretches": 0}
    with govern.unit_of_work.reading() as session:
        teams = {line.ids[By.TEAM]: line.figure.amount for line in queries.lines(session, START, END, by=[By.TEAM])}
    mine = sum(row.amount for row in counting(paid) if row.person == people["eve"])
    assert teams["ads"] == mine
    assert sum(teams.values()) == sum(row.amount for row in counting(paid))
    assert "search" not in teams


@pytest.mark.one_database
def test_a_day_that_changes_takes_its_stretches_away_until_they_are_made_again(paid: list[Paid], govern: Govern) -> None:
    def whole() -> Decimal:
        with govern.unit_of_work.reading() as session:
            return queries.totals(session, START, END, view=View.BILLED).whole.amount

    def longer() -> int:
        with govern.unit_of_work.reading() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(SpendStretch).where(SpendStretch.level > 0)) or 0

    before, made = whole(), longer()
    gone = sum(row.amount for row in paid if row.clock is View.BILLED and row.day >= date(2026, 3, 16))
    run_costs(govern.unit_of_work, Reported(), trailing_days=4, backfill_days=38)
    assert whole() == before - gone
    assert longer() < made
    cells.run(govern.unit_of_work, TODAY)
    assert (whole(), longer()) == (before - gone, made)
