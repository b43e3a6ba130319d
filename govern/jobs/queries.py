"""Reads of the run ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.jobs.models import JobRun, RunState, WorkerHeartbeat
from govern.jobs.rules import NAMES, SILENT


def find_runs(
    session: Session, *, after: str | None = None, limit: int = 50, job: str | None = None, state: RunState | None = None
) -> Sequence[JobRun]:
    """Runs, newest first; `after` is the id of the last one already seen."""
    query = sa.select(JobRun).order_by(JobRun.id.desc()).limit(limit)
    if after is not None:
        query = query.where(JobRun.id < after)
    if job is not None:
        query = query.where(JobRun.job == job)
    if state is not None:
        query = query.where(JobRun.state == state)
    return session.scalars(query).all()


def get_run(session: Session, run_id: str) -> JobRun:
    """The run with this id. Raises NotFound."""
    run = session.get(JobRun, run_id)
    if run is None:
        raise NotFound(f"There is no job run {run_id}.")
    return run


def waiting_runs(session: Session) -> Sequence[JobRun]:
    """Runs that a worker should begin, oldest first."""
    return session.scalars(sa.select(JobRun).where(JobRun.state == RunState.REQUESTED).order_by(JobRun.id)).all()


def finished_jobs(session: Session) -> set[str]:
    """The jobs that have come to an end at least once, well or badly."""
    ended = sa.select(JobRun.job).where(JobRun.state.in_((RunState.DONE, RunState.FAILED))).distinct()
    return set(session.scalars(ended))


def last_success(session: Session, job: str) -> datetime | None:
    """When the job last finished well; "seconds since" is the figure to watch."""
    query = sa.select(sa.func.max(JobRun.finished_at)).where(JobRun.job == job, JobRun.state == RunState.DONE)
    return session.scalar(query)


@dataclass(frozen=True)
class JobStanding:
    """How a job stands: its newest run, and when it last finished well."""

    job: str
    newest: JobRun | None
    last_success_at: datetime | None


def standings(session: Session) -> list[JobStanding]:
    """Every job of the timetable in its order, also one that has never run."""
    standing = []
    for job in NAMES:
        newest = session.scalars(sa.select(JobRun).where(JobRun.job == job).order_by(JobRun.id.desc()).limit(1)).first()
        standing.append(JobStanding(job, newest, last_success(session, job)))
    return standing


def live_workers(session: Session, now: datetime) -> Sequence[WorkerHeartbeat]:
    """Workers heard of lately, the leader first."""
    alive = sa.select(WorkerHeartbeat).where(WorkerHeartbeat.seen_at >= now - SILENT)
    return session.scalars(alive.order_by(WorkerHeartbeat.is_leader.desc(), WorkerHeartbeat.started_at)).all()


def last_heartbeat(session: Session) -> datetime | None:
    """When any worker was last heard of."""
    return session.scalar(sa.select(sa.func.max(WorkerHeartbeat.seen_at)))
