"""What a worker writes: it begins runs, keeps them, ends them, and says that it lives.

No audit events here: these rows *are* the record of what the timetable did. What a person asks for is in `service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from govern.core.crypto import redact
from govern.core.uow import UnitOfWork
from govern.jobs.models import JobRun, RunState, WorkerHeartbeat
from govern.jobs.rules import LEASE, MOST_ATTEMPTS


def begin_slot(uow: UnitOfWork, job: str, slot: str, worker_id: str) -> JobRun | None:
    """Begin the run of this slot; None if another worker (or this one, before) has begun it already."""
    values = {
        "id": uow.new_id("run"), "job": job, "slot": slot, "state": RunState.RUNNING, "requested_by": None,
        "requested_at": uow.now, "worker_id": worker_id, "attempt": 1, "started_at": uow.now, "leased_until": uow.now + LEASE,
    }  # fmt: skip
    on_postgresql = uow.session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(JobRun) if on_postgresql else sqlite.insert(JobRun)
    unless_begun = insert.values(values).on_conflict_do_nothing(index_elements=["job", "slot"])
    run_id = uow.session.scalar(unless_begun.returning(JobRun.id))
    return uow.session.get_one(JobRun, run_id) if run_id else None


def claim_requested(uow: UnitOfWork, run_id: str, worker_id: str) -> JobRun | None:
    """Begin a run that waits; None if another worker was quicker."""
    won = uow.session.execute(
        sa.update(JobRun)
        .where(JobRun.id == run_id, JobRun.state == RunState.REQUESTED)
        .values(
            state=RunState.RUNNING, worker_id=worker_id, attempt=JobRun.attempt + 1, started_at=uow.now,
            leased_until=uow.now + LEASE,
        )
    )  # fmt: skip
    return uow.session.get_one(JobRun, run_id) if won.rowcount == 1 else None  # type: ignore[attr-defined]


def finish(uow: UnitOfWork, run: JobRun, *, report: Mapping[str, int] | None = None, problem: str | None = None) -> bool:
    """End the run, with a report or with a problem. False if it has been given to another worker meanwhile."""
    ended = uow.session.execute(
        sa.update(JobRun)
        .where(
            JobRun.id == run.id, JobRun.attempt == run.attempt, JobRun.worker_id == run.worker_id,
            JobRun.state == RunState.RUNNING,
        )
        .values(
            state=RunState.DONE if problem is None else RunState.FAILED, finished_at=uow.now, leased_until=None, progress=None,
            report=dict(report) if report is not None else None, problem=redact(problem)[:500] if problem else None,
        )
    )  # fmt: skip
    return ended.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def note_progress(uow: UnitOfWork, run: JobRun, what: str, done: int, total: int) -> None:
    """Say how far the run is, for whoever watches it."""
    mine = sa.update(JobRun).where(JobRun.id == run.id, JobRun.attempt == run.attempt, JobRun.state == RunState.RUNNING)
    uow.session.execute(mine.values(progress={"what": what, "done": done, "total": total}))


def beat(uow: UnitOfWork, worker_id: str, host: str, *, is_leader: bool) -> None:
    """Say that this worker lives, and renew the runs that it has in hand."""
    row = uow.session.get(WorkerHeartbeat, worker_id)
    if row is None:
        row = WorkerHeartbeat(id=worker_id, host=host[:200], is_leader=is_leader, started_at=uow.now, seen_at=uow.now)
        uow.session.add(row)
    row.is_leader, row.seen_at = is_leader, uow.now
    if is_leader:  # the one before it may have died without a word
        others = sa.update(WorkerHeartbeat).where(WorkerHeartbeat.id != worker_id, WorkerHeartbeat.is_leader)
        uow.session.execute(others.values(is_leader=False))
    renew(uow, worker_id)


def renew(uow: UnitOfWork, worker_id: str) -> None:
    """Renew the leases of the runs that this worker has in hand."""
    mine = sa.update(JobRun).where(JobRun.worker_id == worker_id, JobRun.state == RunState.RUNNING)
    uow.session.execute(mine.values(leased_until=uow.now + LEASE))


def sign_off(uow: UnitOfWork, worker_id: str) -> None:
    """The worker stops on purpose: it is not missed. What it had in hand waits for the next one."""
    uow.session.execute(sa.delete(WorkerHeartbeat).where(WorkerHeartbeat.id == worker_id))
    _give_back(uow, JobRun.worker_id == worker_id)


def take_back(uow: UnitOfWork) -> int:
    """Let runs begin again whose worker has died in the middle; how many there were. A job loses nothing by running twice."""
    return _give_back(uow, JobRun.leased_until < uow.now)


def _give_back(uow: UnitOfWork, which: sa.ColumnElement[bool]) -> int:
    left = sa.update(JobRun).where(JobRun.state == RunState.RUNNING, which)
    worn_out = uow.session.execute(
        left.where(JobRun.attempt >= MOST_ATTEMPTS).values(
            state=RunState.FAILED, finished_at=uow.now, leased_until=None,
            problem=f"The worker stopped in the middle of it {MOST_ATTEMPTS} times.",
        )
    )  # fmt: skip
    again = uow.session.execute(left.values(state=RunState.REQUESTED, worker_id=None, leased_until=None))
    return int(worn_out.rowcount + again.rowcount)  # type: ignore[attr-defined]


def forget(uow: UnitOfWork, *, runs_after: timedelta, workers_after: timedelta) -> int:
    """Delete finished runs and silent workers that are this old; the newest success of each job stays, others measure by it."""
    newest = sa.select(sa.func.max(JobRun.id)).where(JobRun.state == RunState.DONE).group_by(JobRun.job)
    ended = JobRun.state.in_((RunState.DONE, RunState.FAILED))
    old = sa.and_(ended, JobRun.finished_at < uow.now - runs_after, JobRun.id.not_in(newest))
    old_runs = uow.session.execute(sa.delete(JobRun).where(old))
    uow.session.execute(sa.delete(WorkerHeartbeat).where(WorkerHeartbeat.seen_at < uow.now - workers_after))
    return int(old_runs.rowcount)  # type: ignore[attr-defined]
