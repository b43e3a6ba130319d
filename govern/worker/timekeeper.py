"""Begins what is due: slots of the timetable, runs asked for by hand, runs that a dead worker left behind.

A tick a second compares the clock with the timetable; APScheduler does nothing but tick. The unique (job, slot) elects: the
worker whose insert succeeds runs the slot. Nothing is queued up: a job that is still running when its next slot begins
takes that slot when it has finished, and slots that passed meanwhile are left out, because one run does all that is due.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from govern.bootstrap import Govern
from govern.core.clock import utcnow
from govern.jobs import ledger, queries
from govern.jobs.models import JobRun
from govern.jobs.rules import slot_of
from govern.worker.faults import traits
from govern.worker.jobs import Job
from govern.worker.progress import WORKER
from govern.worker.runs import perform

log = structlog.get_logger("govern.worker")

_LOOK_FOR_THE_DEAD = timedelta(seconds=10)


class Timekeeper:
    """One thread per running job, never two for the same job."""

    def __init__(self, govern: Govern, jobs: Sequence[Job], worker_id: str) -> None:
        self._govern = govern
        self._jobs = {job.name: job for job in jobs}
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}
        self._begun: dict[str, str] = {}
        self._looked_at: datetime | None = None

    def tick(self) -> None:
        """Begin everything that is due now. Called every second; a database that is away for a while is only logged."""
        try:
            now = utcnow()
            if self._looked_at is None or abs(now - self._looked_at) >= _LOOK_FOR_THE_DEAD:
                self._take_back()
                self._looked_at = now
            self._begin_waiting()
            self._begin_slots(now)
        except SQLAlchemyError as error:
            log.warning("tick.failed", **traits(error))

    def running(self) -> list[str]:
        """The jobs at work in this process."""
        with self._lock:
            return sorted(name for name, thread in self._running.items() if thread.is_alive())

    def join(self, timeout: float) -> list[str]:
        """Wait at most so many seconds for what is running; what is still at it then."""
        until = utcnow() + timedelta(seconds=timeout)
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(max(0.0, (until - utcnow()).total_seconds()))
        return self.running()

    def _take_back(self) -> None:
        with self._govern.unit_of_work(WORKER) as uow:
            left = ledger.take_back(uow)
        if left:
            log.warning("runs.taken_back", runs=left)

    def _begin_waiting(self) -> None:
        with self._govern.unit_of_work.reading() as session:
            waiting = [(run.id, run.job) for run in queries.waiting_runs(session)]
        for run_id, name in waiting:
            job = self._jobs.get(name)
            if job is None or name in self.running():
                continue
            with self._govern.unit_of_work(WORKER) as uow:
                run = ledger.claim_requested(uow, run_id, self._worker_id)
            if run is not None:
                self._start(job, run)

    def _begin_slots(self, now: datetime) -> None:
        busy = self.running()
        due = [
            job for job in self._jobs.values() if job.name not in busy and self._begun.get(job.name) != slot_of(now, job.every)
        ]
        if not due:
            return
        with self._govern.unit_of_work.reading() as session:
            finished = queries.finished_jobs(session)
        for job in due:
            if job.after is not None and job.after not in finished:
                continue
            slot = slot_of(now, job.every)
            with self._govern.unit_of_work(WORKER) as uow:
                run = ledger.begin_slot(uow, job.name, slot, self._worker_id)
            self._begun[job.name] = slot
            if run is not None:
                self._start(job, run)

    def _start(self, job: Job, run: JobRun) -> None:
        thread = threading.Thread(target=self._perform, args=(job, run), name=job.name, daemon=True)
        with self._lock:
            self._running[job.name] = thread
        thread.start()

    def _perform(self, job: Job, run: JobRun) -> None:
        try:
            perform(self._govern, job, run)
        except SQLAlchemyError as error:
            # Its end could not be written down. The lease runs out, then somebody begins it again.
            log.error("job.unrecorded", job=job.name, run=run.id, **traits(error))
