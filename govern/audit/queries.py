"""Reads of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.chain import Link, instant
from govern.audit.models import AuditEvent, AuditHead

STEP: Final = 1000
"""Events per read, where all of the log is read: memory stays flat."""
_COLUMNS: Final = tuple(AuditEvent.__table__.c[name] for name in Link._fields)


def events(
    session: Session,
    *,
    before: int | None = None,
    limit: int = 50,
    subject_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
) -> Sequence[AuditEvent]:
    """Newest first, older than the event numbered `before`. `action` matches whole (`key.revoked`) or as a prefix (`key.`)."""
    query = sa.select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.seq < before)
    if subject_id:
        query = query.where(AuditEvent.subject_id == subject_id)
    if actor_id:
        query = query.where(AuditEvent.actor_id == actor_id)
    if action:
        prefix = action.endswith(".")
        query = query.where(AuditEvent.action.startswith(action, autoescape=True) if prefix else AuditEvent.action == action)
    return session.scalars(query).all()


def newest(session: Session) -> int:
    """The number of the newest event; 0 before the first."""
    return session.execute(sa.select(AuditHead.seq)).scalar_one()


def links(session: Session, *, after: int, until: int) -> list[Link]:
    """The next events behind the one numbered `after`, up to `until`, as the chain sees them, oldest first: at most STEP.

    Rows and not objects, since all of the log may be read so.
    """
    query = sa.select(*_COLUMNS).where(AuditEvent.seq > after, AuditEvent.seq <= until).order_by(AuditEvent.seq).limit(STEP)
    return [Link(row[0], row[1], instant(row[2]), *row[3:]) for row in session.execute(query)]
