"""What kind of organization to make, and how it behaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GENERATIONS = ("2026-08", "2026-11")


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """The seeded organization. The same values give the same people, projects, keys and traffic each time.

    `people` counts members of the organization, the owner Ada Admin among them; `projects` counts projects beside
    the default one; `months` is how many whole calendar months of traffic lie before the current one (0: no traffic at all).
    """

    people: int = 1
    projects: int = 0
    months: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.people <= 20_000 or not 0 <= self.projects <= 2_000 or not 0 <= self.months <= 36:
            raise ValueError("people 1..20000, projects 0..2000 and months 0..36, please")


@dataclass(slots=True)
class Behaviour:
    """What differs between a demo and a drill. Everything may be changed while the server runs."""

    generation: str = "2026-11"
    propagation_seconds: float = 0.0
    requests_per_minute: float | None = None
    burst: int | None = None
    retry_after: bool = False
    cost_lag_hours: float = 8.0
    spend_limit_lag_seconds: float = 0.0
    max_key_lifetime_seconds: int | None = None
    string_amounts: bool = False
    costs_by_key_since: str | None = None
    """The first UTC day (ISO) whose costs can be grouped by key; None: every day."""
    longest_page: int | None = None

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            raise ValueError(f"generation must be one of {', '.join(GENERATIONS)}")
        if self.longest_page is not None and self.longest_page < 1:
            raise ValueError("a page holds at least one row")


class Clock:
    """The organization's time: the wall clock (or the caller's), moved forward by `advance`."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now
        self.offset = timedelta()

    def advance(self, by: timedelta) -> None:
        if by < timedelta():
            raise ValueError("time only moves forward")
        self.offset += by

    def now(self) -> datetime:
        """Aware, UTC. `datetime.now` is looked up at each call, so that a frozen clock is obeyed."""
        return (self._now() if self._now else datetime.now(UTC)) + self.offset

    def seconds(self) -> int:
        """Unix seconds, as the API gives them."""
        return int(self.now().timestamp())

    def instant(self) -> float:
        """Unix seconds with their fraction, for delays."""
        return self.now().timestamp()
