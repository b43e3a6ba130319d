"""Slots run once however many workers tick; what was missed is made up by one run; the dead are succeeded."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.core.lanes import Lane, current_lane
from govern.core.uow import Actor, ActorKind
from govern.jobs import ledger, queries, service
from govern.jobs.models import JobRun, RunState
from govern.jobs.rules import LEASE
from govern.worker.jobs import Job
from govern.worker.progress import WORKER, Progress
from govern.worker.timekeeper import Timekeeper

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    with freeze_time("2026-03-10 12:00") as frozen:
        yield frozen


class Counting:
    """A job that counts its runs; `gate` holds it up, `error` makes it fail."""

    def __init__(self, name: str = "usage.sync", every: timedelta = timedelta(minutes=15), after: str | None = None) -> None:
        self.job = Job(name, every, self.run, after)
        self.runs = 0
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.error: Exception | None = None
        self.lanes: list[Lane] = []
        self._lock = threading.Lock()

    def run(self, _govern: Govern, _progress: Progress) -> Mapping[str, int]:
        with self._lock:
            self.runs += 1
        self.began.set()
        self.lanes.append(current_lane())
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        return {"runs": self.runs}


def ledger_of(govern: Govern) -> list[JobRun]:
    with govern.unit_of_work.reading() as session:
        return list(queries.find_runs(session))


def tick(*keepers: Timekeeper) -> None:
    for keeper in keepers:
        keeper.tick()
    for keeper in keepers:
        assert keeper.join(20) == []


def test_two_workers_run_a_slot_once(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    keepers = [Timekeeper(govern, [counting.job], worker) for worker in ("wrk_1", "wrk_2")]
    for _ in range(4):
        tick(*keepers, *keepers)
        clock.tick(timedelta(minutes=15))
        keepers.reverse()
    assert counting.runs == 4
    assert {run.slot for run in ledger_of(govern)} == {f"2026-03-10T12:{minute:02}:00Z" for minute in (0, 15, 30, 45)}
    assert all(run.state is RunState.DONE for run in ledger_of(govern))
    assert set(counting.lanes) == {Lane.BACKGROUND}


def test_a_restart_within_a_slot_runs_nothing_again(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    tick(Timekeeper(govern, [counting.job], "wrk_1"))
    clock.tick(timedelta(minutes=14))
    tick(Timekeeper(govern, [counting.job], "wrk_2"))
    assert counting.runs == 1


def test_three_days_of_silence_are_made_up_by_one_run(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    keeper = Timekeeper(govern, [counting.job], "wrk_1")
    tick(keeper)
    clock.tick(timedelta(days=3))
    tick(keeper)
    assert counting.runs == 2


def test_a_job_that_outlasts_its_slot_is_not_started_beside_itself(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    keeper = Timekeeper(govern, [counting.job], "wrk_1")
    counting.gate.clear()
    keeper.tick()
    for _ in range(3):
        clock.tick(timedelta(minutes=15))
        with govern.unit_of_work(WORKER) as uow:
            ledger.beat(uow, "wrk_1", "host:1", is_leader=True)
        keeper.tick()
        assert keeper.running() == ["usage.sync"]
    counting.gate.set()
    assert keeper.join(20) == []
    assert counting.runs == 1
    tick(keeper)
    assert counting.runs == 2
    assert ledger_of(govern)[0].slot == "2026-03-10T12:45:00Z"


def test_a_run_by_hand_is_done_once_and_beside_the_slots(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    keepers = [Timekeeper(govern, [counting.job], worker) for worker in ("wrk_1", "wrk_2")]
    tick(*keepers)
    with govern.unit_of_work(ADA) as uow:
        run_id = service.request_run(uow, "usage.sync").id
    tick(*keepers)
    assert counting.runs == 2
    with govern.unit_of_work.reading() as session:
        run = queries.get_run(session, run_id)
    assert (run.state, run.report, run.requested_by) == (RunState.DONE, {"runs": 2}, "Ada Admin")


def test_a_job_waits_for_the_one_that_it_builds_on(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    first, second = Counting("directory.sync"), Counting("usage.sync", after="directory.sync")
    keeper = Timekeeper(govern, [second.job, first.job], "wrk_1")
    first.gate.clear()
    keeper.tick()
    keeper.tick()
    assert first.began.wait(20)
    assert (first.runs, second.runs) == (1, 0)
    first.error = RuntimeError("refused")  # even one that fails must not hold the other up for ever
    first.gate.set()
    keeper.join(20)
    tick(keeper)
    assert second.runs == 1


def test_a_failure_is_kept_as_a_sentence(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    counting.error = RuntimeError("postgresql://govern:hunter2@db/govern is away")
    tick(Timekeeper(govern, [counting.job], "wrk_1"))
    run = ledger_of(govern)[0]
    assert run.state is RunState.FAILED
    assert run.problem == "Something unexpected went wrong (RuntimeError). The worker's log has more."


def test_what_a_dead_worker_left_is_done_by_the_next(govern: Govern, clock: FrozenDateTimeFactory) -> None:
    counting = Counting()
    with govern.unit_of_work(WORKER) as uow:
        left = ledger.begin_slot(uow, "usage.sync", "2026-03-10T12:00:00Z", "wrk_dead")
    assert left
    keeper = Timekeeper(govern, [counting.job], "wrk_2")
    tick(keeper)
    assert counting.runs == 0  # it may still be alive
    clock.tick(LEASE + timedelta(seconds=1))
    tick(keeper)
    with govern.unit_of_work.reading() as session:
        run = queries.get_run(session, left.id)
    assert (run.state, run.attempt, run.worker_id) == (RunState.DONE, 2, "wrk_2")
    assert counting.runs == 1
