"""The books tie to the organization's own ledger: by person, team, project and model, for every closed day.

`scripts/test tests/usage/test_ledger.py --seeds 6` does it for six organizations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.openai.oracle import CostLine
from govern.keys.queries import newest_version
from govern.people import directory
from govern.projects.models import Project
from govern.usage import queries
from govern.usage.compared import settled_days
from govern.usage.names import By
from govern.usage.questions import View
from govern.usage.sync import run_backfill, run_costs, run_usage
from govern.usage.writers import model_of
from tests.given import ADMIN, EVE, World

if TYPE_CHECKING:
    from govern.bootstrap import Govern

START, TODAY = date(2026, 2, 20), date(2026, 3, 21)
MOVED = date(2026, 3, 12)
TEAMS = ("Ads", "Infra", "Search")
A_CENT = Decimal("0.01")
EXACT = Decimal("0.000001")

pytestmark = pytest.mark.one_database


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with freeze_time("2026-03-10T12:00:00") as clock:
        yield clock


@pytest.fixture
def openai(seed: int, clock: Any) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=10, projects=4, months=1, seed=seed), generation=("2026-11", "2026-08")[seed % 2])


def tell_where_people_stand(govern: Govern, emails: list[str]) -> dict[str, tuple[str, str]]:
    """Everybody has a team; every other one moves in the middle. E-mail → team before and after."""
    teams = {email: (TEAMS[at % 3], TEAMS[(at + at % 2) % 3]) for at, email in enumerate(sorted(emails))}
    lines = ["email,team,cost_centre,effective_on"]
    for email, (before, after) in teams.items():
        lines += [f"{email},{before},{before[0]}1,2026-02-01", f"{email},{after},{after[0]}1,{MOVED}"]
    with govern.unit_of_work(ADMIN) as uow:
        directory.carry_out(uow, directory.draft(uow, "\n".join(lines) + "\n", effective_on=date(2026, 2, 1)).id)
    return teams


def test_every_closed_day_ties_to_the_organizations_own_ledger(
    world: World, govern: Govern, openai: FakeOpenAI, clock: Any
) -> None:
    world.synced()
    key = world.key(EVE)
    with govern.unit_of_work.reading() as session:
        ours = newest_version(session, key.id).remote_id
    emails = {member.id: member.email for member in openai.oracle().members() if member.email}
    teams = tell_where_people_stand(govern, list(emails.values()))
    for day, usd in ((11, "1.25"), (12, "7"), (14, "0.333333333")):
        clock.move_to(f"2026-03-{day}T15:00:00")
        openai.spend(usd=usd, api_key_id=ours)
    clock.move_to("2026-03-16T12:00:00")
    source, days = govern.need_outside().usage, (TODAY - START).days
    run_backfill(govern.unit_of_work, source, days=days)
    openai.restate("2026-03-13", factor="1.1")  # late, after the day was read
    # Records of a day may come 40 hours after its end, and costs know them 8 hours later: all of 15 March on the 18th.
    for now in ("2026-03-18T12:00:00", "2026-03-21T13:00:00"):
        clock.move_to(now)
        world.synced()
        run_usage(govern.unit_of_work, source, trailing_days=10, backfill_days=days)
        run_costs(govern.unit_of_work, source, trailing_days=10, backfill_days=days)

    keys = openai.oracle().keys(None)
    owners = {row.id: emails.get(row.owner_id) for row in keys if row.owner_kind == "user"} | {ours: EVE}
    with govern.unit_of_work.reading() as session:
        settled_to = queries.freshness(session).settled_to
    assert settled_to is not None
    assert settled_to >= date(2026, 3, 16)

    def person_of(line: CostLine) -> str:
        return owners.get(line.api_key_id) or ""

    def team_of(line: CostLine, day: date) -> str:
        return teams[person_of(line)][day >= MOVED] if person_of(line) else ""

    wanted: dict[By, Counter[tuple[str, str]]] = {by: Counter() for by in (By.PERSON, By.TEAM, By.PROJECT, By.MODEL)}
    whole = Decimal(0)
    day = START
    while day < settled_to:
        for line in openai.oracle().costs(day):
            at = day.isoformat()
            wanted[By.PERSON][at, person_of(line)] += line.usd  # type: ignore[assignment]
            wanted[By.TEAM][at, team_of(line, day)] += line.usd  # type: ignore[assignment]
            wanted[By.PROJECT][at, line.project_id or ""] += line.usd  # type: ignore[assignment]
            wanted[By.MODEL][at, model_of(line.line_item)] += line.usd  # type: ignore[assignment]
            whole += line.usd
        day += timedelta(days=1)
    assert whole > 10

    with govern.unit_of_work.reading() as session:
        names = {By.PERSON: {world.person(email).id: email for email in emails.values()}, By.PROJECT: {}}
        names[By.PROJECT] = {project.id: project.remote_id for project in session.scalars(sa.select(Project))}
        for by, sums in wanted.items():
            lines = queries.lines(session, START, settled_to, by=(By.DAY, by), view=View.BEST)
            found = Counter[tuple[str, str]]()
            for each in lines:
                group = names.get(by, {}).get(each.ids[by], each.ids[by])
                found[each.ids[By.DAY], group] += each.figure.amount  # type: ignore[assignment]
                assert each.figure.estimated == 0
            off = {place: (sums[place], found[place]) for place in {*sums, *found} if abs(sums[place] - found[place]) > EXACT}
            assert off == {}, by
        parts = queries.totals(session, START, settled_to)
        assert parts.people + parts.projects + parts.unattributed == parts.whole.amount
        assert abs(parts.whole.amount - whole) < A_CENT
        errors = [abs(each.estimated / each.billed - 1) for each in settled_days(session, START, settled_to) if each.billed > 0]
    assert median(errors) < Decimal("0.03")
