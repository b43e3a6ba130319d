"""An organization's figures as a `ports.UsageSource`, written down by the test: what it says is what is pulled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from govern.core.errors import ProviderError
from govern.ports import CostRow, UsageRow

MODEL = "gpt-4o-mini-2024-07-18"


def used(
    at: str, *, project: str | None = "proj_a", key: str | None = "key_a", user: str | None = None, model: str | None = MODEL,
    input_tokens: int = 1_000_000, output_tokens: int = 0, batch: bool | None = False, tier: str | None = "default",
    **more: int,
) -> UsageRow:  # fmt: skip
    """One usage row of the hour `at` (ISO, UTC)."""
    start = datetime.fromisoformat(at).replace(tzinfo=UTC)
    measures = {"input_tokens": input_tokens, "output_tokens": output_tokens, "num_model_requests": 1} | more
    return UsageRow(
        "completions", start, start + timedelta(hours=1), project, user, key, model, batch, tier, measures
    )  # fmt: skip


def billed(
    day: str, amount: str, *, project: str | None = "proj_a", key: str | None = "key_a", item: str | None = f"{MODEL}, input",
    currency: str = "usd", unit: str | None = "tokens",
) -> CostRow:  # fmt: skip
    """One cost row."""
    return CostRow(date.fromisoformat(day), project, key, item, Decimal(amount), currency, Decimal(1), unit)


@dataclass
class Reported:
    """`usage_rows` and `cost_rows` may be changed between pulls. `calls` lists what was asked.

    `fail_after` lets the next pulls break after so many rows, each with the error beside it.
    """

    usage_rows: list[UsageRow] = field(default_factory=list)
    cost_rows: list[CostRow] = field(default_factory=list)
    fail_after: list[tuple[int, ProviderError]] = field(default_factory=list)
    calls: list[tuple[str, object, object]] = field(default_factory=list)

    def usage(self, endpoint: str, start: datetime, end: datetime, width: str) -> Iterator[UsageRow]:
        self.calls.append((endpoint, start, end))
        rows = [row for row in self.usage_rows if row.endpoint == endpoint and start <= row.bucket_start < end]
        yield from self._hand_out(rows)

    def costs(self, start: date, end: date) -> Iterator[CostRow]:
        self.calls.append(("costs", start, end))
        yield from self._hand_out([row for row in self.cost_rows if start <= row.day < end])

    def _hand_out(self, rows: list[UsageRow] | list[CostRow]) -> Iterator[UsageRow | CostRow]:
        broken = self.fail_after.pop(0) if self.fail_after else None
        for count, row in enumerate(rows):
            if broken and count == broken[0]:
                raise broken[1]
            yield row
        if broken and len(rows) <= broken[0]:
            raise broken[1]

    def restate(self, day: str, factor: str) -> None:
        """Correct all costs of a day."""
        self.cost_rows = [
            replace(row, amount=row.amount * Decimal(factor)) if row.day.isoformat() == day else row for row in self.cost_rows
        ]
