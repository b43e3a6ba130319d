"""Crash drills of everything that talks to OpenAI: processes that are killed or frozen at every named point; then somebody
else takes over, and the oracle is asked whether everything holds.
"""

from __future__ import annotations

from typing import Final

import pytest

from govern.keys import sync
from tests.drill.flows import FLOWS
from tests.drill.oracle import Ledger, check
from tests.drill.points import MONEY_FLOWS, flow_of, points
from tests.drill.stage import Stage, due_now
from tests.given import World
from tests.stories.conftest import stage_for

pytestmark = pytest.mark.drill

DRILLED: Final = [point for point in points() if flow_of(point) not in MONEY_FLOWS]

# A point that is passed only after something else went wrong: how that comes about.
BEFORE: Final = {"key.issue.sweep": "key.issue.created:1"}
FROZEN_FIRST: Final = {"key.issue.fenced": "key.issue.narrowed:1:stop"}


def prepared(stage: Stage, point: str) -> tuple[World, Ledger]:
    """A world in which what the point belongs to is owed. All that was there before is foreign, and must stay."""
    world = stage.fresh()
    ledger = Ledger.at(world.openai)
    FLOWS[flow_of(point)](world)
    if point in BEFORE:
        assert stage.worker(BEFORE[point])[1] == "SIGKILL"
        due_now(stage.govern.engine, dead=True)
    return world, ledger


def killed(stage: Stage, world: World, point: str, nth: int) -> bool:
    """Let a worker run into the point; whether it came by."""
    order = f"{point}:{nth}"
    if point in FROZEN_FIRST:
        pid, ended = stage.worker(f"{FROZEN_FIRST[point]},{order}")
        assert ended == "stopped"
        stage.finish(world)
        stage.nursery.wake(pid)
        ended = stage.nursery.wait(pid)
    else:
        _, ended = stage.worker(order)
    assert ended in ("SIGKILL", "done"), ended
    return ended == "SIGKILL"


def compared(world: World, ledger: Ledger, point: str) -> list[str]:
    """What the oracle finds. The hourly comparison would hide what a worker left, so it runs only where nobody but it can find
    that: a worker killed between losing its claim and taking back what it had made."""
    if point in FROZEN_FIRST:
        outside = world.govern.need_outside()
        sync.reconcile(world.govern.unit_of_work, outside.directory, outside.issuer)
    return check(world, ledger)


@pytest.fixture
def killing(request: pytest.FixtureRequest, point: str) -> Stage:
    """The databases take turns: where a worker is killed on one, it is frozen on the other."""
    return stage_for(request, ("sqlite", "postgresql")[DRILLED.index(point) % 2])


@pytest.fixture
def freezing(request: pytest.FixtureRequest, point: str) -> Stage:
    return stage_for(request, ("postgresql", "sqlite")[DRILLED.index(point) % 2])


# The steps of a removal are much alike, and what ends things that were found: at every second point a worker is killed, at the
# others frozen. `scripts/drill` does both.
SIMILAR: Final = [
    point
    for point in DRILLED
    if ".delete." in point or (point.startswith("offboarding.") and point.count(".") == 2)
    if not point.endswith("before_commit")
]


@pytest.mark.parametrize("point", [point for point in DRILLED if point not in SIMILAR[::2]])
def test_killed_there_the_first_time(killing: Stage, point: str) -> None:
    world, ledger = prepared(killing, point)
    assert killed(killing, world, point, 1), f"{point} was never passed"
    killing.finish(world)
    assert compared(world, ledger, point) == []


# Inside a transaction a frozen worker holds the database's locks: others wait for it, they do not overtake.
OVERTAKEN: Final = [
    point for point in DRILLED if not point.endswith("before_commit") and point not in (*FROZEN_FIRST, *SIMILAR[1::2])
]


@pytest.mark.parametrize("point", OVERTAKEN)
def test_frozen_there_and_overtaken(freezing: Stage, point: str) -> None:
    """Killing alone does not find a missing fence: the frozen worker must come back and find that it is too late."""
    world, ledger = prepared(freezing, point)
    pid, ended = freezing.worker(f"{point}:1:stop")
    assert ended == "stopped", f"{point} was never passed"
    freezing.finish(world)
    freezing.nursery.wake(pid)
    assert freezing.nursery.wait(pid) == "done"
    freezing.finish(world)
    assert compared(world, ledger, point) == []


def test_every_point_belongs_to_a_flow() -> None:
    assert {flow_of(point) for point in DRILLED} == set(FLOWS)
