"""Ask for a run by hand."""

from __future__ import annotations

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.errors import NotFound
from govern.core.outbox import CHANNEL
from govern.core.uow import UnitOfWork
from govern.jobs.models import JobRun, RunState
from govern.jobs.rules import NAMES


def request_run(uow: UnitOfWork, job: str) -> JobRun:
    """Ask the worker to run this job as soon as it can. A run that is asked for and has not begun is the same one.

    Raises NotFound for a name that is not in the timetable.
    """
    if job not in NAMES:
        raise NotFound(f"There is no job {job!r}. The jobs are {', '.join(NAMES)}.", job=job)
    waiting = sa.select(JobRun).where(JobRun.job == job, JobRun.state == RunState.REQUESTED, JobRun.slot.startswith("manual:"))
    run = uow.session.scalars(waiting.order_by(JobRun.id).limit(1)).first()
    if run is None:
        run_id = uow.new_id("run")
        run = JobRun(
            id=run_id, job=job, slot=f"manual:{run_id}", state=RunState.REQUESTED, requested_by=uow.actor.label,
            requested_at=uow.now, attempt=0,
        )  # fmt: skip
        uow.session.add(run)
        audit.record(uow, "job.requested", run, job=job)
    if uow.session.get_bind().dialect.name == "postgresql":  # wakes the worker when this commits
        uow.session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return run
