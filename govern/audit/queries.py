"""Reads of the audit log."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.models import AuditEvent


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
