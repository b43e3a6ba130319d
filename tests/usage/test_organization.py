"""The sync against the fake organization over its real API: ties to the bill, survives its bad days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core.errors import ProviderError
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.keys.queries import newest_version
from govern.usage import queries
from govern.usage.models import CostFact, CostSeries, Reason
from govern.usage.names import By
from govern.usage.queries import View
from govern.usage.rules import midnight
from govern.usage.sync import run_costs, run_usage
from govern.usage_ports import USAGE_ENDPOINTS
from tests.given import EVE, World
from tests.usage.reported import CHAT, MODEL

if TYPE_CHECKING:
    from govern.bootstrap import Govern

START, END = date(2026, 3, 4), date(2026, 3, 11)


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[Any]:
    with freeze_time("2026-03-10T12:00:00") as clock:
        yield clock


@pytest.fixture(params=["2026-08", "2026-11"])
def openai(request: pytest.FixtureRequest, at_noon: Any) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=8, projects=3, months=1, seed=5), generation=request.param)


def pull(govern: Govern, endpoints: tuple[str, ...] = CHAT) -> dict[str, int]:
    """Both clocks; the report of the costs."""
    source = govern.need_outside().usage
    run_usage(govern.unit_of_work, source, trailing_days=3, backfill_days=6, endpoints=endpoints)
    return run_costs(govern.unit_of_work, source, trailing_days=3, backfill_days=6)


def bill(openai: FakeOpenAI) -> Decimal:
    """The organization's own total, asked for without any grouping and added up here."""
    query = {"start_time": int(midnight(START).timestamp()), "limit": 60}
    with httpx.Client(transport=httpx.WSGITransport(app=openai.app), base_url="http://openai.test/v1") as client:
        answer = client.get("/organization/costs", params=query, headers={"authorization": f"Bearer {openai.admin_key}"})
    assert answer.status_code == 200
    found = answer.json()
    assert not found["has_more"]
    amounts = (Decimal(str(row["amount"]["value"])) for bucket in found["data"] for row in bucket["results"])
    return sum(amounts, Decimal(0))


def total(govern: Govern, view: View = View.BILLED) -> Decimal:
    with govern.unit_of_work.reading() as session:
        return queries.totals(session, START, END, view=view).whole.amount


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0001"))


def test_what_is_billed_ties_to_the_organizations_own_total(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    pull(govern, USAGE_ENDPOINTS)
    assert total(govern) > 0
    assert cents(total(govern)) == cents(bill(openai))
    with govern.unit_of_work.reading() as session:
        parts = queries.totals(session, START, END, view=View.BILLED)
        people = queries.lines(session, START, END, by=[By.PERSON], view=View.BILLED)
    assert parts.people + parts.projects + parts.unattributed == parts.whole.amount
    assert any(line.ids[By.PERSON] for line in people)


@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_restated_days_follow_the_bill(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    pull(govern)
    openai.restate("2026-03-08", factor="0.5")
    openai.restate("2026-03-09", factor="1.25")
    pull(govern)
    assert cents(total(govern)) == cents(bill(openai))
    openai.restate("2026-03-09", factor=0)
    pull(govern)
    assert cents(total(govern)) == cents(bill(openai))


@pytest.mark.one_database
@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_amounts_as_text_are_the_same_amounts(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    pull(govern)
    openai.behaviour.string_amounts = True
    assert pull(govern)["written"] == 0


@pytest.mark.one_database
@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_a_bad_answer_never_leaves_a_wrong_figure(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    """Whatever the fault: either the figures are right after the run, or nothing changed; and the next run puts it right."""
    world.synced()
    pull(govern)
    for kind in ("dup_page", "cursor_400", "reorder", "truncate", "bad_json", "status:500", "stuck_cursor", "skip_item"):
        before = total(govern)
        openai.spend(project="Search", usd=5, on="2026-03-09", model=MODEL)
        openai.fault("usage.costs", kind=kind)
        try:
            pull(govern)
        except ProviderError:
            assert total(govern) == before, kind
        openai.clear_faults()
        pull(govern)
        assert cents(total(govern)) == cents(bill(openai)) == cents(before + 5), kind


@pytest.mark.one_database
@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_spend_shows_on_both_clocks_at_its_price(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    pull(govern)
    before = {view: total(govern, view) for view in View}
    openai.spend(project="Search", usd=85, on="2026-03-09", model=MODEL)
    pull(govern)
    grown = {view: total(govern, view) - before[view] for view in View}
    assert cents(grown[View.BILLED]) == 85
    assert abs(grown[View.ESTIMATED] - 85) < Decimal("0.001")


@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_a_key_that_we_issued_is_billed_to_its_person(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    key = world.key(EVE)
    with govern.unit_of_work.reading() as session:
        remote_id = newest_version(session, key.id).remote_id
    openai.spend(usd=7, api_key_id=remote_id, model=MODEL)
    pull(govern)
    with govern.unit_of_work.reading() as session:
        only = queries.Only(key_id=key.id)
        (line,) = queries.lines(session, START, END, by=[By.PERSON, By.KEY], view=View.BILLED, only=only)
    assert (line.ids[By.PERSON], line.figure.amount) == (world.person(EVE).id, 7)


@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_costs_that_openai_kept_no_keys_for_stay_with_their_projects(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    """By key from some day on only: days before are read without, days since with, and what was refused is not asked again."""
    openai.behaviour.costs_by_key_since = "2026-03-07"
    world.synced()
    pull(govern)
    assert cents(total(govern)) == cents(bill(openai))
    with govern.unit_of_work.reading() as session:
        rows = session.execute(
            sa.select(CostFact.day, CostSeries.api_key_remote_id, CostSeries.reason).join(
                CostSeries, CostSeries.id == CostFact.series_id
            )
        ).all()
    keyed = {day for day, key, _ in rows if key}
    assert min(keyed) == date(2026, 3, 7)
    assert {day for day, _, _ in rows} - keyed == {date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 6)}
    assert {reason for day, _, reason in rows if day not in keyed} == {Reason.NO_KEY}
    refused = sum(request.status == 400 for request in openai.oracle().requests)
    pull(govern)
    assert sum(request.status == 400 for request in openai.oracle().requests) == refused


@pytest.mark.one_database
@pytest.mark.parametrize("openai", ["2026-11"], indirect=True)
def test_hours_are_stored_as_hours(world: World, govern: Govern, openai: FakeOpenAI) -> None:
    world.synced()
    report = run_usage(govern.unit_of_work, govern.need_outside().usage, trailing_days=3, backfill_days=6, endpoints=CHAT)
    again = run_usage(govern.unit_of_work, govern.need_outside().usage, trailing_days=3, backfill_days=6, endpoints=CHAT)
    assert report["written"] > 100
    assert (again["written"], again["removed"], again["unchanged"]) == (0, 0, 4)
    with govern.unit_of_work.reading() as session:
        fresh = queries.freshness(session)
    assert fresh.estimated_until == datetime(2026, 3, 10, 12, tzinfo=UTC)
