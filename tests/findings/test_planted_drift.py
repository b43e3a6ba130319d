"""A world of five thousand keys with drift of every type planted in it: every planted one is found, and nobody is called a
leaver who is none."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.findings import queries
from govern.findings.models import PRESENT, Finding
from govern.findings.types import TYPES
from govern.worker.runner import run_job
from tests.findings.planter import drift
from tests.given import World

MANY = 500  # `scripts/bench/sweep` plants the same among 5,000


@pytest.fixture
def openai(clock: FrozenDateTimeFactory) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=40, projects=12, months=0, seed=11))


def found(govern: Govern, type_: str) -> dict[str, Finding]:
    with govern.unit_of_work.reading() as session:
        rows = session.scalars(sa.select(Finding).where(Finding.type == type_, Finding.state.in_(PRESENT)))
        return {row.label: row for row in rows}


def test_every_planted_drift_is_found_and_nobody_is_a_leaver_by_mistake(
    govern: Govern, openai: FakeOpenAI, world: World, clock: FrozenDateTimeFactory
) -> None:
    planted = drift(govern, openai, world, clock, MANY)
    for _ in range(3):
        run_job(govern, "inventory.sync")
    run_job(govern, "events.pull")
    world.synced()
    report = run_job(govern, "findings.evaluate")
    assert report["present"] > MANY

    assert set(planted.expected) == set(TYPES), "every type was planted"
    for type_, part in planted.expected.items():
        assert any(part in label for label in found(govern, type_)), type_
    assert set(found(govern, "leaver_alive")) == planted.leavers, "exactly the one who was let in again"
    for type_ in ("shared_key_holder_left", "ghost_member"):
        assert set(found(govern, type_)) == {planted.expected[type_]}
    with govern.unit_of_work.reading() as session:
        assert set(queries.counts(session)) == set(TYPES)

    again = run_job(govern, "findings.evaluate")
    assert (again["opened"], again["reopened"], again["gone"], again["fixed"]) == (0, 0, 0, 0)
