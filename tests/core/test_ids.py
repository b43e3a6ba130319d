"""Ids sort by time, are unique, and cannot be guessed from one another."""

from __future__ import annotations

import re
from datetime import timedelta

from freezegun import freeze_time

from govern.core.ids import new_id


def test_shape() -> None:
    assert re.fullmatch(r"key_[0-9a-hjkmnp-tv-z]{26}", new_id("key"))
    assert len(new_id("x" * 13)) == 40  # the columns are 40 wide


def test_sort_by_time_also_as_text() -> None:
    with freeze_time("2026-03-10 12:00:00") as clock:
        made = []
        for _ in range(200):
            made.append(new_id("key"))
            clock.tick(timedelta(milliseconds=1))
        clock.move_to("2199-12-31")
        made.append(new_id("key"))
    assert made == sorted(made)


def test_unique_within_one_millisecond_and_not_counted_up() -> None:
    with freeze_time("2026-03-10 12:00:00"):
        made = [new_id("key") for _ in range(10_000)]
    assert len(set(made)) == len(made)
    tails = {identifier[-16:] for identifier in made}
    assert len({tail[0] for tail in tails}) == 32  # the random part uses its whole range
    assert made != sorted(made)
