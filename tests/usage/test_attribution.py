"""From OpenAI's ids to people, projects' own and unattributed; the parts always add up to the bill."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from govern.core.db import to_nano
from govern.core.errors import InvalidInput
from govern.keys.models import KeyVersion
from govern.people import directory
from govern.people.models import Assignment
from govern.projects.models import Project
from govern.usage import cells, queries, reasons
from govern.usage.clocks import tells
from govern.usage.models import Basis, Clock, CostSeries, Reason, UsageSeries
from govern.usage.names import By, Whose
from govern.usage.queries import Only, View
from govern.usage.sync import run_costs, run_usage
from govern.usage_ports import CostRow
from tests.given import ADA, ADMIN, EVE, World
from tests.usage.reported import CHAT, MODEL, Billed, Reported, billed, used

if TYPE_CHECKING:
    from govern.bootstrap import Govern

MARCH = (date(2026, 3, 1), date(2026, 4, 1))


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with freeze_time("2026-03-10T12:00:00", tick=True):
        yield


def pull(govern: Govern, source: Reported) -> None:
    run_usage(govern.unit_of_work, source, trailing_days=3, backfill_days=9, endpoints=CHAT)
    run_costs(govern.unit_of_work, source, trailing_days=3, backfill_days=9)


def remote_id(govern: Govern, key_id: str) -> str:
    with govern.unit_of_work.reading() as session:
        found = session.scalars(sa.select(KeyVersion.remote_id).where(KeyVersion.key_id == key_id)).one()
    assert found is not None
    return found


def people(govern: Govern, view: View = View.BEST) -> dict[str, Decimal]:
    with govern.unit_of_work.reading() as session:
        lines = queries.lines(session, *MARCH, by=[By.PERSON], view=view)
    return {line.ids[By.PERSON]: line.figure.amount for line in lines}


def test_a_key_that_we_issued_leads_to_its_person_whatever_openai_says_of_the_user(world: World, govern: Govern) -> None:
    world.synced()
    key, eve = world.key(EVE), world.person(EVE)
    ada_at_openai = next(member.id for member in world.openai.oracle().members() if member.email == ADA)
    api_key = remote_id(govern, key.id)
    pull(govern, Reported([used("2026-03-09T10:00", key=api_key, user=ada_at_openai)], [billed("2026-03-09", "3", key=api_key)]))
    assert people(govern) == {eve.id: 3}
    with govern.unit_of_work.reading() as session:
        assert set(session.scalars(sa.select(UsageSeries.basis))) == {Basis.KEY}
        lines = queries.lines(session, *MARCH, by=[By.KEY])
    assert [(line.ids[By.KEY], line.names[By.KEY]) for line in lines] == [(key.id, "laptop")]


@pytest.mark.one_database
def test_a_personal_key_leads_to_its_owner(world: World, govern: Govern) -> None:
    world.synced()
    api_key, _ = world.openai.make_personal_key(EVE, "Search")
    world.synced()
    pull(govern, Reported([used("2026-03-09T10:00", key=api_key)], [billed("2026-03-09", "3", key=api_key)]))
    assert people(govern) == {world.person(EVE).id: 3}


@pytest.mark.one_database
def test_usage_without_a_known_key_leads_to_the_user_and_costs_to_the_project(world: World, govern: Govern) -> None:
    eve_at_openai = next(member.id for member in world.synced().openai.oracle().members() if member.email == EVE)
    pull(govern, Reported([used("2026-03-09T10:00", key=None, user=eve_at_openai)], [billed("2026-03-09", "0.01", key=None)]))
    with govern.unit_of_work.reading() as session:
        estimated = queries.totals(session, *MARCH, view=View.ESTIMATED)
        bill = queries.totals(session, *MARCH, view=View.BILLED)
    assert (estimated.people, bill.people) == (Decimal("0.15"), 0)
    assert bill.projects == Decimal("0.01")


@pytest.mark.one_database
def test_a_service_account_that_is_not_ours_stays_with_the_project(world: World, govern: Govern) -> None:
    project = world.synced().project("Search")
    made = govern.need_outside().issuer.create(project.remote_id, "somebody else's bot", 86_400)
    world.synced()
    eve_at_openai = next(member.id for member in world.openai.oracle().members() if member.email == EVE)
    pull(govern, Reported([used("2026-03-09T10:00", key=made.key_id, user=eve_at_openai, project=project.remote_id)]))
    with govern.unit_of_work.reading() as session:
        assert set(session.scalars(sa.select(UsageSeries.basis))) == {Basis.PROJECT}


@pytest.mark.one_database
def test_what_has_nothing_is_unattributed_and_visible(world: World, govern: Govern) -> None:
    world.synced()
    pull(govern, Reported([], [billed("2026-03-09", "2", project=None, key=None), billed("2026-03-09", "1")]))
    with govern.unit_of_work.reading() as session:
        found = queries.totals(session, *MARCH)
    assert (found.people, found.projects, found.unattributed, found.whole.amount) == (0, 1, 2, 3)


def test_spend_finds_its_person_when_the_registry_learns_of_the_key_later(world: World, govern: Govern) -> None:
    project = world.synced().project("Search")
    api_key, _ = world.openai.make_personal_key(EVE, "Search")
    source = Reported(
        [used("2026-03-09T10:00", key=api_key, project=project.remote_id)],
        [billed("2026-03-02", "3", key=api_key, project=project.remote_id)],
    )
    pull(govern, source)
    assert people(govern) == {"": Decimal("3.15")}
    world.synced()
    report = run_usage(govern.unit_of_work, Reported(source.usage_rows), trailing_days=3, backfill_days=9, endpoints=CHAT)
    assert report["relearned"] == 2
    assert people(govern) == {world.person(EVE).id: Decimal("3.15")}
    again = run_usage(govern.unit_of_work, Reported(source.usage_rows), trailing_days=3, backfill_days=9, endpoints=CHAT)
    assert again["relearned"] == 0


def test_filters_take_our_ids_and_openais(world: World, govern: Govern) -> None:
    project = world.synced().project("Search")
    api_key = remote_id(govern, world.key(EVE).id)
    costs = [
        billed("2026-03-09", "3", key=api_key, project=project.remote_id),
        billed("2026-03-09", "5", project="proj_gone"),
    ]
    pull(govern, Reported([], costs))
    eve = world.person(EVE)
    with govern.unit_of_work.reading() as session:

        def amount(only: Only) -> Decimal:
            return sum((line.figure.amount for line in queries.lines(session, *MARCH, only=only)), Decimal(0))

        assert amount(Only(project_id=project.id)) == amount(Only(project_id=project.remote_id)) == 3
        assert amount(Only(project_id="proj_gone")) == 5
        assert amount(Only(person_id=eve.id)) == amount(Only(person_ids=[eve.id, "per_x"])) == 3
        assert amount(Only(model=MODEL)) == 8
        assert amount(Only(person_ids=[])) == 0
        named = queries.lines(session, *MARCH, by=[By.PROJECT])
    assert {line.ids[By.PROJECT]: line.names[By.PROJECT] for line in named} == {
        project.id: project.name,
        "proj_gone": "proj_gone",
    }


STEPS = st.one_of(
    st.tuples(st.just("late row"), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("restated"), st.integers(1, 9), st.sampled_from(["0", "-0.5", "0.333333333", "1.75"])),
    st.tuples(st.just("vanished"), st.integers(1, 9)),
    st.tuples(st.just("renamed"), st.text("ab", min_size=1, max_size=3)),
    st.tuples(st.just("moved"), st.integers(1, 9), st.sampled_from(["Ads", "Infra"])),
    st.tuples(st.just("rotated"),),
    st.tuples(st.just("project gone"),),
)  # fmt: skip


def test_people_projects_and_unattributed_add_up_to_the_bill_whatever_happens(world: World, govern: Govern) -> None:
    """Late rows, restatements, days that vanish, renames, moves, rotations and projects that go: the parts are the whole."""
    project = world.synced().project("Search")
    own, _ = world.openai.make_personal_key(EVE, "Search")
    issued = world.key(EVE)
    world.synced()
    eve = world.person(EVE)
    keys = ["", remote_id(govern, issued.id), own, "key_unknown"]
    places, items = ("", project.remote_id, "proj_gone"), (f"{MODEL}, input", "web search tool calls", "")
    source = Reported()

    def happen(step: tuple[Any, ...]) -> None:
        match step:
            case ("late row", day, key, place, item):
                row = CostRow(places[place], keys[key % len(keys)], items[item], Decimal("1.000000007") * (day + key))
                kept = [each for each in source.cost_rows if each.at.day != day or each.row[:3] != row[:3]]
                source.cost_rows = [*kept, Billed(date(2026, 3, day), row)]
            case ("restated", day, factor):
                source.restate(f"2026-03-{day:02d}", factor)
            case ("vanished", day):
                source.cost_rows = [each for each in source.cost_rows if each.at.day != day]
            case ("renamed", name):
                with govern.unit_of_work(ADMIN) as uow:
                    uow.session.execute(sa.update(Project).where(Project.id == project.id).values(name=name))
            case ("moved", day, team):
                stand(govern, team, date(2026, 3, day))
            case ("rotated",):
                with govern.unit_of_work(ADMIN) as uow:
                    version = uow.session.scalars(sa.select(KeyVersion).where(KeyVersion.key_id == issued.id)).first()
                    assert version is not None
                    number, new = len(keys), f"key_turned_{len(keys)}_{uow.new_id('x')}"
                    uow.session.add(
                        KeyVersion(
                            id=uow.new_id("kv"), key_id=issued.id, number=number, state=version.state, remote_id=new,
                            lifetime_seconds=1, created_at=uow.now,
                        )
                    )  # fmt: skip
                keys.append(new)
            case ("project gone",):
                with govern.unit_of_work(ADMIN) as uow:
                    uow.session.execute(sa.update(Project).where(Project.id == project.id).values(archived_at=uow.now))

    @settings(max_examples=14, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=1, max_size=9))
    def check(steps: list[tuple[Any, ...]]) -> None:
        for step in steps:
            happen(step)
        run_costs(govern.unit_of_work, source, trailing_days=9, backfill_days=9)
        cells.run(govern.unit_of_work, date(2026, 3, 10))
        rows = [each.row for each in source.cost_rows]
        with govern.unit_of_work.reading() as session:
            found = queries.totals(session, *MARCH, view=View.BILLED)
            closed = queries.totals(session, date(2026, 3, 1), date(2026, 3, 7), view=View.BILLED)
            sums = [
                sum((line.figure.amount for line in queries.lines(session, *MARCH, by=by, view=View.BILLED)), Decimal(0))
                for by in (
                    [By.PERSON, By.PROJECT],
                    [By.TEAM, By.DAY],
                    [By.COST_CENTRE],
                    [By.MODEL, By.LINE_ITEM],
                    [By.KEY],
                    [By.REASON],
                )
            ]
            teams = {
                (line.ids[By.DAY], line.ids[By.TEAM])
                for line in queries.lines(session, *MARCH, by=[By.DAY, By.TEAM], view=View.BILLED, only=Only(person_id=eve.id))
            }
            stood = {at.from_on: at.team or "" for at in session.scalars(sa.select(Assignment).order_by(Assignment.from_on))}
        whole = sum((to_nano(row.amount) for row in rows), Decimal(0))
        assert found.people + found.projects + found.unattributed == found.whole.amount == whole
        assert sums == [whole] * len(sums)
        assert closed.whole.amount == sum((to_nano(each.row.amount) for each in source.cost_rows if each.at.day < 7), Decimal(0))
        hers = [row for row in rows if row.api_key_id in (*keys[1:3], *keys[4:])]
        assert found.people == sum((to_nano(row.amount) for row in hers), Decimal(0))
        assert found.unattributed == sum(
            (to_nano(row.amount) for row in rows if row not in hers and not row.project_id), Decimal(0)
        )
        for day, team in teams:  # who moves in the middle of a month is split on that day
            before = [name for since, name in stood.items() if since.isoformat() <= day]
            assert team == (before[-1] if before else "")

    check()
    with govern.unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(CostSeries)) > 0


def stand(govern: Govern, team: str, on: date) -> None:
    """Eve is in this team from that day on."""
    text = f"email,team,cost_centre\n{EVE},{team},{team}-1\n"
    with govern.unit_of_work(ADMIN) as uow:
        directory.carry_out(uow, directory.draft(uow, text, effective_on=on).id)


def test_spend_that_is_nobodys_says_why(world: World, govern: Govern) -> None:
    project = world.synced().project("Search")
    made = govern.need_outside().issuer.create(project.remote_id, "somebody else's bot", 86_400)
    own, _ = world.openai.make_personal_key(EVE, "Search")
    world.synced()
    rows = [
        billed("2026-03-09", "1", key=None), billed("2026-03-09", "2", key="key_unknown"),
        billed("2026-03-09", "3", key=made.key_id), billed("2026-03-09", "4", key=None, user="user_gone"),
        billed("2026-03-09", "5", key=own), billed("2026-03-09", "6", key=None, project=None),
    ]  # fmt: skip
    usage = [
        used("2026-03-09T10:00", key="key_unknown"), used("2026-03-09T10:00", key=made.key_id), used("2026-03-09T11:00", key=own),
        used("2026-03-09T10:00", key=None, project=None), used("2026-03-09T11:00", key="key_unknown", user="user_gone"),
    ]  # fmt: skip
    pull(govern, Reported(usage, rows))
    nobodys, projects = Whose.NOBODY, Whose.PROJECT
    with govern.unit_of_work.reading() as session:
        bill = reasons.ownerless(session, *MARCH, view=View.BILLED)
        estimate = reasons.ownerless(session, *MARCH, view=View.ESTIMATED)
        whole = queries.totals(session, *MARCH, view=View.BILLED)
        by_reason = queries.lines(session, *MARCH, by=[By.REASON], view=View.BILLED)
        only = Only(reason=Reason.UNKNOWN_KEY)
        keys = queries.lines(session, *MARCH, by=[By.KEY], view=View.BILLED, only=only)
        further = [  # from cells, from daily spend, from the bill's own rows
            queries.lines(session, *MARCH, by=by, view=View.BILLED, only=only)
            for by in ([By.MODEL], [By.LINE_ITEM, By.PROJECT], [By.MODEL, By.KEY], [By.LINE_ITEM, By.KEY])
        ]
        hours = queries.lines(
            session, date(2026, 3, 9), date(2026, 3, 10), by=[By.HOUR, By.REASON], view=View.ESTIMATED, only=Only(whose=projects)
        )  # fmt: skip
    assert [(each.whose, each.reason, each.figure.amount) for each in bill] == [
        (nobodys, Reason.NO_KEY, 6), (projects, Reason.UNKNOWN_MEMBER, 4), (projects, Reason.FOREIGN_ACCOUNT, 3),
        (projects, Reason.UNKNOWN_KEY, 2), (projects, Reason.NO_KEY, 1),
    ]  # fmt: skip
    assert sum(each.figure.amount for each in bill) == whole.projects + whole.unattributed
    assert {(each.whose, each.reason): each.counts.requests for each in estimate} == {
        (nobodys, Reason.NO_KEY): 1, (projects, Reason.UNKNOWN_KEY): 1, (projects, Reason.FOREIGN_ACCOUNT): 1,
        (projects, Reason.UNKNOWN_MEMBER): 1,
    }  # fmt: skip
    assert len({each.figure.amount for each in estimate}) == 1, "one key's spend has two reasons: with a user, and without one"
    assert {line.ids[By.REASON]: line.figure.amount for line in by_reason} == {
        Reason.NO_KEY: 7, Reason.UNKNOWN_KEY: 2, Reason.FOREIGN_ACCOUNT: 3, Reason.UNKNOWN_MEMBER: 4, Reason.NONE: 5,
    }  # fmt: skip
    assert [(line.ids[By.KEY], line.figure.amount) for line in keys] == [("key_unknown", 2)]
    assert [[line.figure.amount for line in lines if line.figure.amount] for lines in further] == [[2]] * 4
    assert [(line.ids[By.HOUR][-3:], line.ids[By.REASON]) for line in hours] == [
        ("T10", Reason.FOREIGN_ACCOUNT), ("T10", Reason.UNKNOWN_KEY), ("T11", Reason.UNKNOWN_MEMBER),
    ]  # fmt: skip
    assert set(reasons.WORDS) == set(Reason)


@pytest.mark.one_database
def test_each_clock_tells_the_groups_apart_that_are_declared(world: World, govern: Govern) -> None:
    world.synced()
    key = remote_id(govern, world.key(EVE).id)
    stand(govern, "search", date(2026, 3, 1))
    usage = [used("2026-03-09T10:00", key=key), used("2026-03-09T10:00", key="key_unknown")]
    pull(govern, Reported(usage, [billed("2026-03-09", "3", key=key), billed("2026-03-09", "2", key="key_unknown")]))
    days, views = (date(2026, 3, 9), date(2026, 3, 10)), {Clock.ESTIMATED: View.ESTIMATED, Clock.BILLED: View.BILLED}

    def told(by: By, clock: Clock) -> bool:
        with govern.unit_of_work.reading() as session:
            try:
                lines = queries.lines(session, *days, by=[by], view=views[clock])
            except InvalidInput:
                return False
        assert sum(line.figure.amount for line in lines) > 0, "nothing is lost, whatever is asked"
        return any(line.ids[by] for line in lines if line.figure.amount)

    found = {(by, clock): told(by, clock) for by in By for clock in Clock}
    assert found == {(by, clock): tells(clock, by) for by in By for clock in Clock}


def test_pages_of_lines_follow_one_another(world: World, govern: Govern) -> None:
    world.synced()
    rows = [billed(f"2026-03-{day:02d}", "1", key=f"key_{key}") for day in range(1, 10) for key in range(4)]
    pull(govern, Reported([], rows))
    with govern.unit_of_work.reading() as session:
        whole = queries.lines(session, *MARCH, by=[By.DAY, By.KEY])
        pages: list[queries.Line] = []
        while page := queries.lines(
            session, *MARCH, by=[By.DAY, By.KEY], limit=5, after=pages[-1].cursor if pages else None
        ):  # fmt: skip
            pages += page
        top = queries.lines(session, *MARCH, by=[By.KEY], largest_first=True, limit=1)
    assert pages == whole
    assert len(pages) == 36
    assert top[0].figure.amount == 9


@pytest.mark.one_database
def test_freshness_says_how_far_each_clock_reaches(world: World, govern: Govern) -> None:
    with govern.unit_of_work.reading() as session:
        assert queries.freshness(session) == queries.Freshness(None, None, None, None, None)
    pull(govern, Reported([used("2026-03-10T11:00")], [billed("2026-03-08", "1")]))
    with govern.unit_of_work.reading() as session:
        fresh = queries.freshness(session)
    assert fresh.billed_to == date(2026, 3, 9)
    assert fresh.settled_to == date(2026, 3, 7)
    assert fresh.estimated_until is not None
    assert datetime(2026, 3, 10, 12, tzinfo=UTC) <= fresh.estimated_until < datetime(2026, 3, 10, 12, 5, tzinfo=UTC)
