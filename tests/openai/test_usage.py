"""Usage and costs: exact, complete, and cut into ranges that OpenAI accepts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from freezegun import freeze_time

from govern.core.errors import Unavailable
from govern.openai.failures import Oversized
from govern.openai.groupings import _OFFERED, BY_SOURCE, NEWER_ENDPOINTS
from govern.openai.usage import OpenAIUsage
from govern.usage_ports import USAGE_ENDPOINTS, CostRow, UsageRow
from tests.openai.conftest import Peer, PeerMaker
from tests.ticker import BEGIN

DAY = timedelta(days=1)
TODAY = BEGIN.date()


def rows_of(usage: OpenAIUsage, endpoint: str, start: datetime, end: datetime, width: str) -> list[tuple[datetime, UsageRow]]:
    return [(at, row) for at, rows in usage.usage(endpoint, start, end, width) for row in rows]


def costs_of(usage: OpenAIUsage, start: date, end: date) -> list[tuple[date, CostRow]]:
    return [(day, row) for day, rows in usage.costs(start, end) for row in rows]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.fixture
def busy(make_peer: PeerMaker) -> Peer:
    """Twenty people, two months of traffic."""
    return make_peer(people=20, projects=4, months=2)


@pytest.mark.parametrize("generation", ["2026-08", "2026-11"])
@pytest.mark.parametrize("endpoint", USAGE_ENDPOINTS)
def test_every_endpoint_is_read_with_all_that_it_groups_by(make_peer: PeerMaker, endpoint: str, generation: str) -> None:
    peer = make_peer(people=30, projects=6, months=2, generation=generation)
    for said in ("auto", generation):
        usage = OpenAIUsage(peer.client(generation=said))
        rows = rows_of(usage, endpoint, BEGIN - 35 * DAY, BEGIN, "1d")
        if endpoint in NEWER_ENDPOINTS and generation == "2026-08":
            assert rows == []
            continue
        if endpoint == "moderations":
            continue  # nobody in the seeded world moderates
        assert rows
        own = {"size", "source", "vector_store_id", "context_level"} & set(_OFFERED[endpoint])
        by_source = generation == "2026-11" and endpoint in BY_SOURCE
        for _, row in rows:
            assert any(row[7:13])
            assert all(value >= 0 for value in row[7:13])
            extra = json.loads(row.extra or "{}")
            assert own <= extra.keys() <= own | ({"api_source"} if by_source else set())
        assert len(rows) == len({(at, row[:7]) for at, row in rows})
    assert set(_OFFERED) == set(USAGE_ENDPOINTS)


def test_the_same_traffic_sums_up_alike_in_every_width(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    start, end = midnight(TODAY) - 9 * DAY, midnight(TODAY) - 7 * DAY
    sums = set()
    for width in ("1m", "1h", "1d"):
        rows = rows_of(usage, "completions", start, end, width)
        assert all(start <= at < end for at, _ in rows)
        sums.add((sum(row.input_tokens for _, row in rows), sum(row.requests for _, row in rows)))
    assert len(sums) == 1
    assert min(sums.pop()) > 0


def test_a_range_longer_than_a_page_is_cut_into_slices_without_gap_or_overlap(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    whole = list(usage.usage("completions", BEGIN - 50 * DAY, BEGIN, "1d"))
    days = [midnight((BEGIN - number * DAY).date()) for number in range(50, -1, -1)]
    single = [row for day in days for row in usage.usage("completions", day, min(day + DAY, BEGIN), "1d")]
    assert Counter(map(repr, whole)) == Counter(map(repr, single))


def test_a_start_inside_a_bucket_is_taken_down_to_its_beginning(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    day = midnight(TODAY) - 7 * DAY
    inside = list(usage.usage("completions", day + timedelta(hours=5), day + DAY, "1d"))
    assert inside == list(usage.usage("completions", day, day + DAY, "1d"))


@freeze_time(BEGIN)
def test_the_future_is_not_asked_for(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    asked = len(busy.fake.oracle().requests)
    assert list(usage.usage("completions", BEGIN + DAY, BEGIN + 2 * DAY, "1d")) == []
    assert len(busy.fake.oracle().requests) == asked
    rows = list(usage.usage("completions", midnight(TODAY), BEGIN + 400 * DAY, "1d"))
    assert {bucket.start for bucket in rows} <= {midnight(TODAY)}


def test_an_endpoint_or_a_width_that_cannot_be_is_our_mistake(peer: Peer) -> None:
    usage = OpenAIUsage(peer.client())
    with pytest.raises(ValueError, match="no usage"):
        list(usage.usage("../costs", BEGIN - DAY, BEGIN, "1d"))
    with pytest.raises(ValueError, match="no usage"):
        list(usage.usage("completions", BEGIN - DAY, BEGIN, "1w"))


def test_an_endpoint_that_openai_does_not_have_yet_has_no_usage(peer: Peer) -> None:
    assert list(OpenAIUsage(peer.client()).usage("telepathy", BEGIN - DAY, BEGIN, "1d")) == []


def test_costs_are_exact_decimals_and_add_up(peer: Peer) -> None:
    project = peer.open_project()
    for usd in ("0.1", "0.2", "0.000000123", "85"):
        peer.fake.spend(project=project, usd=Decimal(usd), on=TODAY - DAY)
    rows = costs_of(OpenAIUsage(peer.client()), TODAY - DAY, TODAY)
    assert sum(row.amount for _, row in rows) == Decimal("85.300000123")
    assert {(day, row.project_id, row.currency) for day, row in rows} == {(TODAY - DAY, project, "usd")}
    assert all(isinstance(row.amount, Decimal) and isinstance(row.quantity, Decimal) for _, row in rows)


@pytest.mark.parametrize("fault", ["string_amounts"])
def test_amounts_that_come_as_strings_are_the_same_money(busy: Peer, fault: str) -> None:
    usage = OpenAIUsage(busy.client())
    as_numbers = list(usage.costs(TODAY - 5 * DAY, TODAY))
    busy.fake.fault("usage.costs", kind=fault, times=0)
    assert list(usage.costs(TODAY - 5 * DAY, TODAY)) == as_numbers
    assert as_numbers


@freeze_time(BEGIN)
def test_a_year_of_costs_takes_few_calls_and_reaches_every_day(peer: Peer) -> None:
    days = [TODAY - DAY * number for number in (1, 100, 179, 180, 181, 360)]
    for day in days:
        peer.fake.spend(project=peer.open_project(), usd=1, on=day)
    rows = costs_of(OpenAIUsage(peer.client()), TODAY - 365 * DAY, TODAY + DAY)
    assert sorted(day for day, _ in rows) == sorted(days)
    assert peer.served("GET", "/costs") == 5  # by user as well was refused, for the whole range and for its newest day


def test_a_restated_day_reads_as_corrected(peer: Peer) -> None:
    peer.fake.spend(project=peer.open_project(), usd=100, on=TODAY - DAY)
    peer.fake.restate(TODAY - DAY, factor=Decimal("0.25"))
    assert sum(row.amount for _, row in costs_of(OpenAIUsage(peer.client()), TODAY - DAY, TODAY)) == 25


def test_a_bucket_that_comes_twice_is_not_counted_twice(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    whole = list(usage.usage("completions", BEGIN - 20 * DAY, BEGIN - 2 * DAY, "1d"))
    busy.fake.fault("usage.completions", kind="dup_page")
    assert list(usage.usage("completions", BEGIN - 20 * DAY, BEGIN - 2 * DAY, "1d")) == whole
    busy.fake.fault("usage.completions", kind="dup_page", times=0)
    with pytest.raises(Unavailable):
        list(usage.usage("completions", BEGIN - 20 * DAY, BEGIN - 2 * DAY, "1d"))


def test_nothing_of_a_slice_is_handed_out_before_all_of_it_was_read(busy: Peer) -> None:
    usage = OpenAIUsage(busy.client())
    busy.fake.fault("usage.completions", nth=2, kind="status:500", times=0)
    days = []

    def read() -> None:
        days.extend(bucket.start for bucket in usage.usage("completions", BEGIN - 50 * DAY, BEGIN, "1d"))

    with pytest.raises(Unavailable):
        read()
    assert len(set(days)) <= 31


def test_a_page_that_is_too_long_is_asked_for_in_parts_and_the_size_is_remembered(busy: Peer) -> None:
    usage, small = OpenAIUsage(busy.client()), OpenAIUsage(busy.client(), page_bytes=60_000)
    whole = list(usage.usage("completions", BEGIN - 30 * DAY, BEGIN, "1d"))
    before = busy.served("GET", "/completions")
    assert list(small.usage("completions", BEGIN - 30 * DAY, BEGIN, "1d")) == whole
    first = busy.served("GET", "/completions") - before
    assert list(small.usage("completions", BEGIN - 30 * DAY, BEGIN, "1d")) == whole
    second = busy.served("GET", "/completions") - before - first
    assert 1 < second < first
    with pytest.raises(Oversized):
        list(OpenAIUsage(busy.client(), page_bytes=500).usage("completions", BEGIN - 30 * DAY, BEGIN, "1d"))
