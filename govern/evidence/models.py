"""Evidence and the key that signs it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, deferred, mapped_column

from govern.core.db import Base, UTCDateTime


class EvidenceKey(Base):
    """A pair of Ed25519 keys. `id` is the fingerprint of the public half; the private half is sealed with the ring."""

    __tablename__ = "evidence_keys"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    slot: Mapped[int] = mapped_column(unique=True)
    public_pem: Mapped[str] = mapped_column(sa.Text)
    sealed: Mapped[str] = deferred(mapped_column(sa.Text, nullable=False), raiseload=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Evidence(Base):
    """One signed file, as it is handed out: `file` is never changed. One per kind and subject."""

    __tablename__ = "evidence"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(60))
    subject_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("evidence_keys.id"))
    file: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("kind", "subject_id"),)
