"""From OpenAI's ids to people, projects' own and unattributed; the parts always add up to the bill."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from govern.keys.models import KeyVersion
from govern.usage import queries
from govern.usage.models import Basis, CostSeries, UsageSeries
from govern.usage.names import By
from govern.usage.queries import Only, View
from govern.usage.sync import run_costs, run_usage
from govern.usage_ports import CostRow
from tests.given import ADA, EVE, World
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


def test_a_personal_key_leads_to_its_owner(world: World, govern: Govern) -> None:
    world.synced()
    api_key, _ = world.openai.make_personal_key(EVE, "Search")
    world.synced()
    pull(govern, Reported([used("2026-03-09T10:00", key=api_key)], [billed("2026-03-09", "3", key=api_key)]))
    assert people(govern) == {world.person(EVE).id: 3}


def test_usage_without_a_known_key_leads_to_the_user_and_costs_to_the_project(world: World, govern: Govern) -> None:
    eve_at_openai = next(member.id for member in world.synced().openai.oracle().members() if member.email == EVE)
    pull(govern, Reported([used("2026-03-09T10:00", key=None, user=eve_at_openai)], [billed("2026-03-09", "0.01", key=None)]))
    with govern.unit_of_work.reading() as session:
        estimated = queries.totals(session, *MARCH, view=View.ESTIMATED)
        bill = queries.totals(session, *MARCH, view=View.BILLED)
    assert (estimated.people, bill.people) == (Decimal("0.15"), 0)
    assert bill.projects == Decimal("0.01")


def test_a_service_account_that_is_not_ours_stays_with_the_project(world: World, govern: Govern) -> None:
    project = world.synced().project("Search")
    made = govern.need_outside().issuer.create(project.remote_id, "somebody else's bot", 86_400)
    world.synced()
    eve_at_openai = next(member.id for member in world.openai.oracle().members() if member.email == EVE)
    pull(govern, Reported([used("2026-03-09T10:00", key=made.key_id, user=eve_at_openai, project=project.remote_id)]))
    with govern.unit_of_work.reading() as session:
        assert set(session.scalars(sa.select(UsageSeries.basis))) == {Basis.PROJECT}


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


KEYS = (None, "ours", "eves own", "key_unknown")
PROJECTS = (None, "proj_known", "proj_gone")


@st.composite
def bills(draw: st.DrawFn) -> list[tuple[int, int, int, int, Decimal]]:
    """(day of March, key, project, item, amount); each combination once, as OpenAI groups them."""
    places = draw(st.sets(st.tuples(st.integers(1, 10), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=25))
    amounts = st.decimals("-50", "5000", places=9, allow_nan=False)
    return [(*place, draw(amounts)) for place in sorted(places)]


def test_people_projects_and_unattributed_add_up_to_the_bill(world: World, govern: Govern) -> None:
    """Whatever is billed, restated or gone: for closed days the parts are the whole, to the last digit."""
    project = world.synced().project("Search")
    own, _ = world.openai.make_personal_key(EVE, "Search")
    keys = ("", remote_id(govern, world.key(EVE).id), own, "key_unknown")
    world.synced()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bills())
    def check(bill: list[tuple[int, int, int, int, Decimal]]) -> None:
        places = ("", project.remote_id, "proj_gone")
        items = (f"{MODEL}, input", "web search tool calls", "")
        rows = [
            Billed(date(2026, 3, day), CostRow(places[place], keys[key], items[item], amount))
            for day, key, place, item, amount in bill
        ]
        run_costs(govern.unit_of_work, Reported([], rows), trailing_days=9, backfill_days=9)
        with govern.unit_of_work.reading() as session:
            found = queries.totals(session, *MARCH, view=View.BILLED)
            closed = queries.totals(session, date(2026, 3, 1), date(2026, 3, 7))
            by_person = queries.lines(session, *MARCH, by=[By.PERSON, By.PROJECT], view=View.BILLED)
        whole = sum((each.row.amount for each in rows), Decimal(0))
        assert found.people + found.projects + found.unattributed == found.whole.amount == whole
        assert sum((line.figure.amount for line in by_person), Decimal(0)) == whole
        assert closed.whole.amount == sum((each.row.amount for each in rows if each.at < date(2026, 3, 7)), Decimal(0))
        assert found.people == sum((each.row.amount for each in rows if each.row.api_key_id in keys[1:3]), Decimal(0))

    check()
    with govern.unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(CostSeries)) > 0


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
