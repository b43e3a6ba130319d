"""Stretches of days: few, whole, and never overlapping."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from govern.usage.names import By
from govern.usage.questions import buckets, previous
from govern.usage.stretches import Stretch, cover, holding, lacking

DAYS = st.dates(date(2024, 1, 1), date(2027, 1, 1))


@given(DAYS, st.integers(1, 400), st.integers(0, 60))
def test_a_cover_is_exactly_the_range(start: date, length: int, missing: int) -> None:
    end = start + timedelta(days=length)
    made = set(list(lacking(start, end, ()))[missing:])
    found = cover(start, end, made)
    days = [stretch.first + timedelta(days=at) for stretch in found for at in range((stretch.end - stretch.first).days)]
    assert days == [start + timedelta(days=at) for at in range(length)]
    assert all(stretch.level == 0 or stretch in made for stretch in found)
    if missing == 0:
        assert len(found) <= 10 + length // 32


@given(DAYS, DAYS)
def test_what_a_day_takes_away_is_what_holds_it(day: date, start: date) -> None:
    made = list(lacking(start, start + timedelta(days=90), ()))
    assert set(holding(day)) & set(made) == {each for each in made if each.first <= day < each.end}
    assert made == sorted(made)
    for stretch in made:
        first, second = stretch.halves
        assert Stretch(stretch.level - 1, first).end == second
        assert Stretch(stretch.level - 1, second).end == stretch.end


@given(DAYS, st.integers(1, 100), st.sampled_from([By.DAY, By.WEEK, By.MONTH]))
def test_steps_cut_the_range_without_gaps(start: date, length: int, step: By) -> None:
    end = start + timedelta(days=length)
    found = buckets(start, end, step)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    assert len({each.label for each in found}) == len(found)


def test_what_a_range_is_compared_with() -> None:
    cases = {
        (date(2026, 3, 1), date(2026, 4, 1)): (date(2026, 2, 1), date(2026, 3, 1)),
        (date(2026, 1, 1), date(2026, 4, 1)): (date(2025, 10, 1), date(2026, 1, 1)),
        (date(2026, 3, 1), date(2026, 3, 11)): (date(2026, 2, 1), date(2026, 2, 11)),
        (date(2026, 3, 1), date(2026, 3, 31)): (date(2026, 2, 1), date(2026, 3, 1)),
        (date(2026, 3, 5), date(2026, 3, 12)): (date(2026, 2, 26), date(2026, 3, 5)),
    }
    assert {asked: previous(*asked) for asked in cases} == cases
