"""Usage and costs: the adapter behind `usage_ports.UsageSource`.

`limit` counts buckets, not rows: a bucket of a large organization is large, and a range is cut into slices that fit. One slice
is held at a time, and its rows are handed out when every page of it was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from govern.core.errors import Missing, Rejected, Unavailable
from govern.openai import fields
from govern.openai.client import USAGE_BYTES, OpenAIClient
from govern.openai.failures import Oversized
from govern.openai.fields import Fields
from govern.openai.groupings import COSTS, NEWER_ENDPOINTS, Memory, groupings, is_about_grouping
from govern.openai.paths import Path, path
from govern.openai.usage_rows import cost_row, usage_row
from govern.usage_ports import USAGE_ENDPOINTS, CostDay, UsageBucket

_DAY: Final = 86_400
WIDTHS: Final = {"1m": (60, 1440), "1h": (3600, 168), "1d": (_DAY, 31)}
"""Bucket width → its seconds and the most buckets that one page may hold."""
MOST_COST_DAYS: Final = 180
_NAME: Final = re.compile(r"[a-z][a-z_]{0,58}[a-z]")


@dataclass(frozen=True)
class _Range:
    """Where to ask, from when to when (Unix seconds), in buckets how wide, and how many of them at once."""

    endpoint: str
    where: Path
    width: str
    seconds: int
    most: int
    start: int
    end: int


class OpenAIUsage:
    """Implements `usage_ports.UsageSource`. Thread-safe: endpoints may be read beside one another."""

    def __init__(self, client: OpenAIClient, *, page_bytes: int = USAGE_BYTES) -> None:
        """A page longer than `page_bytes` is asked for again in smaller slices."""
        self._client, self._page_bytes = client, page_bytes
        self._fits: dict[tuple[Path, str], int] = {}
        self._memory = Memory()

    def usage(self, endpoint: str, start: datetime, end: datetime, width: str) -> Iterator[UsageBucket]:
        """Buckets that begin in `[start, end)`; `start` is taken down to the beginning of its bucket.

        An endpoint that is not in USAGE_ENDPOINTS is tried with what most can be grouped by; where OpenAI does not have it, there
        is no usage. Raises ValueError for a name or a width that cannot be, ProviderError otherwise.
        """
        if not _NAME.fullmatch(endpoint) or endpoint == COSTS or width not in WIDTHS:
            raise ValueError(f"OpenAI has no usage of {endpoint!r} in buckets of {width!r}.")
        if endpoint in NEWER_ENDPOINTS and self._client.generation == "2026-08":
            return
        seconds, most = WIDTHS[width]
        first = int(start.timestamp()) // seconds * seconds
        where = path(f"/organization/usage/{endpoint}")
        asked = _Range(endpoint, where, width, seconds, most, first, int(end.timestamp()))
        try:
            for bucket in self._buckets(asked):
                yield UsageBucket(fields.instant(bucket, "start_time"), list(map(usage_row, fields.items(bucket, "results"))))
        except (Rejected, Missing) as error:
            may_lack = endpoint not in USAGE_ENDPOINTS or (endpoint in NEWER_ENDPOINTS and self._client.generation == "auto")
            if not (may_lack and error.status == 404):  # OpenAI does not know the address: an organization on the older API
                raise

    def costs(self, start: date, end: date) -> Iterator[CostDay]:
        """Billed rows of the UTC days `[start, end)`; days that are not over yet are partial."""
        asked = _Range(COSTS, path("/organization/costs"), "1d", _DAY, MOST_COST_DAYS, _midnight(start), _midnight(end))
        for bucket in self._buckets(asked):
            day = fields.instant(bucket, "start_time").date()
            yield CostDay(day, list(map(cost_row, fields.items(bucket, "results"))))

    def _buckets(self, asked: _Range) -> Iterator[Fields]:
        """The buckets of the range, oldest first, slice by slice."""
        now = int(self._client.their_now().timestamp())
        choice = groupings(asked.endpoint, newer=self._client.generation != "2026-08")
        low, end = asked.start, asked.end
        while low < min(end, now):
            size = self._fits.get((asked.where, asked.width), asked.most)
            high = self._memory.next_change(asked.endpoint, low, min(end, low + size * asked.seconds))
            groups = self._memory.widest(asked.endpoint, low, choice)
            try:
                found = self._read(asked, low, high, groups, now)
            except Oversized:
                if size == 1:
                    raise
                self._fits[asked.where, asked.width] = max(1, size // 4)
                continue
            except Rejected as error:
                if groups == choice[-1] or not is_about_grouping(error):
                    raise
                self._memory.refuse(asked.endpoint, groups, self._begins_to_serve(asked, low, groups, now))
                continue
            found.reverse()
            while found:  # each is let go of as soon as it was handed out
                yield found.pop()
            low = high

    def _read(self, asked: _Range, low: int, high: int, groups: Sequence[str], now: int) -> list[Fields]:
        """The buckets of one slice, in order."""
        # A time in the future is refused, so a slice that reaches past now is left open.
        closed = [("end_time", str(high))] if high <= now else []
        query = [
            ("start_time", str(low)), *closed, ("bucket_width", asked.width),
            ("limit", str((high - low + asked.seconds - 1) // asked.seconds)), *(("group_by[]", group) for group in groups),
        ]  # fmt: skip
        found = self._client.buckets(asked.where, query, most_bytes=self._page_bytes)
        return _within(found, low, high, closed=bool(closed))

    def _begins_to_serve(self, asked: _Range, low: int, groups: tuple[str, ...], now: int) -> int:
        """From when on a grouping serves that was refused from `low` on; the end of the range if it does not at all.

        Costs are kept by key since some day only, so a year may be refused as a whole of which months are not: found by
        halving, a bucket each time.
        """

        def serves(start: int) -> bool:
            try:
                self._read(asked, start, start + asked.seconds, groups, now)
            except Rejected as error:
                if not is_about_grouping(error):
                    raise
                return False
            return True

        newest = low + (min(asked.end, now) - 1 - low) // asked.seconds * asked.seconds
        if newest == low or not serves(newest):
            return max(asked.end, low + asked.seconds)
        refused, served = low, newest
        while served - refused > asked.seconds:
            middle = refused + (served - refused) // asked.seconds // 2 * asked.seconds
            refused, served = (refused, middle) if serves(middle) else (middle, served)
        return served


def _within(found: Sequence[Fields], low: int, high: int, *, closed: bool) -> list[Fields]:
    """The buckets of the slice in order. One that lies outside would be counted with another slice as well."""
    starts = [(int(fields.instant(bucket, "start_time").timestamp()), bucket) for bucket in found]
    if any(start < low or (closed and start >= high) for start, _ in starts):
        raise Unavailable("OpenAI gave a bucket that was not asked for.")
    return [bucket for start, bucket in sorted(starts, key=lambda each: each[0]) if start < high]


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
