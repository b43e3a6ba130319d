"""JobRun and WorkerHeartbeat."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class RunState(StrEnum):
    """REQUESTED waits for a worker (asked for by hand, or left behind by a worker that died); RUNNING → DONE or FAILED."""

    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRun(Base):
    """One run of one job. (job, slot) is unique: of several workers that start the same slot, one wins the insert.

    `slot` is the beginning of the time box (`2026-03-10T12:00:00Z`), or `manual:<id>` for a run asked for by hand.
    `report` holds counts; `problem` is a sentence without secrets; `progress` is how far it is, `{"what", "done", "total"}`,
    while it runs.
    """

    __tablename__ = "job_runs"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    job: Mapped[str] = mapped_column(sa.String(60))
    slot: Mapped[str] = mapped_column(sa.String(60))
    state: Mapped[RunState] = mapped_column(words(RunState))
    requested_by: Mapped[str | None] = mapped_column(sa.String(200))
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    worker_id: Mapped[str | None] = mapped_column(sa.String(40))
    attempt: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    progress: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    report: Mapped[dict[str, int] | None] = mapped_column(sa.JSON(none_as_null=True))
    problem: Mapped[str | None] = mapped_column(sa.String(500))

    __table_args__ = (
        sa.UniqueConstraint("job", "slot"),
        sa.Index("ix_job_runs_job_finished", "job", "state", "finished_at"),
        sa.Index("ix_job_runs_state", "state"),
    )


class WorkerHeartbeat(Base):
    """A worker process, while it lives. `is_leader`: it holds the lock and is the one that talks to OpenAI."""

    __tablename__ = "worker_heartbeats"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(200))
    is_leader: Mapped[bool]
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
