"""How much of the history was read: the sync ledger beside what is wanted. What is missing is what the next backfill reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.jobs.models import JobRun, RunState
from govern.jobs.queries import find_runs
from govern.jobs.rules import time_left
from govern.sections import Sync
from govern.usage.models import SyncWindow
from govern.usage.rules import COSTS, DAY
from govern.usage.sync import endpoints_of

JOB: Final = "usage.backfill"


class Stage(StrEnum):
    """How the reading of the history stands. STOPPED: nobody is at it, and something is missing. NONE: none is wanted."""

    NONE = "none"
    COMPLETE = "complete"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


SENTENCES: Final = {
    Stage.NONE: "No history is wanted: sync.history_days is 0.",
    Stage.COMPLETE: "All of it was read.",
    Stage.RUNNING: "It is being read, the newest days first. Whatever interrupts it, the next run goes on with what is missing.",
    Stage.WAITING: "It was asked for; the worker begins it when it comes to it.",
    Stage.STOPPED: "It is not being read now. The next run of usage.backfill, within a day, goes on with what is missing.",
}


@dataclass(frozen=True)
class Part:
    """One endpoint: how many of the wanted days were read, whether or not they had rows."""

    endpoint: str
    read: int


@dataclass(frozen=True)
class History:
    """The UTC days `[start, end)` that are wanted. `whole`: so many of them were read of every endpoint. `parts`: each by itself.

    `back_to`: every day from it to the end was read; None where the newest one is missing.
    """

    start: date
    end: date
    whole: int
    back_to: date | None
    parts: Sequence[Part]

    @property
    def days(self) -> int:
        """How many are wanted."""
        return (self.end - self.start).days

    @property
    def complete(self) -> bool:
        return self.whole == self.days

    @property
    def percent(self) -> int:
        """Of all days of all endpoints, rounded down: 100 means that none is missing."""
        wanted = self.days * len(self.parts)
        return 100 * sum(part.read for part in self.parts) // wanted if wanted else 100


@dataclass(frozen=True)
class Standing:
    """The history, and the newest run that reads it. `left` is a guess by how quickly it goes."""

    history: History
    stage: Stage
    left: timedelta | None
    problem: str | None

    @property
    def sentence(self) -> str:
        return SENTENCES[self.stage]


def standing(session: Session, settings: Sync, now: datetime) -> Standing:
    """How the reading of the history stands that the settings want."""
    found = history(session, days=settings.history_days, endpoints=endpoints_of(settings), today=now.date())
    run = next(iter(find_runs(session, job=JOB, limit=1)), None)
    running = run is not None and run.state is RunState.RUNNING and run.started_at is not None
    left = time_left(run.progress, running_for=now - run.started_at) if run and run.started_at and running else None
    stage = stage_of(found, run)
    return Standing(found, stage, left, run.problem if run and stage is Stage.STOPPED else None)


def stage_of(found: History, run: JobRun | None) -> Stage:
    """The stage, by what was read and by the newest run."""
    if not found.days:
        return Stage.NONE
    if found.complete:
        return Stage.COMPLETE
    if run is not None and run.state in (RunState.RUNNING, RunState.REQUESTED):
        return Stage.RUNNING if run.state is RunState.RUNNING else Stage.WAITING
    return Stage.STOPPED


def history(session: Session, *, days: int, endpoints: Sequence[str], today: date) -> History:
    """How much was read of the last `days` days before today, of these usage endpoints and of the bill."""
    w, start, every = SyncWindow, today - days * DAY, (*endpoints, COSTS)
    rows = session.execute(
        sa.select(w.day, w.endpoint).where(
            w.pulled_at.is_not(None), w.day >= start, w.day < today, w.endpoint.in_(every)
        ).distinct()
    )  # fmt: skip
    read: dict[date, set[str]] = {}
    for day, endpoint in rows:
        read.setdefault(day, set()).add(endpoint)
    whole = {day for day, found in read.items() if len(found) == len(set(every))}
    back_to = today
    while back_to - DAY in whole:
        back_to -= DAY
    parts = [Part(endpoint, sum(endpoint in found for found in read.values())) for endpoint in every]
    return History(start, today, len(whole), back_to if back_to < today else None, parts)
