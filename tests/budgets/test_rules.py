"""Crossings, and what a budget may say."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.budgets import rules
from govern.budgets.models import BudgetRaise
from govern.budgets.rules import Limit, Threshold, calendar_of, crossed, percent
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
    assert [each.percent for each in crossed(Decimal(spent), Decimal(100), [Threshold(at) for at in (250, 80, 100)])] == reached
    assert percent(Decimal(spent), Decimal(100)) == used


@given(st.decimals("0", "1e6", places=9), st.decimals("0.01", "1e6", places=9), st.integers(1, 1000))
def test_the_percentage_shown_agrees_with_what_was_crossed(spent: Decimal, limit: Decimal, threshold: int) -> None:
    assert (percent(spent, limit) >= threshold) == bool(crossed(spent, limit, [Threshold(threshold)]))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (rules.check_name, ""), (rules.check_name, " "), (rules.check_name, "x" * 201), (rules.check_name, "a\x00b"),
        (rules.check_amount, Decimal(0)), (rules.check_amount, Decimal(-1)), (rules.check_amount, Decimal("NaN")),
        (rules.check_amount, Decimal("Infinity")), (rules.check_amount, Decimal("1e10")),
        (rules.check_addresses, ["no address"]), (rules.check_addresses, ["a@b.example\nBcc: c@d.example"]),
        (rules.check_addresses, ["a@b.example,c@d.example"]), (rules.check_addresses, [f"a{n}@b.example" for n in range(51)]),
    ],
)  # fmt: skip
def test_what_is_refused(check, value) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as refused:
        check(value)
    assert refused.value.fields


@pytest.mark.parametrize(
    ("percents", "amounts"),
    [([], []), ([0], []), ([1001], []), (list(range(1, 22)), []), (list(range(1, 21)), [1]), ([], [0]), ([80], [-1])],
)
def test_thresholds_that_are_refused(percents: list[int], amounts: list[int]) -> None:
    with pytest.raises(InvalidInput):
        rules.check_thresholds(percents, [Decimal(each) for each in amounts])


@pytest.mark.parametrize(
    ("spent", "limit", "reached"),
    [
        ("49.99", "100", []), ("50", "100", ["$50.00"]), ("85", "100", ["$50.00", "80 %"]),
        ("85", "50", ["80 %", "$50.00"]),  # the same dollars are a higher part of a lower limit
        ("500", "500", ["$50.00", "80 %", "$450.00"]),
    ],
)  # fmt: skip
def test_thresholds_in_dollars_stand_beside_those_in_per_cent(spent: str, limit: str, reached: list[str]) -> None:
    marks = [Threshold(80), Threshold(usd=Decimal(450)), Threshold(usd=Decimal(50))]
    assert [each.words for each in crossed(Decimal(spent), Decimal(limit), marks)] == reached


@pytest.mark.parametrize(
    ("hour", "limit"),
    [(0, (100, 1)), (9, (100, 1)), (10, (150, 3)), (11, (170, 3)), (12, (120, 2)), (13, (120, 2)), (14, (100, 1))],
)
def test_the_limit_at_a_moment_is_the_amount_with_the_raises_that_hold(hour: int, limit: tuple[int, int]) -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 3, 10, hour, tzinfo=UTC)

    raises = [
        BudgetRaise(by_usd=Decimal(20), starts_at=at(11), ends_at=at(14), generation=2),
        BudgetRaise(by_usd=Decimal(50), starts_at=at(10), ends_at=at(12), generation=3),
    ]
    found = Limit(Decimal(100), 1).raised(raises, at(hour))
    assert (found.usd, found.generation) == limit


def test_what_is_tidied() -> None:
    assert rules.check_name("  Team\n search ") == "Team search"
    assert rules.check_thresholds([100, 50, 100], [Decimal(9), Decimal("9.0")]) == ([50, 100], [Decimal(9)])
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
