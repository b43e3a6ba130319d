"""Spend as a bill says it, and an evaluation as the timetable runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from freezegun import freeze_time

from govern.budgets import service
from govern.budgets.models import Budget
from govern.usage.sync import run_costs
from tests.given import ADMIN, World
from tests.usage.reported import Reported, billed

if TYPE_CHECKING:
    from decimal import Decimal

    from govern.bootstrap import Govern


@dataclass
class Money:
    """`money.bills(85)`, `money.evaluate()`; the project is the fake's "Search"."""

    world: World
    clock: Any
    source: Reported = field(default_factory=Reported)

    @property
    def govern(self) -> Govern:
        return self.world.govern

    def budget(self, usd: Decimal, thresholds: list[int], **more: Any) -> Budget:
        """A budget of the project Search."""
        project = self.world.project("Search")
        facts: dict[str, Any] = {"name": "Search", "scope": "project", "scope_id": project.id} | more
        with self.govern.unit_of_work(ADMIN) as uow:
            return service.create_budget(uow, amount_usd=usd, thresholds=thresholds, **facts)

    def bills(self, usd: object, *, on: str = "2026-03-09", key: str | None = None) -> None:
        """The project's bill of the day is this much from now on."""
        remote_id = self.world.project("Search").remote_id
        rows = [each for each in self.source.cost_rows if (each.at.isoformat(), each.row.api_key_id) != (on, key or "")]
        self.source.cost_rows = [*rows, billed(on, str(usd), project=remote_id, key=key)]
        run_costs(self.govern.unit_of_work, self.source, trailing_days=3, backfill_days=10)

    def evaluate(self) -> dict[str, int]:
        return service.evaluate_all(self.govern.unit_of_work)


@pytest.fixture
def money(world: World) -> Iterator[Money]:
    with freeze_time("2026-03-10T12:00:00") as clock:
        world.synced()
        yield Money(world, clock)
