"""A clock on which waiting takes no time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2025, 3, 11, 12, tzinfo=UTC)
"""A Tuesday that is long past on every machine: whole weeks of it can be asked for without freezing the clock."""


@dataclass
class Ticker:
    """A clock that moves only when somebody sleeps on it."""

    seconds: float = 0.0
    naps: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    def wall(self) -> datetime:
        """The time of day that belongs to it."""
        return BEGIN + timedelta(seconds=self.seconds)
