"""Nothing that OpenAI says is lost, plain text traffic stays narrow, and the quick way and the thorough way agree."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.openai.usage_rows import _any, _plain, cost_row, usage_row

TEXT = {
    "object": "organization.usage.completions.result", "project_id": "proj_a", "user_id": None, "api_key_id": "key_a",
    "model": "gpt-x", "batch": False, "service_tier": "default",
    "input_tokens": 1000, "input_uncached_tokens": 500, "input_cached_tokens": 400, "input_cache_write_tokens": 100,
    "input_text_tokens": 500, "input_cached_text_tokens": 400, "input_audio_tokens": 0, "input_image_tokens": 0,
    "output_tokens": 50, "output_text_tokens": 50, "num_model_requests": 7,
}  # fmt: skip


def detail(row: Any) -> dict[str, int]:
    return json.loads(row.detail) if row.detail else {}


def test_text_traffic_has_no_detail() -> None:
    assert usage_row(TEXT) == ("proj_a", "", "key_a", "gpt-x", "false", "default", "", 7, 1000, 400, 100, 50, 0, "")


def test_audio_and_what_it_takes_from_text_is_kept() -> None:
    row = usage_row(TEXT | {"input_audio_tokens": 300, "input_text_tokens": 200})
    assert detail(row) == {"input_audio_tokens": 300, "input_text_tokens": 200}


def test_a_measure_that_nobody_heard_of_is_kept() -> None:
    assert detail(usage_row(TEXT | {"input_smell_tokens": 3})) == {"input_smell_tokens": 3}


@pytest.mark.parametrize(
    ("measures", "requests", "quantity"),
    [
        ({"images": 4, "num_model_requests": 2}, 2, 4),
        ({"num_sessions": 9}, 0, 9),
        ({"num_requests": 3, "num_model_requests": 2}, 2, 3),
    ],
)
def test_the_unit_of_other_endpoints_is_the_quantity(measures: dict[str, int], requests: int, quantity: int) -> None:
    row = usage_row({"object": "organization.usage.images.result", **measures})
    assert (row.requests, row.quantity, row.detail) == (requests, quantity, "")


@pytest.mark.parametrize(
    ("odd", "extra"),
    [
        ({"output_tokens": "50"}, {"output_tokens": "50"}),
        ({"input_tokens": Decimal("0.5")}, {"input_tokens": "0.5"}),
        ({"output_tokens": 10**30}, {"output_tokens": "1" + "0" * 30}),
        ({"batch": "maybe"}, {}),
        ({"object": "something.new"}, {"object": "something.new"}),
        ({"nested": {"a": 1}, "flag": True}, {"nested": '{"a": 1}', "flag": "true"}),
        ({"project_id": 7}, {}),
        ({"api_source": "agents_api"}, {"api_source": "agents_api"}),
    ],
)
def test_whatever_is_odd_is_kept_and_never_stops_anything(odd: dict[str, Any], extra: dict[str, str]) -> None:
    row = usage_row(TEXT | odd)
    assert json.loads(row.extra or "{}") == extra
    assert row.batch == ("maybe" if "batch" in odd else "false")
    assert all(abs(number) < 2**63 for number in row[7:13])
    if "project_id" in odd:
        assert detail(row) == {"project_id": 7}


_NAMES = [*sorted(name for name, value in TEXT.items() if type(value) is int), "output_audio_tokens", "something_new", "images"]


@given(st.dictionaries(st.sampled_from(_NAMES), st.integers(-10, 10**12)))
def test_every_number_can_be_read_back_and_both_ways_agree(measures: dict[str, int]) -> None:
    result = {"object": "organization.usage.completions.result", "model": "gpt-x", "batch": None, **measures}
    row = _any(result)
    assert _plain(result) in (None, row)
    kept, uncached = detail(row), row.input_tokens - row.cached_tokens - row.cache_write_tokens
    implied = {
        "num_model_requests": row.requests, "input_tokens": row.input_tokens, "input_cached_tokens": row.cached_tokens,
        "input_cache_write_tokens": row.cache_write_tokens, "output_tokens": row.output_tokens, "images": row.quantity,
        "input_uncached_tokens": uncached, "input_text_tokens": uncached, "input_cached_text_tokens": row.cached_tokens,
        "output_text_tokens": row.output_tokens,
    }  # fmt: skip
    for name, value in measures.items():
        assert kept.get(name, implied.get(name, 0)) == value, name


def test_costs_keep_what_nobody_heard_of() -> None:
    row = cost_row(
        {
            "object": "organization.costs.result", "amount": {"value": "-1.25", "currency": "EUR"}, "line_item": None,
            "quantity": Decimal("0.5"), "quantity_unit": {"odd": 1}, "region": "moon", "user_id": "user_1", "project_id": None,
        }
    )  # fmt: skip
    assert row == ("", "", "", Decimal("-1.25"), "eur", Decimal("0.5"), '{"odd": 1}', "user_1", '{"region":"moon"}')
