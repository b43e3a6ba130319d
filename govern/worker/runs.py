"""Runs of jobs: perform one and keep what it reported."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from govern.bootstrap import Govern
from govern.core.lanes import Lane, in_lane
from govern.jobs import ledger
from govern.jobs.models import JobRun
from govern.worker.faults import sentence, traits
from govern.worker.jobs import Job
from govern.worker.progress import WORKER, noting

log = structlog.get_logger("govern.worker")


@dataclass(frozen=True)
class Outcome:
    """What came of a run: a report, or the error that ended it."""

    report: dict[str, int] | None
    error: Exception | None


def perform(govern: Govern, job: Job, run: JobRun) -> Outcome:
    """Do the job's work in the background lane and end the run. Never raises for what the job raises."""
    words = log.bind(job=job.name, slot=run.slot, run=run.id, attempt=run.attempt)
    words.info("job.begun")
    try:
        with in_lane(Lane.BACKGROUND):
            report = dict(job.run(govern, noting(govern, run)))
    except Exception as error:
        words.error("job.failed", **traits(error))
        with govern.unit_of_work(WORKER) as uow:
            ledger.finish(uow, run, problem=sentence(error))
        return Outcome(None, error)
    with govern.unit_of_work(WORKER) as uow:
        kept = ledger.finish(uow, run, report=report)
    words.info("job.done" if kept else "job.overtaken", **report)
    return Outcome(report, None)
