"""Usage and costs: the adapter behind `ports.UsageSource`.

A dimension that is not grouped by comes back null, so everything is always grouped by all that the endpoint offers. `limit`
counts buckets, not rows: a bucket of a large organization is large, and a range is cut into slices that fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from govern.core.errors import Rejected, Unavailable
from govern.openai import fields
from govern.openai.client import USAGE_BYTES, OpenAIClient
from govern.openai.failures import Oversized
from govern.openai.fields import Fields
from govern.openai.paths import Path, path
from govern.ports import CostRow, UsageRow

_DAY: Final = 86_400
WIDTHS: Final = {"1m": (60, 1440), "1h": (3600, 168), "1d": (_DAY, 31)}
"""Bucket width → its seconds and the most buckets that one page may hold."""
MOST_COST_DAYS: Final = 180
_KEYED: Final = ("project_id", "user_id", "api_key_id")
ENDPOINTS: Final = {
    "completions": (*_KEYED, "model", "batch", "service_tier"),
    "embeddings": (*_KEYED, "model"),
    "moderations": (*_KEYED, "model"),
    "images": (*_KEYED, "model", "size", "source"),
    "audio_speeches": (*_KEYED, "model"),
    "audio_transcriptions": (*_KEYED, "model"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": (*_KEYED, "vector_store_id"),
    "web_search_calls": (*_KEYED, "model", "context_level"),
    "decisions": (*_KEYED, "model", "batch", "service_tier"),
}
"""Usage endpoint → everything that it can be grouped by."""
_COSTS: Final = "costs"
_COST_GROUPS: Final = ("project_id", "line_item", "api_key_id")
"""Not by user as well: together with projects that is refused for some organizations and times."""
NEWER_ENDPOINTS: Final = frozenset({"decisions"})
"""Known since 2026-11 only; an organization on the older API has no such usage."""
_BY_SOURCE: Final = frozenset({"completions", "web_search_calls", "decisions"})
"""Since 2026-11 these can be grouped by `api_source` too."""
_COLUMNS: Final = frozenset({"object", *_KEYED, "model", "batch", "service_tier"})


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
    """Implements `ports.UsageSource`. Rows of a slice are handed out only when every page of it was read."""

    def __init__(self, client: OpenAIClient, *, page_bytes: int = USAGE_BYTES) -> None:
        """A page longer than `page_bytes` is asked for again in smaller slices."""
        self._client, self._page_bytes = client, page_bytes
        self._fits: dict[tuple[Path, str], int] = {}
        self._no_source: set[str] = set()

    def usage(self, endpoint: str, start: datetime, end: datetime, width: str) -> Iterator[UsageRow]:
        """Rows of the buckets that begin in `[start, end)`; `start` is taken down to the beginning of its bucket.

        Raises ValueError for an endpoint or a width that OpenAI does not have, ProviderError otherwise.
        """
        if endpoint not in ENDPOINTS or width not in WIDTHS:
            raise ValueError(f"OpenAI has no usage of {endpoint!r} in buckets of {width!r}.")
        if endpoint in NEWER_ENDPOINTS and self._client.generation == "2026-08":
            return
        seconds, most = WIDTHS[width]
        first = int(start.timestamp()) // seconds * seconds
        where = path(f"/organization/usage/{endpoint}")
        asked = _Range(endpoint, where, width, seconds, most, first, int(end.timestamp()))
        try:
            for bucket in self._buckets(asked):
                begins, ends = fields.instant(bucket, "start_time"), fields.instant(bucket, "end_time")
                for result in fields.items(bucket, "results"):
                    if str(result.get("object")).startswith("organization.usage."):
                        yield _usage_row(endpoint, begins, ends, result)
        except Rejected as error:
            if endpoint in NEWER_ENDPOINTS and self._client.generation == "auto" and error.status == 404:
                return  # OpenAI does not know the address: an organization on the older API
            raise

    def costs(self, start: date, end: date) -> Iterator[CostRow]:
        """Billed rows of the UTC days `[start, end)`; days that are not over yet are partial."""
        asked = _Range(_COSTS, path("/organization/costs"), "1d", _DAY, MOST_COST_DAYS, _midnight(start), _midnight(end))
        for bucket in self._buckets(asked):
            day = fields.instant(bucket, "start_time").date()
            for result in fields.items(bucket, "results"):
                if result.get("object") == "organization.costs.result":
                    yield _cost_row(day, result)

    def _groups(self, endpoint: str) -> Sequence[str]:
        if endpoint == _COSTS:
            return _COST_GROUPS
        by_source = endpoint in _BY_SOURCE and self._client.generation != "2026-08" and endpoint not in self._no_source
        return (*ENDPOINTS[endpoint], "api_source") if by_source else ENDPOINTS[endpoint]

    def _forgo(self, endpoint: str, error: Rejected) -> bool:
        """Whether to ask again without `api_source`, because this organization's API does not know it."""
        about = f"{error.facts.get('param')} {error.sentence}"
        if self._client.generation != "auto" or "api_source" not in self._groups(endpoint) or error.status != 400:
            return False
        if "group_by" in about or "api_source" in about:
            self._no_source.add(endpoint)
            return True
        return False

    def _buckets(self, asked: _Range) -> Iterator[Fields]:
        """The buckets of the range, oldest first, slice by slice."""
        now = int(self._client.their_now().timestamp())
        low, end = asked.start, asked.end
        while low < min(end, now):
            size = self._fits.get((asked.where, asked.width), asked.most)
            high = min(end, low + size * asked.seconds)
            # A time in the future is refused, so a slice that reaches past now is left open.
            closed = [("end_time", str(high))] if high <= now else []
            query = [
                ("start_time", str(low)), *closed, ("bucket_width", asked.width), ("limit", str(size)),
                *(("group_by[]", group) for group in self._groups(asked.endpoint)),
            ]  # fmt: skip
            try:
                found = self._client.buckets(asked.where, query, most_bytes=self._page_bytes)
            except Oversized:
                if size == 1:
                    raise
                self._fits[asked.where, asked.width] = max(1, size // 4)
                continue
            except Rejected as error:
                if self._forgo(asked.endpoint, error):
                    continue
                raise
            yield from _within(found, low, high, closed=bool(closed))
            low = high


def _within(found: Sequence[Fields], low: int, high: int, *, closed: bool) -> Sequence[Fields]:
    """The buckets of the slice in order. One that lies outside would be counted with another slice as well."""
    starts = [(int(fields.instant(bucket, "start_time").timestamp()), bucket) for bucket in found]
    if any(start < low or (closed and start >= high) for start, _ in starts):
        raise Unavailable("OpenAI gave a bucket that was not asked for.")
    return [bucket for start, bucket in sorted(starts, key=lambda each: each[0]) if start < high]


def _usage_row(endpoint: str, begins: datetime, ends: datetime, result: Fields) -> UsageRow:
    measures: dict[str, int] = {}
    extra: dict[str, str] = {}
    for name, value in result.items():
        if name in _COLUMNS or value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            measures[name] = value
        elif isinstance(value, Decimal) and value == value.to_integral_value():
            measures[name] = int(value)
        else:  # dimensions without a column of their own, and whatever is added one day
            extra[name] = value if isinstance(value, str) else _written(value)
    batch = result.get("batch")
    return UsageRow(
        endpoint, begins, ends, fields.maybe_text(result, "project_id"), fields.maybe_text(result, "user_id"),
        fields.maybe_text(result, "api_key_id"), fields.maybe_text(result, "model"), batch if isinstance(batch, bool) else None,
        fields.maybe_text(result, "service_tier"), measures, extra,
    )  # fmt: skip


def _written(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value, default=str, sort_keys=True)


def _cost_row(day: date, result: Fields) -> CostRow:
    amount, quantity = fields.inner(result, "amount"), result.get("quantity")
    value = amount.get("value")
    return CostRow(
        day, fields.maybe_text(result, "project_id"), fields.maybe_text(result, "api_key_id"),
        fields.maybe_text(result, "line_item"), Decimal(0) if value is None else fields.decimal(value, "amount"),
        (fields.maybe_text(amount, "currency") or "usd").lower(),
        None if quantity is None else fields.decimal(quantity, "quantity"), fields.maybe_text(result, "quantity_unit"),
    )  # fmt: skip


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
