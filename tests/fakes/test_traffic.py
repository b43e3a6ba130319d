"""Seeded traffic, usage and costs: the same total however one asks, and costs that are usage times the price table."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.openai.catalogue import MODELS
from govern.fakes.openai.traffic import seeded_factor
from tests.fakes.conftest import Client, issue, project_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = 86_400
START = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp())


def world(**more: Any) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=40, projects=8, months=2, seed=7), now=lambda: NOON, **more)


@pytest.fixture(scope="module")
def seeded() -> FakeOpenAI:
    return world()


def ask(http: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All buckets of all pages, money as Decimal."""
    buckets: list[dict[str, Any]] = []
    query.setdefault("start_time", START)
    while True:
        answer = http.get(f"organization/{path}", params=query)
        assert answer.status_code == 200, answer.text
        page = json.loads(answer.text, parse_float=Decimal)
        buckets += page["data"]
        if not page["has_more"]:
            return buckets
        query["page"] = page["next_page"]


def total(buckets: list[dict[str, Any]], name: str) -> Any:
    return sum(result[name] for bucket in buckets for result in bucket["results"])


def money(buckets: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(result["amount"]["value"]) for bucket in buckets for result in bucket["results"]), Decimal(0))


@pytest.mark.parametrize("measure", ["input_tokens", "output_tokens", "input_cached_tokens", "num_model_requests"])
def test_minutes_add_up_to_hours_and_hours_to_days(seeded: FakeOpenAI, client: Client, measure: str) -> None:
    http, day = client(seeded), START + 9 * DAY
    days = ask(http, "usage/completions", start_time=day, end_time=day + DAY)
    hours = ask(http, "usage/completions", start_time=day, end_time=day + DAY, bucket_width="1h", limit=24)
    minutes = ask(http, "usage/completions", start_time=day, end_time=day + DAY, bucket_width="1m", limit=700)
    assert (len(days), len(hours), len(minutes)) == (1, 24, 1_440)
    assert total(days, measure) == total(hours, measure) == total(minutes, measure) > 0


def test_a_day_cut_anywhere_adds_up(seeded: FakeOpenAI, client: Client) -> None:
    http, day = client(seeded), START + 9 * DAY
    cut = day + 40_020
    parts = [(day, cut), (cut, day + DAY)]
    halves = [total(ask(http, "usage/completions", start_time=low, end_time=high), "output_tokens") for low, high in parts]
    assert sum(halves) == total(ask(http, "usage/completions", start_time=day, end_time=day + DAY), "output_tokens")
    assert all(halves)


def test_every_grouping_adds_up_to_the_same(seeded: FakeOpenAI, client: Client) -> None:
    http = client(seeded)
    whole = ask(http, "usage/completions", limit=31)
    for groups in (
        ["model"],
        ["project_id"],
        ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"],
    ):
        grouped = ask(http, "usage/completions", limit=31, **{"group_by[]": groups})
        assert total(grouped, "input_tokens") == total(whole, "input_tokens")
        named = {name for name in grouped[3]["results"][0] if grouped[3]["results"][0][name] is not None}
        assert named >= set(groups) - {"user_id", "api_key_id"}
    assert whole[3]["results"][0]["project_id"] is None


def test_a_filter_takes_its_share_and_leaves_its_dimension_null(seeded: FakeOpenAI, client: Client) -> None:
    http = client(seeded)
    by_project = ask(http, "usage/completions", limit=31, group_by="project_id")
    shares = {}
    for id in {result["project_id"] for bucket in by_project for result in bucket["results"]}:
        alone = ask(http, "usage/completions", limit=31, project_ids=id)
        assert {result["project_id"] for bucket in alone for result in bucket["results"]} == {None}
        shares[id] = total(alone, "output_tokens")
    assert sum(shares.values()) == total(by_project, "output_tokens")
    assert len(shares) > 3


def test_input_is_the_sum_of_its_parts(seeded: FakeOpenAI, client: Client) -> None:
    for bucket in ask(client(seeded), "usage/completions", limit=31, group_by="api_key_id"):
        for row in bucket["results"]:
            parts = row["input_uncached_tokens"] + row["input_cached_tokens"] + row["input_cache_write_tokens"]
            assert row["input_tokens"] == parts


def test_weekdays_are_busier_than_weekends(seeded: FakeOpenAI, client: Client) -> None:
    usage = ask(client(seeded), "usage/completions", limit=14, end_time=START + 14 * DAY, batch="false")
    requests = [sum(row["num_model_requests"] for row in bucket["results"]) for bucket in usage]
    assert min(requests[0:5]) > max(requests[5:7])  # the second of November is a Monday


def test_costs_are_usage_times_the_price_table(seeded: FakeOpenAI, client: Client) -> None:
    """Computed here from usage alone, independently of the code that prices."""
    http, end = client(seeded), START + 14 * DAY
    expected: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    groups = {"group_by[]": ["project_id", "model", "batch", "service_tier"]}
    usage = [b for path in ("completions", "decisions") for b in ask(http, f"usage/{path}", limit=14, end_time=end, **groups)]
    parts = ("input_uncached_tokens", "input_cached_tokens", "input_cache_write_tokens", "output_tokens")
    for bucket in usage:
        for row in bucket["results"]:
            factor = (
                Decimal("0.5") if row["batch"] else {"flex": Decimal("0.5"), "priority": Decimal(2)}.get(row["service_tier"], 1)
            )
            prices = MODELS[row["model"]].prices
            for part, price in zip(parts, prices, strict=True):
                expected[bucket["start_time"], row["project_id"]] += row[part] * price * factor
    costs = ask(http, "costs", limit=14, end_time=end, **{"group_by[]": ["project_id", "line_item"]})
    billed: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for bucket in costs:
        for row in bucket["results"]:
            if row["line_item"].startswith(("gpt-5", "gpt-6", "gpt-4o", "o4")):
                billed[bucket["start_time"], row["project_id"]] += Decimal(row["amount"]["value"])
    assert billed == expected
    assert sum(billed.values()) > 0


def test_costs_add_up_over_every_grouping_to_the_last_digit(seeded: FakeOpenAI, client: Client) -> None:
    http = client(seeded)
    whole = money(ask(http, "costs", limit=31))
    for groups in (["line_item"], ["project_id"], ["api_key_id", "project_id", "line_item"], ["user_id"], ["api_source"]):
        assert money(ask(http, "costs", limit=31, **{"group_by[]": groups})) == whole > 0


def test_a_line_item_has_quantity_and_unit_and_can_be_asked_for(seeded: FakeOpenAI, client: Client) -> None:
    http = client(seeded)
    rows = [row for bucket in ask(http, "costs", limit=31, group_by="line_item") for row in bucket["results"]]
    assert {row["quantity_unit"] for row in rows} >= {"tokens", "images", "gibibyte_hours", None}
    item = "gpt-6-astra, output_tokens"
    one = ask(http, "costs", limit=31, line_items=item, group_by="line_item")
    assert {row["line_item"] for bucket in one for row in bucket["results"]} == {item}
    for row in one[3]["results"]:
        assert Decimal(row["amount"]["value"]) > 0
    assert all(row["quantity"] is None for bucket in ask(http, "costs", limit=31) for row in bucket["results"])


def test_costs_stay_behind_usage(client: Client) -> None:
    fake = world(cost_lag_hours=20)
    http, today = client(fake), int(NOON.timestamp()) // DAY * DAY
    usage = total(ask(http, "usage/completions", start_time=today), "output_tokens")
    assert usage > 0
    assert money(ask(http, "costs", start_time=today)) == 0
    partly = money(ask(http, "costs", start_time=today - DAY, end_time=today))
    fake.advance(timedelta(days=1))
    assert money(ask(http, "costs", start_time=today - DAY, end_time=today)) > partly > 0


def test_some_days_are_restated_when_late_records_arrive(client: Client) -> None:
    org = world().org
    day = next(d for d in range(START // DAY, START // DAY + 18) if seeded_factor(org, d, (d + 1) * DAY) != (1, 1))
    clock = [datetime.fromtimestamp((day + 1) * DAY + 600, UTC)]
    fake = FakeOpenAI(WorldSpec(people=40, projects=8, months=2, seed=7), now=lambda: clock[0], cost_lag_hours=0)
    span = {"start_time": day * DAY, "end_time": (day + 1) * DAY}
    http = client(fake)
    first = total(ask(http, "usage/completions", **span), "input_tokens"), money(ask(http, "costs", **span))
    clock[0] += timedelta(days=3)
    later = total(ask(http, "usage/completions", **span), "input_tokens"), money(ask(http, "costs", **span))
    assert 0 < first[0] < later[0]
    assert 0 < first[1] < later[1]


def test_restating_a_day_changes_usage_and_costs_alike(small: FakeOpenAI, client: Client) -> None:
    day = (small.org.clock.now() - timedelta(days=2)).date()
    small.spend(project="search", usd="12.34", on=day)
    small.spend(project="support bot", usd=10, on=day)
    small.restate(day, factor="0.5", project="search")
    http, start = client(small), int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    rows = ask(http, "costs", start_time=start, group_by="project_id")[0]["results"]
    found = {row["project_id"]: Decimal(row["amount"]["value"]) for row in rows}
    assert found == {project_of(small): Decimal("6.17"), project_of(small, "Support bot"): Decimal(10)}
    small.restate(day, factor=0)
    assert money(ask(http, "costs", start_time=start)) == 0


def test_added_spend_is_exact_and_attributed(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    made = issue(small, http)
    small.spend(usd="0.123456789", api_key_id=made["api_key"]["id"])
    start = small.org.clock.seconds() // DAY * DAY
    row = ask(http, "costs", start_time=start, **{"group_by[]": ["api_key_id", "project_id", "line_item"]})[0]["results"][0]
    assert Decimal(row["amount"]["value"]) == Decimal("0.123456789")
    assert (row["api_key_id"], row["project_id"]) == (made["api_key"]["id"], project_of(small))
    usage = ask(http, "usage/completions", start_time=start, group_by="api_key_id")[0]["results"][0]
    assert usage["output_tokens"] == 8_230  # at 15 dollars a million


def test_spend_of_a_day_to_come_shows_when_it_has_come(small: FakeOpenAI, client: Client) -> None:
    tomorrow = small.org.clock.now() + timedelta(days=1)
    small.spend(project="search", usd=5, on=tomorrow.date())
    http, start = client(small), small.org.clock.seconds() // DAY * DAY
    span = {"start_time": start, "end_time": start + 3 * DAY}
    assert money(ask(http, "costs", **span)) == 0
    small.advance(timedelta(days=2))
    assert money(ask(http, "costs", **span)) == 5


def test_traffic_ends_with_its_key_and_goes_on_with_time(client: Client) -> None:
    fake = world()
    http = client(fake)
    today = int(NOON.timestamp()) // DAY * DAY
    busy = ask(http, "usage/completions", start_time=today - 7 * DAY, limit=8, group_by="api_key_id")
    counts: dict[str, int] = defaultdict(int)
    for bucket in busy:
        for row in bucket["results"]:
            counts[row["api_key_id"] or ""] += row["num_model_requests"]
    id = max(counts, key=lambda key: counts[key])
    fake.disable_key(id)
    before = total(ask(http, "usage/completions", start_time=today - 7 * DAY, api_key_ids=id, limit=8), "num_model_requests")
    fake.advance(timedelta(days=5))
    after = total(ask(http, "usage/completions", start_time=today - 7 * DAY, api_key_ids=id, limit=31), "num_model_requests")
    assert after == before > 0
    assert total(ask(http, "usage/completions", start_time=today + DAY), "num_model_requests") > 0


@pytest.mark.parametrize(("amounts", "kind"), [(False, Decimal), (True, str)])
def test_amounts_are_numbers_or_strings(small: FakeOpenAI, client: Client, amounts: bool, kind: type) -> None:
    small.behaviour.string_amounts = amounts
    small.spend(project="search", usd="1.5")
    row = ask(client(small), "costs", start_time=small.org.clock.seconds() // DAY * DAY)[0]["results"][0]
    assert type(row["amount"]["value"]) is kind


def test_the_generations_word_line_items_differently(client: Client) -> None:
    older = FakeOpenAI(WorldSpec(projects=1), generation="2026-08")
    older.spend(project="search", usd=1)
    rows = ask(client(older), "costs", start_time=older.org.clock.seconds() // DAY * DAY, group_by="line_item")[0]["results"]
    assert rows[0]["line_item"] == "gpt-5.4-2026-03-05, output"
    answer = client(older).get("organization/costs", params={"start_time": START, "group_by": "user_id"})
    assert answer.status_code == 400
