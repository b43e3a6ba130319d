"""Real worker processes: two of them, one killed, one asked to stop, none without the admin key."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from govern.bootstrap import Govern
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.fakes.server import serve
from govern.jobs import queries, service
from govern.jobs.models import RunState, WorkerHeartbeat
from govern.jobs.rules import NAMES
from govern.keys.models import KeyState
from tests.given import ADMIN, World
from tests.worker.processes import Process, environment, eventually, running

pytestmark = pytest.mark.drill


@pytest.fixture
def env(database_url: str, openai: FakeOpenAI) -> Iterator[dict[str, str]]:
    with serve(openai.app) as server:
        yield environment(database_url, server.url, openai.admin_key)


def workers(govern: Govern) -> list[WorkerHeartbeat]:
    with govern.unit_of_work.reading() as session:
        return list(queries.live_workers(session, utcnow()))


def leader(govern: Govern) -> WorkerHeartbeat | None:
    return next((worker for worker in workers(govern) if worker.is_leader), None)


def pid_of(worker: WorkerHeartbeat) -> int:
    return int(worker.host.rpartition(":")[2])


def test_two_workers_run_each_slot_once_and_the_second_succeeds_a_killed_first(
    govern: Govern, world: World, env: dict[str, str], tmp_path: Path
) -> None:
    with running(["worker"], env, tmp_path / "one.log") as one, running(["worker"], env, tmp_path / "two.log") as two:
        eventually(lambda: len(workers(govern)) == 2 and leader(govern), "two workers and a leader", 60, one, two)
        with govern.unit_of_work.reading() as session:
            eventually(lambda: session.rollback() or len(queries.finished_jobs(session)) == len(NAMES), "every job", 60, one, two)
            runs = queries.find_runs(session, limit=500)
        assert all(run.state is RunState.DONE for run in runs), [(run.job, run.problem) for run in runs]
        assert max(Counter((run.job, run.slot) for run in runs).values()) == 1

        first = leader(govern)
        assert first
        killed, kept = (one, two) if pid_of(first) == one.pid else (two, one)
        assert {run.worker_id for run in runs} == {first.id}
        key = world.requested_key()
        eventually(lambda: world.reload(key).state is KeyState.LIVE, "the key", 30, one, two)

        killed.kill()
        key = world.requested_key(name="after the leader died")
        # Half of what a lease lasts: the second one took over because the lock was free, not because it waited long enough.
        eventually(lambda: world.reload(key).state is KeyState.LIVE, "a key from the second worker", 30, kept)
        second = eventually(lambda: (now := leader(govern)) and pid_of(now) == kept.pid and now, "the second as leader", 15, kept)
        assert kept.stop() == 0
        eventually(lambda: second.id not in {worker.id for worker in workers(govern)}, "its sign-off")


def test_a_run_asked_for_by_hand_is_done_by_the_worker(govern: Govern, env: dict[str, str], tmp_path: Path) -> None:
    with running(["worker"], env, tmp_path / "worker.log") as worker:
        eventually(lambda: leader(govern), "a leader", 60, worker)
        with govern.unit_of_work(ADMIN) as uow:
            run_id = service.request_run(uow, "reveals.shred").id

        def done() -> bool:
            with govern.unit_of_work.reading() as session:
                return queries.get_run(session, run_id).state is RunState.DONE

        eventually(done, "the run", 30, worker)
        assert worker.stop() == 0


def test_sigterm_lets_the_work_in_hand_finish(
    govern: Govern, world: World, openai: FakeOpenAI, env: dict[str, str], tmp_path: Path
) -> None:
    world.synced()
    with running(["worker"], env, tmp_path / "worker.log") as worker:
        eventually(lambda: leader(govern), "a leader", 60, worker)
        openai.fault("projects.service_accounts.create", kind="delay:2")
        key = world.requested_key()
        eventually(lambda: any("POST" in str(entry) for entry in openai.oracle().requests), "the call", 30, worker)
        assert worker.stop() == 0
    assert world.reload(key).state is KeyState.LIVE
    assert len([account for account in openai.oracle().service_accounts() if "govern:" in str(account)]) == 1


@pytest.mark.one_database
def test_without_the_admin_key_a_worker_says_what_to_set_and_ends(database_url: str, govern: Govern, tmp_path: Path) -> None:
    with running(["worker"], environment(database_url, "http://127.0.0.1:1", None), tmp_path / "worker.log") as worker:
        assert worker.popen.wait(60) == 2, worker.words()
        assert "GOVERN_OPENAI_ADMIN_KEY_FILE" in worker.words()
        assert "Traceback" not in worker.words()


@pytest.mark.one_database
def test_a_worker_does_not_start_on_another_ring(env: dict[str, str], govern: Govern, tmp_path: Path) -> None:
    other = env | {"GOVERN_SEALING_KEYS": "test:" + "B" * 43 + "="}
    process = Process(["worker"], other, tmp_path / "worker.log")
    assert process.popen.wait(60) == 2, process.words()
    assert "Put that key back" in process.words()


def test_a_job_in_the_middle_is_given_back_and_begun_again(
    govern: Govern, openai: FakeOpenAI, env: dict[str, str], tmp_path: Path
) -> None:
    openai.fault("projects.list", kind="delay:15")
    with running(["worker"], env, tmp_path / "one.log") as one:

        def at_work() -> bool:
            with govern.unit_of_work.reading() as session:
                return any(run.state is RunState.RUNNING for run in queries.find_runs(session, job="directory.sync"))

        eventually(at_work, "the slow job", 60, one)
        asked_at = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - asked_at < 12
    with govern.unit_of_work.reading() as session:
        run = queries.find_runs(session, job="directory.sync")[0]
    assert (run.state, run.attempt) == (RunState.REQUESTED, 1)
    openai.clear_faults()
    with running(["worker"], env, tmp_path / "two.log") as two:

        def done() -> bool:
            with govern.unit_of_work.reading() as session:
                return queries.get_run(session, run.id).state is RunState.DONE

        eventually(done, "the run of the one before", 60, two)
        assert two.stop() == 0
