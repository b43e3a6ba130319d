"""How buckets of usage or of costs reach their tables: number the series, write what changed, take out what is gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.clock import from_unix
from govern.core.db import to_nano
from govern.core.uow import Actor, UnitsOfWork
from govern.usage.attribution import Registry
from govern.usage.bulk import batched, insert_rows, upsert_rows
from govern.usage.models import CostFact, CostSeries, UsageFact, UsageSeries
from govern.usage.records import UsageDay
from govern.usage.rules import COSTS, DAY, midnight
from govern.usage.series import Dims, Numbers
from govern.usage.spool import Rows, Spool
from govern.usage.staging import Staged
from govern.usage_ports import UsageSource

_RECENT: Final = 3 * DAY


class Written(NamedTuple):
    """Facts written, and facts taken out because they are gone."""

    written: int
    removed: int


class Writer(ABC):
    """Reads and writes one endpoint's buckets."""

    endpoint: str
    width: str
    numbers: Numbers
    fact: type[UsageFact] | type[CostFact]

    @abstractmethod
    def read(self, unit_of_work: UnitsOfWork, staged: Staged) -> None:
        """Read all buckets of the staged days into it. Raises ProviderError."""

    @abstractmethod
    def key_of(self, bucket: int) -> Any:
        """The bucket's start as its column holds it, unconverted."""

    @abstractmethod
    def mine(self, bucket: int) -> sa.ColumnElement[bool]:
        """Which facts are this endpoint's in the bucket."""

    def replace(self, session: Session, spool: Spool, fresh: Collection[int], changed: Collection[int]) -> Written:
        """Make the facts of these buckets what the spool says. Of `fresh` ones nothing is stored yet."""
        written = insert_rows(session, self.fact, self._facts(spool, fresh))
        removed = 0
        for bucket in changed:
            rows = spool.get(bucket)
            removed += self._remove_others(session, bucket, {row[0] for row in rows})
            written += upsert_rows(session, self.fact, 2, self._with_key(bucket, rows))
        return Written(written, removed)

    def _facts(self, spool: Spool, buckets: Collection[int]) -> Iterator[tuple[Any, ...]]:
        for bucket in buckets:
            yield from self._with_key(bucket, spool.get(bucket))

    def _with_key(self, bucket: int, rows: Rows) -> Iterator[tuple[Any, ...]]:
        key = (self.key_of(bucket),)
        return (key + row for row in rows)

    def _remove_others(self, session: Session, bucket: int, staying: Collection[int]) -> int:
        present = session.scalars(sa.select(self.fact.series_id).where(self.mine(bucket)))
        gone = [series_id for series_id in present if series_id not in staying]
        for part in batched(gone):
            session.execute(sa.delete(self.fact).where(self.mine(bucket), self.fact.series_id.in_(part)))
        return len(gone)


class UsageWriter(Writer):
    """Buckets of one usage endpoint."""

    fact = UsageFact

    def __init__(self, source: UsageSource, endpoint: str, width: str, known: Registry, actor: Actor) -> None:
        self.endpoint, self.width, self._source = endpoint, width, source
        self.numbers = Numbers(UsageSeries, (endpoint, width), self._describe, known, actor)

    def read(self, unit_of_work: UnitsOfWork, staged: Staged) -> None:
        ids, s = self.numbers.ids, UsageSeries
        if not ids:
            dims = (
                s.project_remote_id, s.user_remote_id, s.api_key_remote_id, s.model, s.batch, s.service_tier, s.extra,
            )  # fmt: skip
            used = sa.select(UsageDay.series_id).where(UsageDay.day >= staged.start - _RECENT, UsageDay.day < staged.end)
            mine = sa.select(s.id).where(s.endpoint == self.endpoint, s.width == self.width, s.id.in_(used))
            with unit_of_work.reading() as session:
                self.numbers.recall(session, dims, mine)
        for start, rows in self._source.usage(self.endpoint, midnight(staged.start), midnight(staged.end), self.width):
            try:
                facts = [(ids[row[:7]], *row[7:]) for row in rows]
            except KeyError:
                self.numbers.learn(unit_of_work, (row[:7] for row in rows))
                facts = [(ids[row[:7]], *row[7:]) for row in rows]
            staged.take(int(start.timestamp()), facts)

    def key_of(self, bucket: int) -> int:
        return bucket

    def mine(self, bucket: int) -> sa.ColumnElement[bool]:
        series = sa.select(UsageSeries.id).where(UsageSeries.endpoint == self.endpoint, UsageSeries.width == self.width)
        return sa.and_(UsageFact.bucket_start == from_unix(bucket), UsageFact.series_id.in_(series))

    def _describe(self, dims: Dims, known: Registry) -> dict[str, Any]:
        project, user, api_key, model, batch, tier, extra = dims
        return {
            "endpoint": self.endpoint, "width": self.width, "project_remote_id": project, "user_remote_id": user,
            "api_key_remote_id": api_key, "model": model, "batch": batch[:8], "service_tier": tier, "extra": extra,
            **known.resolve(project=project, api_key=api_key, user=user)._asdict(),
        }  # fmt: skip


class CostWriter(Writer):
    """Days of costs."""

    endpoint, width = COSTS, "1d"
    fact = CostFact

    def __init__(self, source: UsageSource, known: Registry, actor: Actor) -> None:
        self._source = source
        self.numbers = Numbers(CostSeries, (self.endpoint, self.width), _describe_cost, known, actor)

    def read(self, unit_of_work: UnitsOfWork, staged: Staged) -> None:
        for day, rows in self._source.costs(staged.start, staged.end):
            dims = [_cost_dims(*row[:3], row.currency.lower(), row.quantity_unit, row.user_id, row.extra) for row in rows]
            self.numbers.learn(unit_of_work, dims)
            facts = [
                (self.numbers.ids[each], _nano(row.amount), _quantity(row.quantity)) for each, row in zip(dims, rows, strict=True)
            ]
            staged.take(int(midnight(day).timestamp()), facts)

    def key_of(self, bucket: int) -> str:
        return from_unix(bucket).date().isoformat()

    def mine(self, bucket: int) -> sa.ColumnElement[bool]:
        return CostFact.day == from_unix(bucket).date()

    def amounts(self, session: Session, day: date) -> dict[int, int]:
        """Series → nano-dollars of the day, as stored now."""
        nano = sa.type_coerce(CostFact.amount, sa.BigInteger)
        return {row[0]: row[1] for row in session.execute(sa.select(CostFact.series_id, nano).where(CostFact.day == day))}


def _cost_dims(*texts: str) -> Dims:
    """Without what is empty at the end, so that a dimension that OpenAI adds one day leaves older series what they are."""
    return texts[:5] if not (texts[5] or texts[6]) else texts


def _describe_cost(dims: Dims, known: Registry) -> dict[str, Any]:
    project, api_key, line_item, currency, unit, user, extra = (*dims, "", "")[:7]
    return {
        "project_remote_id": project, "api_key_remote_id": api_key, "line_item": line_item, "currency": currency,
        "quantity_unit": unit, "user_remote_id": user, "extra": extra, "model": model_of(line_item),
        **known.resolve(project=project, api_key=api_key, user=user)._asdict(),
    }  # fmt: skip


def model_of(line_item: str) -> str:
    """The model that a line item names, for grouping only: `gpt-5.4-2026-03-05, cached input` → the part before the comma.

    The text is for people and changes its wording; where it names no model (`web search tool calls`) the answer is ''.
    """
    head, comma, _ = line_item.partition(", ")
    return head.removesuffix(" batch").strip() if comma else ""


def _nano(amount: Decimal) -> int:
    return int(to_nano(amount).scaleb(9))


def _quantity(value: Decimal | None) -> str:
    return "" if value is None else format(value.normalize(), "f")
