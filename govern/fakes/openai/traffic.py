"""Seeded traffic, computed when it is asked for.

Each key with a habit has, for each UTC day, a few rows of totals that follow from (seed, key, day) alone. A part of
a day is a share of the totals along the day's curve, by cumulative division: the parts of a day always add up to the
day. So nothing is stored, ten thousand people start at once, and the same question has the same answer until a key
dies, time passes or a day is restated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from govern.fakes.openai.habits import CURVES, HABITS, Row
from govern.fakes.openai.organization import Organization
from govern.fakes.openai.tables import Key

DAY = 86_400
_CACHED_ROWS = 600_000
# Of nine days one has records that arrive late: until this long after the day's end a part of them is missing.
_LATE_SECONDS = 40 * 3_600


class Part(NamedTuple):
    """What a row contributes to a range of time. `usd` is set where money was stated outright, not derived from measures."""

    row: Row
    requests: int
    measures: tuple[int, ...]
    usd: Decimal | None = None


def day_rows(org: Organization, day: int) -> dict[str, list[tuple[Key, Row]]]:
    """The rows of one day (days since 1970) by endpoint, as if every key lived the whole day. Kept for later questions."""
    cache = org.day_cache
    if (found := cache.get(day)) is not None:
        cache.move_to_end(day)
        return found
    rows: dict[str, list[tuple[Key, Row]]] = {}
    count = 0
    for key in org.habit_keys:
        if key.created_at < (day + 1) * DAY:
            for row in key_rows(org, key, day):
                rows.setdefault(row.endpoint, []).append((key, row))
                count += 1
    cache[day] = rows
    keep = max(40, _CACHED_ROWS // (count + 1)) if count < 15_000 else max(2, _CACHED_ROWS // (count + 1))
    while len(cache) > keep:
        cache.popitem(last=False)
    return rows


def key_rows(org: Organization, key: Key, day: int) -> list[Row]:
    """What the key does on that day if it lives the whole day."""
    dice = hashlib.blake2b(b"%d|%b|%d" % (org.spec.seed, key.id.encode(), day), digest_size=16).digest()
    return HABITS[key.habit](key, dice, (day + 3) % 7)


def parts(org: Organization, endpoint: str, low: int, high: int, now: int) -> Iterator[Part]:
    """What happened at the endpoint in [low, high), which lies within one UTC day, as known at `now`."""
    day = low // DAY
    midnight = day * DAY
    high = min(high, now)
    if high <= low or midnight + DAY <= org.tables.anchor or not org.habit_keys:
        return
    numerator, denominator = seeded_factor(org, day, now)
    for key, row in day_rows(org, day).get(endpoint, ()):
        begin, end = max(low, key.created_at), min(high, org.end_of(key))
        if begin >= end:
            continue
        corrected = org.restated(day, row.project_id)
        top, bottom = numerator * corrected[0], denominator * corrected[1]
        if begin == midnight and end >= midnight + DAY and top == bottom:
            yield Part(row, row.requests, row.measures)
            continue
        curve = CURVES[row.curve]
        total = row.requests * top // bottom
        if total == 0:
            continue
        first = total * curve[(begin - midnight + 59) // 60] // curve[-1]
        last = total * curve[min(1440, (end - midnight + 59) // 60)] // curve[-1]
        if last > first:
            scaled = [measure * top // bottom for measure in row.measures]
            yield Part(row, last - first, tuple(m * last // total - m * first // total for m in scaled))


def seeded_factor(org: Organization, day: int, now: int) -> tuple[int, int]:
    """What share of a day's records has arrived: all of it, except on restated days while they are young."""
    if now >= (day + 1) * DAY + _LATE_SECONDS:
        return 1, 1
    dice = hashlib.blake2b(b"late|%d|%d" % (org.spec.seed, day // 9), digest_size=2).digest()
    return (85 + dice[1] % 12, 100) if dice[0] % 9 == day % 9 else (1, 1)


def last_used(org: Organization, key: Key) -> int | None:
    """When the key was last used, by seeded traffic or by a real call; None where it never was."""
    if not key.habit:
        return key.last_used_at
    until = min(org.clock.seconds(), org.end_of(key))
    for day in range((until - 1) // DAY, max(key.created_at, org.tables.anchor) // DAY - 1, -1):
        rows = key_rows(org, key, day)
        if not rows:
            continue
        curve, minute = CURVES[rows[0].curve], min(1440, (until - day * DAY) // 60)
        while minute > 0 and curve[minute] == curve[minute - 1]:
            minute -= 1
        seen = day * DAY + minute * 60
        if minute and seen > key.created_at:
            return max(seen, key.last_used_at or 0)
    return key.last_used_at
