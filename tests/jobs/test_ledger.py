"""The run ledger under several workers: one begins, the living keep, the dead are taken over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.jobs import ledger, queries
from govern.jobs.models import JobRun, RunState
from govern.jobs.rules import LEASE, MOST_ATTEMPTS, NAMES, SILENT

WORKER = Actor(ActorKind.JOB, "worker", "worker")
SLOT = "2026-03-10T12:00:00Z"


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    with freeze_time("2026-03-10 12:00") as frozen:
        yield frozen


def begun(unit_of_work: UnitsOfWork, worker: str = "wrk_1", slot: str = SLOT) -> JobRun | None:
    with unit_of_work(WORKER) as uow:
        return ledger.begin_slot(uow, "usage.sync", slot, worker)


def reloaded(unit_of_work: UnitsOfWork, run: JobRun) -> JobRun:
    with unit_of_work.reading() as session:
        return queries.get_run(session, run.id)


@pytest.mark.one_database
def test_one_worker_wins_a_slot(unit_of_work: UnitsOfWork) -> None:
    first, second = begun(unit_of_work, "wrk_1"), begun(unit_of_work, "wrk_2")
    assert first is not None
    assert second is None
    assert begun(unit_of_work, "wrk_2", "2026-03-10T12:15:00Z") is not None
    assert reloaded(unit_of_work, first).worker_id == "wrk_1"


@pytest.mark.one_database
def test_a_report_ends_a_run_and_a_problem_fails_it(unit_of_work: UnitsOfWork) -> None:
    well, badly = begun(unit_of_work), begun(unit_of_work, slot="2026-03-10T12:15:00Z")
    assert well
    assert badly
    with unit_of_work(WORKER) as uow:
        ledger.note_progress(uow, well, "days", 1, 3)
        assert ledger.finish(uow, well, report={"rows": 3})
        assert ledger.finish(uow, badly, problem="It held sk-proj-abcdefghijklmnop in hand.")
    kept, failed = reloaded(unit_of_work, well), reloaded(unit_of_work, badly)
    assert (kept.state, kept.report, kept.progress, kept.leased_until) == (RunState.DONE, {"rows": 3}, None, None)
    assert failed.state is RunState.FAILED
    assert failed.problem == "It held [secret] in hand."


@pytest.mark.one_database
def test_a_living_worker_keeps_its_run_and_a_dead_one_loses_it(unit_of_work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    run = begun(unit_of_work)
    assert run
    for _ in range(5):
        clock.tick(LEASE / 2)
        with unit_of_work(WORKER) as uow:
            ledger.beat(uow, "wrk_1", "host:1", is_leader=True)
            assert ledger.take_back(uow) == 0
    clock.tick(LEASE + timedelta(seconds=1))
    with unit_of_work(WORKER) as uow:
        assert ledger.take_back(uow) == 1
    with unit_of_work(WORKER) as uow:
        taken = ledger.claim_requested(uow, run.id, "wrk_2")
        assert taken
        assert taken.attempt == 2
        assert ledger.claim_requested(uow, run.id, "wrk_3") is None
    with unit_of_work(WORKER) as uow:  # the dead one was only frozen, and comes back
        assert not ledger.finish(uow, run, report={"rows": 1})
        assert ledger.finish(uow, taken, report={"rows": 2})
    assert reloaded(unit_of_work, run).report == {"rows": 2}


@pytest.mark.one_database
def test_a_run_that_kills_its_workers_is_given_up(unit_of_work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    run = begun(unit_of_work)
    assert run
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert reloaded(unit_of_work, run).attempt == attempt
        clock.tick(LEASE * 2)
        with unit_of_work(WORKER) as uow:
            ledger.take_back(uow)
            ledger.claim_requested(uow, run.id, "wrk_2")
    ended = reloaded(unit_of_work, run)
    assert ended.state is RunState.FAILED
    assert ended.problem == "The worker stopped in the middle of it 3 times."


@pytest.mark.one_database
def test_a_worker_that_signs_off_leaves_its_run_to_the_next(unit_of_work: UnitsOfWork) -> None:
    run = begun(unit_of_work)
    assert run
    with unit_of_work(WORKER) as uow:
        ledger.beat(uow, "wrk_1", "host:1", is_leader=True)
        ledger.sign_off(uow, "wrk_1")
    assert reloaded(unit_of_work, run).state is RunState.REQUESTED
    with unit_of_work.reading() as session:
        assert queries.last_heartbeat(session) is None


@pytest.mark.one_database
def test_workers_are_alive_for_a_while_after_their_heartbeat(unit_of_work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    with unit_of_work(WORKER) as uow:
        ledger.beat(uow, "wrk_2", "host:2", is_leader=False)
        ledger.beat(uow, "wrk_1", "host:1", is_leader=True)
        begin = uow.now
    with unit_of_work.reading() as session:
        assert [worker.id for worker in queries.live_workers(session, begin)] == ["wrk_1", "wrk_2"]
        assert queries.live_workers(session, begin + SILENT + timedelta(seconds=1)) == []
        assert queries.last_heartbeat(session) == begin


@pytest.mark.one_database
def test_old_runs_are_forgotten_but_the_newest_success_stays(unit_of_work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    for hour in range(3):
        run = begun(unit_of_work, slot=f"2026-03-10T1{hour}:00:00Z")
        assert run
        with unit_of_work(WORKER) as uow:
            ledger.finish(uow, run, report={"hour": hour})
        clock.tick(timedelta(hours=1))
    clock.tick(timedelta(days=100))
    with unit_of_work(WORKER) as uow:
        assert ledger.forget(uow, runs_after=timedelta(days=90), workers_after=timedelta(days=1)) == 2
    with unit_of_work.reading() as session:
        assert [run.report for run in queries.find_runs(session)] == [{"hour": 2}]
        assert queries.last_success(session, "usage.sync") is not None


def test_the_ledger_pages_newest_first(unit_of_work: UnitsOfWork, clock: FrozenDateTimeFactory) -> None:
    for minute in range(5):
        begun(unit_of_work, slot=f"2026-03-10T12:0{minute}:00Z")
        clock.tick(timedelta(minutes=1))
    with unit_of_work.reading() as session:
        first = queries.find_runs(session, limit=2)
        second = queries.find_runs(session, limit=2, after=first[-1].id)
        assert [run.slot[14:16] for run in (*first, *second)] == ["04", "03", "02", "01"]
        assert not queries.find_runs(session, job="costs.sync")
        assert [standing.job for standing in queries.standings(session)][:2] == list(NAMES[:2])
