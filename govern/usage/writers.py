"""How a bucket of usage or of costs reaches its tables: intern the dimensions, take out the old rows, put in the new ones."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.clock import from_unix
from govern.usage.attribution import Registry
from govern.usage.bulk import batched, insert_new, insert_rows
from govern.usage.models import CostFact, CostSeries, UsageFact, UsageSeries
from govern.usage.staging import Dims, Values


class Writer(ABC):
    """Writes one endpoint's buckets. Remembers the series that it has seen, so that a run looks each up once."""

    series: type[UsageSeries] | type[CostSeries]

    def __init__(self, endpoint: str, width: str) -> None:
        self.endpoint = endpoint
        self.width = width
        self._ids: dict[Dims, int] = {}

    @abstractmethod
    def delete(self, session: Session, bucket: int) -> int:
        """Take the bucket's rows out; how many they were."""

    @abstractmethod
    def insert(self, session: Session, bucket: int, rows: dict[Dims, Values]) -> None:
        """Put the rows in. Their dimensions must have been interned."""

    @abstractmethod
    def describe(self, dims: Dims, known: Registry) -> dict[str, Any]:
        """The columns of a new series with these dimensions."""

    def intern(self, session: Session, dims: Iterable[Dims], known: Registry) -> int:
        """Give every combination a series; how many are new."""
        unseen = {self._digest(each): each for each in set(dims) if each not in self._ids}
        self._look_up(session, unseen)
        new = {key: each for key, each in unseen.items() if each not in self._ids}
        insert_new(session, self.series, [{"digest": key, **self.describe(each, known)} for key, each in new.items()])
        self._look_up(session, new)
        return len(new)

    def series_id(self, dims: Dims) -> int:
        return self._ids[dims]

    def _look_up(self, session: Session, wanted: Mapping[str, Dims]) -> None:
        for part in batched(wanted):
            found = session.execute(sa.select(self.series.digest, self.series.id).where(self.series.digest.in_(part)))
            self._ids.update((wanted[key], id_) for key, id_ in found)

    def _digest(self, dims: Dims) -> str:
        return hashlib.sha256(json.dumps([self.endpoint, self.width, *dims]).encode()).hexdigest()


class UsageWriter(Writer):
    """Buckets of one usage endpoint."""

    series = UsageSeries

    def delete(self, session: Session, bucket: int) -> int:
        mine = sa.select(UsageSeries.id).where(UsageSeries.endpoint == self.endpoint, UsageSeries.width == self.width)
        statement = sa.delete(UsageFact).where(UsageFact.bucket_start == from_unix(bucket), UsageFact.series_id.in_(mine))
        return session.execute(statement).rowcount  # type: ignore[attr-defined, no-any-return]

    def insert(self, session: Session, bucket: int, rows: dict[Dims, Values]) -> None:
        insert_rows(session, UsageFact, [(bucket, self.series_id(dims), *values) for dims, values in rows.items()])

    def describe(self, dims: Dims, known: Registry) -> dict[str, Any]:
        project, user, api_key, model, batch, tier, extra = dims
        return {
            "endpoint": self.endpoint, "width": self.width, "project_remote_id": project, "user_remote_id": user,
            "api_key_remote_id": api_key, "model": model, "batch": batch, "service_tier": tier, "extra": extra,
            **known.resolve(project=project, api_key=api_key, user=user)._asdict(),
        }  # fmt: skip


class CostWriter(Writer):
    """Days of costs."""

    series = CostSeries

    def delete(self, session: Session, bucket: int) -> int:
        statement = sa.delete(CostFact).where(CostFact.day == from_unix(bucket).date())
        return session.execute(statement).rowcount  # type: ignore[attr-defined, no-any-return]

    def insert(self, session: Session, bucket: int, rows: dict[Dims, Values]) -> None:
        day = from_unix(bucket).date().isoformat()
        insert_rows(session, CostFact, [(day, self.series_id(dims), *values) for dims, values in rows.items()])

    def describe(self, dims: Dims, known: Registry) -> dict[str, Any]:
        project, api_key, line_item, currency, unit = dims
        return {
            "project_remote_id": project, "api_key_remote_id": api_key, "line_item": line_item, "currency": currency,
            "quantity_unit": unit, "model": model_of(line_item), **known.resolve(project=project, api_key=api_key)._asdict(),
        }  # fmt: skip


def model_of(line_item: str) -> str:
    """The model that a line item names, for grouping only: `gpt-5.4-2026-03-05, cached input` → the part before the comma.

    The text is for people and changes its wording; where it names no model (`web search tool calls`) the answer is ''.
    """
    head, comma, _ = line_item.partition(", ")
    return head.removesuffix(" batch").strip() if comma else ""
