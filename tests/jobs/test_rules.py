"""Slots: every instant lies in exactly one, and all machines cut them alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern.jobs.rules import slot_of


@pytest.mark.parametrize(
    ("now", "every", "slot"),
    [
        ("2026-03-10T12:00:00+00:00", timedelta(minutes=15), "2026-03-10T12:00:00Z"),
        ("2026-03-10T12:14:59+00:00", timedelta(minutes=15), "2026-03-10T12:00:00Z"),
        ("2026-03-10T12:15:00+00:00", timedelta(minutes=15), "2026-03-10T12:15:00Z"),
        ("2026-03-10T23:59:59+00:00", timedelta(hours=6), "2026-03-10T18:00:00Z"),
        # Clocks change in Europe at 01:00 UTC on this day: slots know only UTC.
        ("2026-03-29T03:30:00+02:00", timedelta(hours=1), "2026-03-29T01:00:00Z"),
        ("2028-02-29T00:00:30+00:00", timedelta(minutes=1), "2028-02-29T00:00:00Z"),
    ],
)
def test_a_slot_is_named_by_its_beginning(now: str, every: timedelta, slot: str) -> None:
    assert slot_of(datetime.fromisoformat(now), every) == slot


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    st.sampled_from([timedelta(minutes=1), timedelta(minutes=7), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6)]),
    st.integers(-12, 14),
)
def test_a_slot_holds_its_instant_wherever_the_machine_stands(now: datetime, every: timedelta, offset: int) -> None:
    slot = slot_of(now, every)
    begin = datetime.fromisoformat(slot)
    assert begin <= now < begin + every
    assert slot_of(now.astimezone(timezone(timedelta(hours=offset))), every) == slot
    assert slot_of(begin + every, every) != slot
