"""Carry out schedules on a stage, and ask the oracle after each."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from govern.core.lanes import Lane, in_lane
from govern.keys import sync
from tests.drill.desk import Desk
from tests.drill.flows import FLOWS
from tests.drill.nursery import Order
from tests.drill.oracle import Ledger, check, spot_check
from tests.drill.schedule import Blow, Schedule
from tests.drill.stage import Stage, Strike, due_now
from tests.given import World


@dataclass
class Outcome:
    """What came of one schedule: `bad` holds what did not hold. `missed` blows found nobody: the place was never passed."""

    kills: int = 0
    freezes: int = 0
    missed: int = 0
    faults: int = 0
    bad: list[str] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, int]:
        return {"kills": self.kills, "freezes": self.freezes, "missed": self.missed, "faults": self.faults}


def carry_out(stage: Stage, schedule: Schedule) -> Outcome:
    """One run, from a world in which nothing has happened yet to the oracle's last word."""
    world, outcome = stage.fresh(), Outcome()
    world.openai.behaviour.longest_page = schedule.page
    ledger = Ledger.at(world.openai)
    desk = Desk.opened(stage, world, schedule.ask, ledger) if schedule.ask else None
    if desk is None:
        FLOWS[schedule.flow](world)
    for trouble in schedule.troubles:
        world.openai.fault(trouble.operation, kind=trouble.kind, nth=trouble.nth)
    frozen: list[int] = []
    try:
        if desk is not None:
            _ask(stage, desk, schedule.asked, frozen, outcome)
        for blow in schedule.blows:
            _strike(stage, blow, frozen, outcome)
            due_now(stage.govern.engine, dead=True)
            outcome.bad += spot_check(world, ledger)
        _finish(stage, world, outcome)
        for pid in frozen[:]:
            stage.nursery.wake(pid)
            frozen.remove(pid)
            _ended(stage.nursery.wait(pid), outcome)
        _finish(stage, world, outcome)
    finally:
        stage.gate.strike = None
        for pid in frozen:
            stage.nursery.kill(pid)
            stage.nursery.wait(pid)
    outcome.faults = sum(fault["struck"] for fault in world.openai.app.faults.pending())
    if schedule.needs_comparison:
        outside = stage.govern.need_outside()
        with in_lane(Lane.BACKGROUND):
            sync.reconcile(stage.govern.unit_of_work, outside.directory, outside.issuer)
        _finish(stage, world, outcome)
    outcome.bad += check(world, ledger)
    if desk is not None:
        outcome.bad += [*desk.answered(), *desk.kept()]
    return outcome


def _ask(stage: Stage, desk: Desk, blows: Sequence[Blow], frozen: list[int], outcome: Outcome) -> None:
    """Ask until all is answered; each web process but the last is struck."""
    for blow in blows:
        _strike(stage, blow, frozen, outcome, desk.order)
        desk.wait()
    _ended(stage.nursery.run(**desk.order)[1], outcome)
    outcome.bad += desk.answered()


def _strike(stage: Stage, blow: Blow, frozen: list[int], outcome: Outcome, order: Order | None = None) -> None:
    number = signal.SIGSTOP if blow.freezes else signal.SIGKILL
    strike = Strike(0, blow.nth, number, blow.done) if blow.at_request else None
    stage.gate.strike = strike
    pid = stage.nursery.start(crash=blow.order, **(order or {}))
    if strike is not None:
        strike.pid = pid
    ended = stage.nursery.wait(pid)
    stage.gate.strike = None
    if ended == "stopped":
        outcome.freezes += 1
        frozen.append(pid)
    else:
        _ended(ended, outcome, missed=True)


def _ended(ended: str, outcome: Outcome, *, missed: bool = False) -> None:
    if ended == "SIGKILL":
        outcome.kills += 1
    elif ended == "done":
        outcome.missed += missed
    else:
        outcome.bad.append(f"a process ended with {ended}")


def _finish(stage: Stage, world: World, outcome: Outcome) -> None:
    try:
        stage.finish(world)
    except AssertionError as error:
        outcome.bad.append(str(error))


def carry_out_all(stage: Stage, schedules: Iterator[tuple[int, Schedule]]) -> Iterator[tuple[int, Schedule, Outcome]]:
    """Each schedule with what came of it; one that broke on the way has failed as well."""
    for number, schedule in schedules:
        try:
            outcome = carry_out(stage, schedule)
        except Exception as error:
            outcome = Outcome(bad=[f"it broke: {type(error).__name__}: {error}"])
        yield number, schedule, outcome
