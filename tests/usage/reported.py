"""An organization's figures as a `usage_ports.UsageSource`, written down by the test: what it says is what is pulled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from govern.core.errors import ProviderError
from govern.usage_ports import CostDay, CostRow, UsageBucket, UsageRow

MODEL = "gpt-4o-mini-2024-07-18"
CHAT: Final = ("completions",)
"""The endpoint that these rows are of, unless they say otherwise."""


@dataclass(frozen=True)
class Used:
    """A usage row and where it stands."""

    at: datetime
    row: UsageRow
    endpoint: str = "completions"


@dataclass(frozen=True)
class Billed:
    """A cost row and its day."""

    at: date
    row: CostRow


def used(
    at: str, *, project: str | None = "proj_a", key: str | None = "key_a", user: str | None = None, model: str | None = MODEL,
    input_tokens: int = 1_000_000, batch: bool | None = False, tier: str | None = "default", endpoint: str = "completions",
    extra: str = "", **more: Any,
) -> Used:  # fmt: skip
    """One usage row of the hour `at` (ISO, UTC)."""
    flag = "" if batch is None else str(batch).lower()
    dims = (project or "", user or "", key or "", model or "", flag, tier or "", extra)
    row = UsageRow(*dims, **({"requests": 1, "input_tokens": input_tokens} | more))
    return Used(datetime.fromisoformat(at).replace(tzinfo=UTC), row, endpoint)


def billed(
    day: str, amount: str, *, project: str | None = "proj_a", key: str | None = "key_a", item: str | None = f"{MODEL}, input",
    currency: str = "usd", unit: str | None = "tokens", quantity: int = 1, user: str = "",
) -> Billed:  # fmt: skip
    """One cost row."""
    row = CostRow(
        project or "", key or "", item or "", Decimal(amount), currency, Decimal(quantity), unit or "", user
    )  # fmt: skip
    return Billed(date.fromisoformat(day), row)


@dataclass
class Reported:
    """`usage_rows` and `cost_rows` may be changed between pulls. `calls` lists what was asked.

    `fail_after` lets the next pulls break after so many buckets, each with the error beside it.
    """

    usage_rows: list[Used] = field(default_factory=list)
    cost_rows: list[Billed] = field(default_factory=list)
    fail_after: list[tuple[int, ProviderError]] = field(default_factory=list)
    calls: list[tuple[str, object, object]] = field(default_factory=list)

    def usage(self, endpoint: str, start: datetime, end: datetime, width: str) -> Iterator[UsageBucket]:
        self.calls.append((endpoint, start, end))
        rows = [each for each in self.usage_rows if each.endpoint == endpoint and start <= each.at < end]
        for at, found in self._hand_out(rows):
            yield UsageBucket(at, found)

    def costs(self, start: date, end: date) -> Iterator[CostDay]:
        self.calls.append(("costs", start, end))
        for at, found in self._hand_out([each for each in self.cost_rows if start <= each.at < end]):
            yield CostDay(at, found)

    def _hand_out(self, rows: Sequence[Used | Billed]) -> Iterator[tuple[Any, list[Any]]]:
        broken = self.fail_after.pop(0) if self.fail_after else None
        buckets: dict[object, list[Any]] = {}
        for each in rows:
            buckets.setdefault(each.at, []).append(each.row)
        for count, bucket in enumerate(buckets.items()):
            if broken and count == broken[0]:
                raise broken[1]
            yield bucket
        if broken and len(buckets) <= broken[0]:
            raise broken[1]

    def restate(self, day: str, factor: str) -> None:
        """Correct all costs of a day."""
        self.cost_rows = [
            replace(each, row=each.row._replace(amount=each.row.amount * Decimal(factor))) if each.at.isoformat() == day else each
            for each in self.cost_rows
        ]
