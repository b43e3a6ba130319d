"""Reads of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.walk import START, Anchor
from govern.checkpoints.models import AuditBoundary, AuditSink, Checkpoint


def newest(session: Session) -> Checkpoint | None:
    """The newest checkpoint, None before the first."""
    return session.scalars(sa.select(Checkpoint).order_by(Checkpoint.seq.desc()).limit(1)).one_or_none()


def newest_anchor(session: Session) -> Anchor:
    """Where the next checkpoint begins."""
    row = newest(session)
    return START if row is None else row.anchor


def recent(session: Session, *, before: int | None = None, limit: int = 50) -> Sequence[Checkpoint]:
    """Newest first, of events before the one numbered `before`."""
    query = sa.select(Checkpoint).order_by(Checkpoint.seq.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Checkpoint.seq < before)).all()


def following(session: Session, after: int, limit: int) -> Sequence[Checkpoint]:
    """Oldest first, of events behind the one numbered `after`."""
    return session.scalars(sa.select(Checkpoint).where(Checkpoint.seq > after).order_by(Checkpoint.seq).limit(limit)).all()


def pushed_to(session: Session, sink: str) -> int:
    """Up to which event this sink has the checkpoints; 0 before its first."""
    return session.scalar(sa.select(AuditSink.seq).where(AuditSink.name == sink)) or 0


@dataclass(frozen=True)
class Standing:
    """How a sink stands: up to which event it has the checkpoints, how many it lacks, and what is wrong, since when."""

    name: str
    seq: int
    lacks: int
    pushed_at: datetime | None
    problem: str | None
    failing_since: datetime | None


def standings(session: Session, sinks: Sequence[str]) -> list[Standing]:
    """The sinks with these names (those of the settings), in this order."""
    rows = {row.name: row for row in session.scalars(sa.select(AuditSink))}
    found = []
    for name in sinks:
        row = rows.get(name)
        seq = row.seq if row else 0
        lacks = session.scalar(sa.select(sa.func.count()).select_from(Checkpoint).where(Checkpoint.seq > seq)) or 0
        trouble = (row.pushed_at, row.problem, row.failing_since) if row else (None, None, None)
        found.append(Standing(name, seq, lacks, *trouble))
    return found


def boundary(session: Session) -> AuditBoundary | None:
    """Up to where the log was let go, None where all of it is there."""
    return session.scalars(sa.select(AuditBoundary).order_by(AuditBoundary.seq.desc()).limit(1)).one_or_none()
