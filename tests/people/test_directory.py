"""The directory in the database: a file is carried out once, history is kept, nobody is lost."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import Conflict, InvalidInput
from govern.core.uow import UnitsOfWork
from govern.findings import queries as findings
from govern.people import directory, export, queries, service
from govern.people.models import DirectoryImport, ImportState, Person, PersonState
from govern.worker.runner import run_job
from tests.given import ADA, ADMIN, EVE, OLA, World

FILE = """email,name,team,cost_centre,manager,starts_on,ends_on
max@acme.example,Max Manager,Search,100,,2020-01-01,
eve@acme.example,Eve Employee,Search,100,max@acme.example,2025-06-01,2026-09-01
,Nobody,Search,,,,
new@acme.example,=Nia,Ads,300,max@acme.example,2026-04-01,
"""


@pytest.fixture
def work(clock: FrozenDateTimeFactory, unit_of_work: UnitsOfWork) -> UnitsOfWork:
    """Units of work on a clock that stands still: Tuesday, 10 March 2026."""
    return unit_of_work


def brought_in(work: UnitsOfWork, text: str, *, complete: bool = False, on: date | None = None) -> DirectoryImport:
    with work(ADMIN) as uow:
        row = directory.draft(uow, text, complete=complete, effective_on=on)
        return directory.carry_out(uow, row.id)


def history(work: UnitsOfWork, email: str) -> list[tuple[date, date | None, str | None, str | None, str | None]]:
    with work.reading() as session:
        rows = queries.history(session, queries.get(session, email).id)
    return [(row["from_on"], row["until_on"], row["team"], row["cost_centre"], row["manager"]) for row in reversed(rows)]


def person(work: UnitsOfWork, email: str) -> Person:
    with work.reading() as session:
        return queries.get_by_email(session, email)


def test_a_file_is_carried_out_and_again_changes_nothing(work: UnitsOfWork) -> None:
    with work(ADMIN) as uow:
        service.ensure(uow, "eve@acme.example", "eve")
    row = brought_in(work, FILE)
    assert row.state is ImportState.DONE
    assert row.text is None
    assert row.counts == {"new": 2, "changed": 1, "unchanged": 0, "problems": 1, "left": 0, "missing": 0}
    assert [(each["line"], each["outcome"]) for each in row.rows] == [(2, "new"), (3, "changed"), (4, "problem"), (5, "new")]
    assert person(work, "eve@acme.example").ends_on == date(2026, 9, 1)
    assert history(work, "eve@acme.example") == [(date(2025, 6, 1), None, "Search", "100", "max@acme.example")]
    assert history(work, "new@acme.example")[0][0] == date(2026, 4, 1)
    again = brought_in(work, FILE)
    assert again.counts == {"new": 0, "changed": 0, "unchanged": 3, "problems": 1, "left": 0, "missing": 0}
    with work(ADMIN) as uow:
        assert directory.carry_out(uow, row.id).counts["new"] == 2  # the first one, as it was


def test_somebody_who_moves_on_the_12th_is_split_on_the_12th(work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    brought_in(work, FILE)
    clock.move_to("2026-03-12 06:00:00")
    moved = FILE.replace("Eve Employee,Search,100", "Eve Employee,Ads,300")
    brought_in(work, moved)
    ads = (date(2026, 3, 12), None, "Ads", "300", "max@acme.example")
    assert history(work, "eve@acme.example") == [
        (date(2025, 6, 1), date(2026, 3, 12), "Search", "100", "max@acme.example"), ads,
    ]  # fmt: skip
    with work.reading() as session:
        eve = queries.get(session, "eve@acme.example")
        for day, team in ((date(2026, 3, 11), "Search"), (date(2026, 3, 12), "Ads")):
            assert queries.standing(session, [eve.id], day)[eve.id].team == team
            assert [each.id for each in queries.find_people(session, team=team, search="EVE", on=day)] == [eve.id]
            assert queries.find_people(session, team="Ads" if team == "Search" else "Search", search="eve", on=day) == []
        assert [each.email for each in queries.direct_reports(session, queries.get(session, "max@acme.example").id, day)] == [
            "eve@acme.example"
        ]
    clock.move_to("2026-03-20 06:00:00")  # it was the 10th, says a correction; and the file of every night says nothing new
    brought_in(work, moved)
    brought_in(work, "email,team,cost_centre,effective_on\neve@acme.example,Ads,300,2026-03-10\n")
    assert history(work, "eve@acme.example") == [
        (date(2025, 6, 1), date(2026, 3, 10), "Search", "100", "max@acme.example"),
        (date(2026, 3, 10), None, "Ads", "300", "max@acme.example"),
    ]


@pytest.mark.one_database
def test_only_a_complete_file_says_that_somebody_is_gone(work: UnitsOfWork) -> None:
    brought_in(work, FILE)
    without = "\n".join(line for line in FILE.splitlines() if "new@" not in line and "Nobody" not in line)
    assert brought_in(work, without).missing == ["new@acme.example"]
    assert queries.listed(person(work, "new@acme.example")) is queries.Listed.NAMED
    assert brought_in(work, without, complete=True).counts["missing"] == 1
    assert queries.listed(person(work, "new@acme.example")) is queries.Listed.GONE
    assert brought_in(work, without, complete=True).counts["missing"] == 0
    brought_in(work, "email\nnew@acme.example\n")
    assert queries.listed(person(work, "new@acme.example")) is queries.Listed.NAMED


def test_what_was_shown_is_what_is_done_or_nothing(work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    with work(ADMIN) as uow:
        row = directory.draft(uow, FILE)
        digest = directory.plan_of(uow.session, row).digest()
    brought_in(work, "email,team\nmax@acme.example,Infra\n")
    with pytest.raises(Conflict, match="no longer what you were shown"), work(ADMIN) as uow:
        directory.carry_out(uow, row.id, digest=digest)
    assert history(work, "max@acme.example")[0][2] == "Infra"
    clock.tick(directory.DRAFT_FOR.total_seconds() + 1)
    with work(ADMIN) as uow:
        assert directory.forget_drafts(uow) == 1
        assert uow.session.scalar(sa.select(sa.func.count()).select_from(DirectoryImport)) == 1


@pytest.mark.one_database
def test_an_end_date_by_hand_stands_against_a_file_that_does_not_know_it(work: UnitsOfWork) -> None:
    brought_in(work, FILE)
    with work(ADMIN) as uow:
        directory.set_end(uow, "max@acme.example", date(2026, 3, 31), reason="contract not renewed")
    with pytest.raises(InvalidInput, match="That day is over"), work(ADMIN) as uow:
        directory.set_end(uow, "max@acme.example", date(2026, 3, 9), reason="contract not renewed")
    brought_in(work, FILE)
    assert person(work, "max@acme.example").ends_on == date(2026, 3, 31)
    with work(ADMIN) as uow:
        directory.set_end(uow, "max@acme.example", None, reason="renewed after all")
    assert person(work, "max@acme.example").ends_on is None
    with work(ADMIN) as uow:
        service.contain(uow, service.lock(uow.session, person(work, "max@acme.example").id))
    row = brought_in(work, FILE)
    assert (row.counts["left"], row.rows[0]["outcome"]) == (1, "left")
    assert person(work, "max@acme.example").state is PersonState.LEAVING


def test_an_export_is_read_back_without_a_change_and_calculates_nothing(work: UnitsOfWork) -> None:
    brought_in(work, FILE)
    with work.reading() as session:
        text = "".join(export.lines(session, date(2026, 3, 10)))
    assert "new@acme.example,'=Nia,,,,\r\n" in text  # the first place begins in April only
    assert "eve@acme.example,Eve Employee,Search,100,max@acme.example,2026-09-01\r\n" in text
    assert brought_in(work, text).counts["unchanged"] == 3


@pytest.mark.one_database
def test_a_member_who_signed_in_once_is_a_ghost_when_the_directory_forgets_them(
    clock: FrozenDateTimeFactory, world: World
) -> None:

    world.synced()
    eve = world.person(EVE)
    with world.govern.unit_of_work(ADMIN) as uow:
        service.link_identity(uow, eve, "https://idp.example", "sub-eve")
    named = [ADA, OLA]
    brought_in(world.govern.unit_of_work, "email\n" + "\n".join([*named, EVE]), complete=True)
    assert EVE not in ghosts(world)
    brought_in(world.govern.unit_of_work, "email\n" + "\n".join(named), complete=True)
    assert EVE in ghosts(world)


def ghosts(world: World) -> list[str]:
    """The addresses of members whom the directory does not know."""
    run_job(world.govern, "findings.evaluate")
    with world.govern.unit_of_work.reading() as session:
        return [row.label for row in findings.find(session, type_="ghost_member")]
