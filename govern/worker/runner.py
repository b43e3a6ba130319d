"""The worker process: stand by until elected, then tick the timetable and carry out effects until told to stop.

`drain` and `run_job` do the same work in the calling thread, for the command line and for tests.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import getpid
from typing import Any, Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from govern.bootstrap import Govern
from govern.core.clock import utcnow
from govern.core.errors import NotFound
from govern.core.ids import new_id
from govern.core.lanes import Lane
from govern.jobs import ledger, queries
from govern.jobs.rules import BEAT
from govern.worker.effects import Effects
from govern.worker.election import Election, election
from govern.worker.faults import traits
from govern.worker.jobs import Job, timetable
from govern.worker.progress import WORKER
from govern.worker.runs import perform
from govern.worker.timekeeper import Timekeeper
from govern.worker.wake import Wake, listen

log = structlog.get_logger("govern.worker")

INTERACTIVE_THREADS: Final = 4
PROVE_EVERY: Final = 0.5
"""Seconds between proofs of leadership: how long a crash of the leader goes unnoticed."""
GRACE: Final = 25.0
"""Seconds that effects in hand get at the end. Longer than one call's deadline, shorter than a supervisor's patience (30 s)."""
JOB_GRACE: Final = 4.0
"""Seconds that running jobs get. A sync may take long, and whoever begins it again loses nothing."""
RENEW_EVERY: Final = timedelta(seconds=20)


class ThreadDied(Exception):
    """A thread of the worker ended by itself. The process ends too, so that its supervisor starts a whole one."""


class Worker:
    """`run()` returns after `stop()`. Both may be called from different threads; `stop` is safe in a signal handler."""

    def __init__(
        self,
        govern: Govern,
        jobs: Sequence[Job] | None = None,
        *,
        on_lead: Callable[[], None] | None = None,
        grace: float = GRACE,
    ) -> None:
        govern.need_outside()
        self._govern = govern
        self._jobs = tuple(jobs if jobs is not None else timetable(govern.settings))
        self._on_lead = on_lead
        self._grace = grace
        self.id = new_id("wrk")
        self.host = f"{socket.gethostname()}:{getpid()}"
        self._stop = threading.Event()

    def stop(self) -> None:
        """Begin nothing new, finish what is in hand, and return from `run`."""
        self._stop.set()

    def run(self) -> bool:
        """Serve until stopped; whether everything in hand was finished. Raises ThreadDied."""
        lock = election(self._govern.engine)
        log.info("worker.started", worker=self.id, host=self.host)
        leading: _Leading | None = None
        finished = True
        beaten: tuple[datetime, bool] | None = None
        try:
            while not self._stop.is_set():
                leads = self._hold(lock)
                if leads and leading is None:
                    leading = self._lead()
                elif not leads and leading is not None:
                    log.warning("worker.deposed", worker=self.id)
                    leading.end(self._grace)
                    leading = None
                now = utcnow()
                if beaten is None or beaten[1] != leads or abs(now - beaten[0]) >= BEAT:
                    self._beat(leads)
                    beaten = now, leads
                if leading is not None:
                    leading.check()
                self._stop.wait(PROVE_EVERY)
        finally:
            if leading is not None:
                finished = leading.end(self._grace)
            self._sign_off()
            lock.release()
            log.info("worker.stopped", worker=self.id)
        return finished

    def _hold(self, lock: Election) -> bool:
        try:
            return lock.hold()
        except OSError as error:
            log.warning("election.failed", **traits(error))
            return False

    def _lead(self) -> _Leading:
        log.info("worker.leads", worker=self.id)
        leading = _Leading(self._govern, self._jobs, self.id)
        if self._on_lead:
            self._on_lead()
        return leading

    def _beat(self, leads: bool) -> None:
        try:
            with self._govern.unit_of_work(WORKER) as uow:
                ledger.beat(uow, self.id, self.host, is_leader=leads)
        except SQLAlchemyError as error:
            log.warning("heartbeat.failed", **traits(error))

    def _sign_off(self) -> None:
        try:
            with self._govern.unit_of_work(WORKER) as uow:
                ledger.sign_off(uow, self.id)
        except SQLAlchemyError as error:
            log.warning("sign_off.failed", **traits(error))


class _Leading:
    """What runs while this process leads: the tick, the threads that carry out effects, and the listener that wakes them."""

    def __init__(self, govern: Govern, jobs: Sequence[Job], worker_id: str) -> None:
        self._stop = threading.Event()
        self._wake = Wake()
        self._effects = Effects(govern)
        self._timekeeper = Timekeeper(govern, jobs, worker_id)
        self._renewed_at = utcnow()
        lanes = [(f"interactive-{n}", (Lane.INTERACTIVE,)) for n in range(INTERACTIVE_THREADS)]
        lanes.append(("background", (Lane.BACKGROUND,)))
        self._threads = [threading.Thread(target=self._serve, args=(served,), name=name, daemon=True) for name, served in lanes]
        self._threads.append(
            threading.Thread(target=listen, args=(govern.engine, self._wake, self._stop), name="listen", daemon=True)
        )
        for thread in self._threads:
            thread.start()
        self._scheduler = _ticking(self._timekeeper.tick)

    def check(self) -> None:
        """Renew the leases of what is in hand. Raises ThreadDied."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead:
            raise ThreadDied(f"These threads of the worker have died: {', '.join(dead)}.")
        if abs(utcnow() - self._renewed_at) >= RENEW_EVERY:
            self._renewed_at = utcnow()
            try:
                self._effects.renew()
            except SQLAlchemyError as error:
                log.warning("renewal.failed", **traits(error))

    def end(self, grace: float) -> bool:
        """Begin nothing new, wait for the effects in hand at most `grace` seconds and for jobs less; whether all is done."""
        self._stop.set()
        self._wake.call()
        self._scheduler.shutdown(wait=False)
        until = utcnow() + timedelta(seconds=grace)
        for thread in self._threads:
            thread.join(max(0.0, (until - utcnow()).total_seconds()))
        left = self._effects.in_hand() + self._timekeeper.join(min(grace, JOB_GRACE))
        if left:
            log.warning("worker.left_behind", work=left)  # the next leader takes it up
        return not left

    def _serve(self, lanes: Sequence[Lane]) -> None:
        while not self._stop.is_set():
            seen = self._wake.mark()
            try:
                worked = self._effects.carry_out_next(lanes)
            except SQLAlchemyError as error:
                log.warning("effects.failed", **traits(error))
                worked = False
            if not worked:
                self._wake.wait(seen)


def _ticking(tick: Callable[[], None]) -> Any:
    """A scheduler that calls `tick` now and then every second, and misses none for good: late is better than never."""
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1})
    scheduler.add_job(tick, "interval", seconds=1, next_run_time=utcnow())
    scheduler.start()
    return scheduler


def run_job(govern: Govern, name: str) -> dict[str, int]:
    """Run this job here and now; its report. Raises NotFound for an unknown name, else whatever the job raises."""
    job = next((job for job in timetable(govern.settings) if job.name == name), None)
    if job is None:
        raise NotFound(f"There is no job {name!r}.", job=name)
    with govern.unit_of_work(WORKER) as uow:
        run = ledger.begin_slot(uow, name, f"manual:{uow.new_id('run')}", f"here:{getpid()}")
    assert run is not None
    with _kept(govern, f"here:{getpid()}"):
        outcome = perform(govern, job, run)
    if outcome.error is not None:
        raise outcome.error
    return outcome.report or {}


@contextmanager
def _kept(govern: Govern, worker_id: str) -> Iterator[None]:
    """Renew the run's lease while the block works, as a worker's heartbeat does: a throttled sync outlasts it."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_EVERY.total_seconds()):
            with suppress(SQLAlchemyError), govern.unit_of_work(WORKER) as uow:
                ledger.renew(uow, worker_id)

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def drain(govern: Govern) -> int:
    """Carry out everything that is due now, runs asked for by hand and effects, until nothing is; how much it was.

    What is put off is not due now: call it again later (or on a later frozen clock).
    """
    jobs = {job.name: job for job in timetable(govern.settings)}
    effects, done = Effects(govern), 0
    while True:
        with govern.unit_of_work.reading() as session:
            waiting = [(run.id, run.job) for run in queries.waiting_runs(session)]
        worked = False
        for run_id, name in waiting:
            with govern.unit_of_work(WORKER) as uow:
                run = ledger.claim_requested(uow, run_id, f"here:{getpid()}")
            if run is not None:
                with _kept(govern, f"here:{getpid()}"):
                    perform(govern, jobs[name], run)
                worked, done = True, done + 1
        while effects.carry_out_next((Lane.INTERACTIVE, Lane.BACKGROUND)):
            worked, done = True, done + 1
        if not worked:
            return done
