"""What was read of some days, held until all of it is there: a window is replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from govern.core.clock import from_unix
from govern.core.db import to_nano
from govern.core.errors import Unavailable
from govern.ports import CostRow, UsageRow
from govern.usage.measures import pack
from govern.usage.rules import midnight

Dims = tuple[str, ...]
Values = tuple[Any, ...]
_FLAGS: Final = {None: "", True: "true", False: "false"}


@dataclass
class Staged:
    """Rows by bucket (Unix second of its start) and dimensions. Answers about whole UTC days."""

    start: date
    end: date
    buckets: dict[int, dict[Dims, Values]] = field(default_factory=dict)
    rows: int = 0
    duplicates: int = 0
    outside: int = 0

    def add(self, bucket_start: datetime, dims: Dims, values: Values) -> None:
        """Take a row. The same row again is a page that came twice, and is dropped.

        Raises Unavailable where the same dimensions come with other figures: the data changed between two pages, so this
        reading is of no moment in time.
        """
        self.rows += 1
        if not self.start <= bucket_start.date() < self.end:
            self.outside += 1
            return
        bucket = self.buckets.setdefault(int(bucket_start.timestamp()), {})
        before = bucket.setdefault(dims, values)
        if before is values:
            return
        if before != values:
            raise Unavailable("OpenAI's figures changed while they were being read; they will be read again.")
        self.duplicates += 1

    def of_day(self, day: date) -> dict[int, dict[Dims, Values]]:
        """The buckets of one day."""
        return {start: rows for start, rows in self.buckets.items() if from_unix(start).date() == day and rows}


def digest(rows: dict[Dims, Values]) -> str:
    """A digest of a bucket's rows, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(repr, rows.items()))).encode()).hexdigest()


def stage_usage(rows: Iterable[UsageRow], start: date, end: date) -> Staged:
    """Read all of it. Dimensions: project, user, key, model, batch, tier, extra; values as `measures.pack` has them."""
    staged = Staged(start, end)
    for row in rows:
        extra = json.dumps(row.extra, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if row.extra else ""
        dims = (
            _text(row.project_id), _text(row.user_id), _text(row.api_key_id), _text(row.model),
            _FLAGS[row.batch], _text(row.service_tier), _text(extra),
        )  # fmt: skip
        staged.add(row.bucket_start, dims, tuple(pack(row.measures)))
    return staged


def stage_costs(rows: Iterable[CostRow], start: date, end: date) -> Staged:
    """Read all of it. Dimensions: project, key, line item, currency, unit; values: nano-dollars and the quantity as text."""
    staged = Staged(start, end)
    for row in rows:
        dims = (
            _text(row.project_id), _text(row.api_key_id), _text(row.line_item), row.currency.lower(), _text(row.quantity_unit)
        )  # fmt: skip
        staged.add(midnight(row.day), dims, (_nano(row.amount), _quantity(row.quantity)))
    return staged


def _text(value: str | None) -> str:
    return (value or "").replace("\x00", "")  # PostgreSQL's text cannot hold it


def _nano(amount: Decimal) -> int:
    return int(to_nano(amount).scaleb(9))


def _quantity(value: Decimal | None) -> str:
    return "" if value is None else format(value.normalize(), "f")
