"""The price book: found by model and day, exact, and never silently free."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from govern.core.errors import InvalidInput
from govern.usage.measures import Measures
from govern.usage.prices import PriceBook, load_prices

BOOK = """
[[price]]
model = "gpt-x"
from = 2026-01-01
input = 2
cached_input = 0.2
output = 8.1

[[price]]
model = "gpt-x"
from = 2026-03-01
input = 1
output = 4

[[price]]
model = "gpt-x-2025-01-01"
from = 2026-01-01
input = 3
cache_write = 3.75
audio_input = 30
audio_output = 60
output = 9
batch = 0.4
tiers = { flex = 0.5 }
"""
DAY = date(2026, 2, 1)


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text(BOOK)
    return load_prices(path)


@pytest.mark.parametrize(
    ("model", "day", "price"),
    [
        ("gpt-x", "2026-02-28", "2"),
        ("gpt-x", "2026-03-01", "1"),  # the newer entry, from its first day on
        ("gpt-x", "2025-12-31", None),  # no price yet
        ("gpt-x-2026-02-02", "2026-02-01", "2"),  # a snapshot without an entry takes the family's
        ("gpt-x-2025-01-01", "2026-02-01", "3"),  # one with an entry keeps its own
        ("ft:gpt-x:acme::abc", "2026-02-01", None),  # a fine-tuned model costs more than its base: not the base's price
        ("gpt-xx", "2026-02-01", None),
        ("", "2026-02-01", None),
    ],
)
def test_the_most_particular_price_of_the_day_is_taken(book: PriceBook, model: str, day: str, price: str | None) -> None:
    found = book.find(model, date.fromisoformat(day))
    assert (found.input if found else None) == (Decimal(price) if price else None)


def test_a_fine_tuned_model_is_priced_by_its_base(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(BOOK.replace('model = "gpt-x-2025-01-01"', 'model = "ft:gpt-x"'))
    found = load_prices(path).find("ft:gpt-x-2026-02-02:acme::abc", DAY)
    assert found is not None
    assert found.input == Decimal(3)


@pytest.mark.parametrize(
    ("model", "measures", "detail", "batch", "tier", "cost"),
    [
        ("gpt-x", Measures(input_tokens=1_000_000), {}, False, "", "2"),
        ("gpt-x", Measures(input_tokens=1_000_000, cached_tokens=500_000), {}, False, "default", "1.1"),
        ("gpt-x", Measures(output_tokens=3), {}, False, "", "0.0000243"),
        ("gpt-x", Measures(output_tokens=1_000_000), {}, True, "", "4.05"),
        ("gpt-x", Measures(output_tokens=1_000_000), {}, False, "priority", "16.2"),
        ("gpt-x-2025-01-01", Measures(input_tokens=1_000_000, cache_write_tokens=1_000_000), {}, False, "", "3.75"),
        ("gpt-x-2025-01-01", Measures(input_tokens=1_000_000), {}, True, "flex", "1.2"),  # a batch has one discount, not two
        ("gpt-x-2025-01-01", Measures(input_tokens=1_000_000), {}, False, "priority", "3"),  # a tier without a share: full price
        (
            "gpt-x-2025-01-01", Measures(input_tokens=1_000_000, output_tokens=1_000_000),
            {"input_audio_tokens": 500_000, "output_audio_tokens": 1_000_000}, False, "", "76.5",
        ),
    ],
)  # fmt: skip
def test_what_measures_cost(
    *, book: PriceBook, model: str, measures: Measures, detail: dict[str, int], batch: bool, tier: str, cost: str
) -> None:
    price = book.find(model, DAY)
    assert price is not None
    assert price.of(measures, detail, batch=batch, tier=tier) == Decimal(cost)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not toml", "cannot be read"),
        ("x = 1", "list of"),
        ('[[price]]\nmodel = "a"\nfrom = 2026-01-01\ninput = 1', "lacks output"),
        ('[[price]]\nmodel = "a"\nfrom = 2026-01-01\ninput = 1\noutput = 1\nimput = 1', "unknown imput"),
        ('[[price]]\nmodel = "a"\nfrom = "today"\ninput = 1\noutput = 1', "needs a model"),
        ('[[price]]\nmodel = "a"\nfrom = 2026-01-01\ninput = -1\noutput = 1', "not negative"),
        ('[[price]]\nmodel = "a"\nfrom = 2026-01-01\ninput = "1"\noutput = 1', "must be a number"),
        ('[[price]]\nmodel = "a"\nfrom = 2026-01-01\ninput = 1\noutput = 1\ntiers = { x = true }', "must be a number"),
    ],
)
def test_a_broken_book_says_which_entry(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=complaint):
        load_prices(path)


def test_the_book_that_comes_with_the_service_knows_the_usual_models() -> None:
    book = load_prices()
    day = date(2026, 11, 1)
    for model in ("gpt-5.4-2026-03-05", "gpt-5.4-mini-2026-03-17", "gpt-4o-mini-2024-07-18", "o4-mini-2025-04-16"):
        price = book.find(model, day)
        assert price is not None, model
        assert price.cached_input <= price.input < price.output, model
