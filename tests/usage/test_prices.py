"""The price book: found by model and day, exact, and never silently free."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from govern.core.errors import InvalidInput
from govern.core.uow import UnitsOfWork
from govern.fakes.openai.catalogue import MODELS
from govern.usage import queries
from govern.usage.measures import Measures
from govern.usage.names import By
from govern.usage.prices import Learned, Price, PriceBook, load_prices
from govern.usage.questions import View
from govern.usage.rules import BY_ENDPOINT
from govern.usage.sync import run_costs, run_usage
from tests.usage.reported import CHAT, MODEL, Reported, billed, used

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


UNITS = """
[[price]]
model = "img"
from = 2026-01-01
unit = 0.04

[[price]]
endpoint = "web_search_calls"
from = 2026-01-01
unit = 10
per = 1000
"""


def test_what_is_not_counted_in_tokens_has_a_price_by_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(BOOK + UNITS)
    book = load_prices(path)
    image, call = book.find("img", DAY, "images"), book.find("gpt-x", DAY, "web_search_calls")
    assert image is not None
    assert call is not None
    assert image.of(Measures(requests=2, quantity=3)) == Decimal("0.12")
    assert call.of(Measures(quantity=7)) == Decimal("0.07")  # whichever model called
    assert book.find("", DAY, "vector_stores") is None


def test_every_price_that_comes_with_the_service_can_be_read_and_the_fakes_models_have_one() -> None:
    book = load_prices()
    for name, model in MODELS.items():
        price = book.find(name, DAY, model.endpoint)
        assert price is not None, name
    assert all(book.find("", DAY, endpoint) for endpoint in BY_ENDPOINT)


class TestLearning:
    """What a settled bill teaches."""

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[Any]:
        with freeze_time("2026-03-10T12:00:00") as clock:
            yield clock

    def pull(self, unit_of_work: UnitsOfWork, source: Reported) -> dict[str, int]:
        run_usage(unit_of_work, source, trailing_days=3, backfill_days=9, endpoints=CHAT)
        return run_costs(unit_of_work, source, trailing_days=3, backfill_days=9)

    def estimated(self, unit_of_work: UnitsOfWork, day: int, model: str) -> Decimal:
        with unit_of_work.reading() as session:
            lines = queries.lines(session, date(2026, 3, day), date(2026, 3, day + 1), by=[By.MODEL], view=View.ESTIMATED)
        return next((line.figure.amount for line in lines if line.ids[By.MODEL] == model), Decimal(0))

    @pytest.mark.one_database
    def test_a_price_that_is_off_is_corrected_for_later_days_only(self, unit_of_work: UnitsOfWork) -> None:
        source = Reported(
            [used(f"2026-03-{day:02d}T10:00") for day in range(1, 11)],
            [billed(f"2026-03-{day:02d}", "0.18") for day in range(1, 7)],
        )
        assert self.pull(unit_of_work, source)["prices"] == 1
        assert self.estimated(unit_of_work, 6, MODEL) == Decimal("0.15")
        assert self.estimated(unit_of_work, 9, MODEL) == Decimal("0.18")
        assert self.pull(unit_of_work, source)["prices"] == 0

    def test_a_model_without_a_price_gets_the_one_that_it_was_billed_at(self, unit_of_work: UnitsOfWork) -> None:
        item = "gpt-99"
        source = Reported(
            [used(f"2026-03-{day:02d}T10:00", model=item, output_tokens=500_000) for day in range(1, 11)],
            [
                billed(f"2026-03-{day:02d}", amount, item=f"{item}, {part}", quantity=quantity)
                for day in range(1, 7)
                for part, amount, quantity in (("input_tokens", "2", 1_000_000), ("output_tokens", "4", 500_000))
            ],
        )
        assert self.pull(unit_of_work, source)["prices"] == 2
        assert self.estimated(unit_of_work, 9, item) == 6
        assert self.estimated(unit_of_work, 5, item) == 0  # that day is billed already, and was never estimated
        with unit_of_work.reading() as session:
            assert queries.unpriced_models(session, date(2026, 3, 7), date(2026, 3, 11)) == {}
            assert queries.unpriced_models(session, date(2026, 3, 1), date(2026, 3, 7)) == {item: 6 * 1_500_000}

    @pytest.mark.one_database
    @pytest.mark.parametrize("days", [(1, 2), ()])
    def test_too_few_days_teach_nothing(self, unit_of_work: UnitsOfWork, days: tuple[int, ...]) -> None:
        rows = [billed(f"2026-03-{day:02d}", "0.30") for day in days]
        source = Reported([used(f"2026-03-{day:02d}T10:00") for day in (*days, 9)], rows)
        assert self.pull(unit_of_work, source)["prices"] == 0

    def test_a_price_that_was_entered_after_the_lesson_is_believed(self) -> None:
        lesson = Learned(date(2026, 2, 1), date(2026, 2, 10), factor=Decimal(3))
        old, new = (Price("m", since, *[Decimal(1)] * 6) for since in (date(2026, 1, 1), date(2026, 2, 20)))
        book = PriceBook([old, new], {"m": lesson})
        assert [(book.find("m", date(2026, 2, day)) or old).input for day in (10, 11, 19, 20)] == [1, 3, 3, 1]
