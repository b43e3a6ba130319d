"""Reads of evidence."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.evidence.models import Evidence, EvidenceKey

SEAL = ".seal"
"""How the kind ends of what is signed about the same subject later, when the last witnesses were heard."""


def find(session: Session, kind: str, subject_id: str) -> Evidence | None:
    """The evidence of this kind about the subject."""
    return session.scalars(sa.select(Evidence).where(Evidence.kind == kind, Evidence.subject_id == subject_id)).one_or_none()


def get(session: Session, evidence_id: str | None) -> Evidence:
    """The evidence. Raises NotFound."""
    row = session.get(Evidence, evidence_id) if evidence_id else None
    if row is None:
        raise NotFound("There is no such evidence, or not yet: it is signed when a removal is proven.")
    return row


def recent(session: Session, *, before: str | None = None, limit: int = 50, kind: str | None = None) -> Sequence[Evidence]:
    """Evidence, newest first, older than the id `before`."""
    query = sa.select(Evidence).order_by(Evidence.id.desc()).limit(limit)
    if before:
        query = query.where(Evidence.id < before)
    if kind:
        query = query.where(Evidence.kind == kind)
    return session.scalars(query).all()


def with_seal(session: Session, row: Evidence) -> list[Evidence]:
    """The evidence and its seal, as far as both are signed; asked by either of them."""
    kind = row.kind.removesuffix(SEAL)
    found = (find(session, kind, row.subject_id), find(session, kind + SEAL, row.subject_id))
    return [each for each in found if each is not None]


def public_key(session: Session) -> EvidenceKey:
    """The key that checks evidence and checkpoints. Raises NotFound until something was signed."""
    row = session.scalars(sa.select(EvidenceKey).order_by(EvidenceKey.slot.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFound("Nothing was signed yet; the key is made with the first evidence or checkpoint.")
    return row
