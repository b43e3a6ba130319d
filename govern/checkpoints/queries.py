"""Reads of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.walk import START, Anchor
from govern.checkpoints.models import Checkpoint


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
