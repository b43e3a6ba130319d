"""The timetable, and each of its jobs against the fake organization."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun import freeze_time

from govern.bootstrap import Govern
from govern.core.errors import NotFound, Unavailable
from govern.fakes.openai import FakeOpenAI
from govern.jobs import queries, service
from govern.jobs.models import RunState
from govern.jobs.rules import NAMES
from govern.keys.models import KeyState
from govern.settings import Settings, Sync
from govern.worker.jobs import timetable
from govern.worker.runner import drain, run_job
from tests.given import ADMIN, World


def test_the_timetable_and_the_names_that_can_be_asked_for_are_the_same() -> None:
    jobs = timetable(Settings())
    assert tuple(job.name for job in jobs) == NAMES
    assert all(job.every >= timedelta(minutes=1) for job in jobs)
    begun: list[str] = []
    for job in jobs:
        assert job.after is None or job.after in begun
        begun.append(job.name)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a short history: what becomes of a long one is tested with the usage."""
    return settings.model_copy(update={"sync": Sync(backfill_days=5, history_days=10)})


@pytest.mark.parametrize("name", NAMES)
def test_every_job_runs_and_a_second_run_adds_nothing(govern: Govern, world: World, name: str) -> None:
    world.synced()
    first, second = run_job(govern, name), run_job(govern, name)
    assert set(first) == set(second)
    for count in ("added", "vanished", "written", "removed", "alerts", "ended", "destroyed", "strays_deleted"):
        assert second.get(count, 0) == 0
    with govern.unit_of_work.reading() as session:
        runs = queries.find_runs(session, job=name)
        assert [run.state for run in runs] == [RunState.DONE, RunState.DONE]
        assert runs[0].report == second


def test_a_key_that_nobody_opened_is_ended(govern: Govern, world: World) -> None:
    with freeze_time("2026-03-10 12:00") as clock:
        world.synced()
        key = world.key()
        clock.tick(timedelta(hours=23))
        assert run_job(govern, "keys.expire") == {"ended": 0}
        clock.tick(timedelta(hours=2))
        assert run_job(govern, "keys.expire") == {"ended": 1}
        drain(govern)
        assert world.reload(key).state is KeyState.REVOKED


def test_a_failing_job_says_so_to_the_caller_and_to_the_ledger(govern: Govern, openai: FakeOpenAI) -> None:
    openai.fault(kind="status:500", times=1000)
    with pytest.raises(Unavailable):
        run_job(govern, "directory.sync")
    openai.clear_faults()
    with govern.unit_of_work.reading() as session:
        run = queries.find_runs(session)[0]
        assert run.state is RunState.FAILED
        assert run.problem


def test_an_unknown_job_is_not_found(govern: Govern) -> None:
    with pytest.raises(NotFound):
        run_job(govern, "mine.bitcoin")


def test_drain_carries_out_effects_and_runs_by_hand(govern: Govern, world: World) -> None:
    world.synced()
    key = world.requested_key()
    with govern.unit_of_work(ADMIN) as uow:
        run_id = service.request_run(uow, "reveals.shred").id
    assert drain(govern) == 2
    assert drain(govern) == 0
    assert world.reload(key).state is KeyState.LIVE
    with govern.unit_of_work.reading() as session:
        assert queries.get_run(session, run_id).state is RunState.DONE
