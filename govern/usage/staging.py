"""What was read of some days, bucket by bucket, until all of it is there: a window is replaced whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import NamedTuple

from govern.core.clock import from_unix
from govern.core.errors import Unavailable
from govern.usage.rules import DAY
from govern.usage.spool import Rows, Spool, pack


class Bucket(NamedTuple):
    """How many rows a bucket has, and a digest of them."""

    rows: int
    digest: str


@dataclass
class Staged:
    """Buckets by the Unix second of their start. Only those that differ from what is `stored` (bucket → digest) are spooled.

    Answers about whole UTC days.
    """

    start: date
    end: date
    spool: Spool
    stored: Mapping[int, str]
    buckets: dict[int, Bucket] = field(default_factory=dict)
    rows: int = 0
    duplicates: int = 0
    outside: int = 0

    def take(self, start: int, rows: Rows) -> None:
        """Take a bucket with all its rows. The same row or bucket again is a page that came twice, and is dropped.

        Raises Unavailable where the same series comes with other figures: the data changed between two pages, so this
        reading is of no moment in time.
        """
        self.rows += len(rows)
        if not self.start <= from_unix(start).date() < self.end:
            self.outside += len(rows)
            return
        rows.sort()
        if len({row[0] for row in rows}) != len(rows):
            rows = self._distinct(rows)
        if not rows:
            return
        packed = pack(rows)
        bucket = Bucket(len(rows), hashlib.blake2b(packed, digest_size=16).hexdigest())
        before = self.buckets.setdefault(start, bucket)
        if before is not bucket:
            if before != bucket:
                raise _unsteady()
            self.duplicates += len(rows)
        elif self.stored.get(start) != bucket.digest:
            self.spool.put(start, packed)

    def _distinct(self, rows: Rows) -> Rows:
        unique = sorted(set(rows))
        if len({row[0] for row in unique}) != len(unique):
            raise _unsteady()
        self.duplicates += len(rows) - len(unique)
        return unique

    def portions(self) -> Iterator[list[date]]:
        """The days in order: each that has rows by itself, and those between them that have none together."""
        full = {from_unix(start).date() for start in self.buckets}
        days = (self.start + number * DAY for number in range((self.end - self.start).days))
        for _, together in groupby(days, key=lambda day: day if day in full else None):
            yield list(together)

    def of_day(self, day: date) -> dict[int, Bucket]:
        """The buckets of one day."""
        return {start: bucket for start, bucket in self.buckets.items() if from_unix(start).date() == day}


def _unsteady() -> Unavailable:
    return Unavailable("OpenAI's figures changed while they were being read; they will be read again.")
