"""Reads of evidence."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.evidence.models import Evidence, EvidenceKey


def find(session: Session, kind: str, subject_id: str) -> Evidence | None:
    """The evidence of this kind about the subject."""
    return session.scalars(sa.select(Evidence).where(Evidence.kind == kind, Evidence.subject_id == subject_id)).one_or_none()


def get(session: Session, evidence_id: str | None) -> Evidence:
    """The evidence. Raises NotFound."""
    row = session.get(Evidence, evidence_id) if evidence_id else None
    if row is None:
        raise NotFound("There is no such evidence, or not yet: it is signed when a removal is proven.")
    return row


def public_key(session: Session) -> EvidenceKey:
    """The key that checks evidence. Raises NotFound until the first evidence was signed."""
    row = session.scalars(sa.select(EvidenceKey).order_by(EvidenceKey.slot.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound("No evidence was signed yet; its key is made with the first.")
    return row
