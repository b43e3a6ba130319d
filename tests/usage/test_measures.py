"""Nothing that a row says is lost, and plain text traffic stays narrow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from govern.usage.measures import Measures, detail_of, pack

TEXT = {
    "input_tokens": 1000, "input_uncached_tokens": 500, "input_cached_tokens": 400, "input_cache_write_tokens": 100,
    "input_text_tokens": 500, "input_cached_text_tokens": 400, "input_audio_tokens": 0, "input_image_tokens": 0,
    "output_tokens": 50, "output_text_tokens": 50, "num_model_requests": 7,
}  # fmt: skip


def test_text_traffic_has_no_detail() -> None:
    assert pack(TEXT) == Measures(7, 1000, 400, 100, 50, 0, "")


def test_audio_and_what_it_takes_from_text_is_kept() -> None:
    row = pack(TEXT | {"input_audio_tokens": 300, "input_text_tokens": 200})
    assert detail_of(row.detail) == {"input_audio_tokens": 300, "input_text_tokens": 200}


def test_a_measure_that_nobody_heard_of_is_kept() -> None:
    assert detail_of(pack(TEXT | {"input_smell_tokens": 3}).detail) == {"input_smell_tokens": 3}


def test_the_unit_of_other_endpoints_is_the_quantity() -> None:
    assert pack({"images": 4, "num_model_requests": 2}) == Measures(requests=2, quantity=4)
    assert pack({"num_sessions": 9}) == Measures(quantity=9)
    assert pack({"num_requests": 3, "num_model_requests": 2}) == Measures(requests=2, quantity=3)


_NAMES = [*sorted(TEXT), "output_audio_tokens", "something_new", "images", "characters"]


@given(st.dictionaries(st.sampled_from(_NAMES), st.integers(0, 10**12)))
def test_every_number_can_be_read_back(measures: dict[str, int]) -> None:
    row = pack(measures)
    detail = detail_of(row.detail)
    uncached = row.input_tokens - row.cached_tokens - row.cache_write_tokens
    implied = {
        "num_model_requests": row.requests, "input_tokens": row.input_tokens, "input_cached_tokens": row.cached_tokens,
        "input_cache_write_tokens": row.cache_write_tokens, "output_tokens": row.output_tokens, "images": row.quantity,
        "input_uncached_tokens": uncached, "input_text_tokens": uncached, "input_cached_text_tokens": row.cached_tokens,
        "output_text_tokens": row.output_tokens, "characters": row.quantity if "images" not in measures else 0,
    }  # fmt: skip
    for name, value in measures.items():
        assert detail.get(name, implied.get(name, 0)) == value, name
