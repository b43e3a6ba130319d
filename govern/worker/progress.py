"""How far a run is, written down now and then for the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from govern.bootstrap import Govern
from govern.core.uow import Actor, ActorKind
from govern.jobs import ledger
from govern.jobs.models import JobRun

Progress = Callable[[str, int, int], None]
"""`progress(what, done, total)`: called by a job as often as it likes."""
WORKER: Final = Actor(ActorKind.JOB, "worker", "worker")
NOT_OFTENER_THAN: Final = 0.5
"""Seconds between writes: watching must not cost more than working."""


def noting(govern: Govern, run: JobRun) -> Progress:
    """A `Progress` that keeps the run's row up to date."""
    noted = float("-inf")

    def note(what: str, done: int, total: int) -> None:
        nonlocal noted
        now = monotonic()
        if now - noted < NOT_OFTENER_THAN:
            return
        noted = now
        with govern.unit_of_work(WORKER) as uow:
            ledger.note_progress(uow, run, what, done, total)

    return note
