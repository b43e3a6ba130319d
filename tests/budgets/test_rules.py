"""Crossings, and what a budget may say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.budgets import rules
from govern.budgets.rules import calendar_of, crossed, percent
from govern.budgets.windows import Calendar, Period
from govern.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("spent", "reached", "used"),
    [
        ("0", [], 0),
        ("79.999999999", [], 79),
        ("80", [80], 80),
        ("80.000000001", [80], 80),
        ("99.999999999", [80], 99),
        ("100", [80, 100], 100),
        ("250.5", [80, 100, 250], 250),
        ("-5", [], -5),
    ],
)
def test_a_threshold_is_reached_exactly_at_its_share(spent: str, reached: list[int], used: int) -> None:
    assert crossed(Decimal(spent), Decimal(100), [250, 80, 100]) == reached
    assert percent(Decimal(spent), Decimal(100)) == used


@given(st.decimals("0", "1e6", places=9), st.decimals("0.01", "1e6", places=9), st.integers(1, 1000))
def test_the_percentage_shown_agrees_with_what_was_crossed(spent: Decimal, limit: Decimal, threshold: int) -> None:
    assert (percent(spent, limit) >= threshold) == bool(crossed(spent, limit, [threshold]))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (rules.check_name, ""), (rules.check_name, " "), (rules.check_name, "x" * 201), (rules.check_name, "a\x00b"),
        (rules.check_amount, Decimal(0)), (rules.check_amount, Decimal(-1)), (rules.check_amount, Decimal("NaN")),
        (rules.check_amount, Decimal("Infinity")), (rules.check_amount, Decimal("1e10")),
        (rules.check_thresholds, []), (rules.check_thresholds, [0]), (rules.check_thresholds, [1001]),
        (rules.check_thresholds, list(range(1, 22))),
        (rules.check_addresses, ["no address"]), (rules.check_addresses, ["a@b.example\nBcc: c@d.example"]),
        (rules.check_addresses, ["a@b.example,c@d.example"]), (rules.check_addresses, [f"a{n}@b.example" for n in range(51)]),
    ],
)  # fmt: skip
def test_what_is_refused(check, value) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as refused:
        check(value)
    assert refused.value.fields


def test_what_is_tidied() -> None:
    assert rules.check_name("  Team\n search ") == "Team search"
    assert rules.check_thresholds([100, 50, 100]) == [50, 100]
    assert rules.check_addresses([" a@b.example", "a@b.example", "c@d.example"]) == ["a@b.example", "c@d.example"]
    assert rules.check_amount(Decimal("9.9999999999")) == 10


_STRETCH = Calendar(Period.DAYS, "Asia/Tokyo", 1, 14, date(2026, 3, 3))


def test_windows_change_by_what_is_given() -> None:
    assert calendar_of({}) == Calendar()
    assert calendar_of({"period": None, "days": None}, _STRETCH) == _STRETCH
    assert calendar_of({"days": 7}, _STRETCH) == Calendar(Period.DAYS, "Asia/Tokyo", 1, 7, date(2026, 3, 3))
    assert calendar_of({"period": "days", "days": 7}, _STRETCH).anchor == date(2026, 3, 3)
    # Another period has nothing of the old one but its zone.
    assert calendar_of({"period": "year", "year_starts": 4}, _STRETCH) == Calendar(Period.YEAR, "Asia/Tokyo", 4)
    with pytest.raises(InvalidInput, match="no such window"):
        calendar_of({"period": "decade"})
