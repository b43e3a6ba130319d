"""The checkpoints that were signed. The database itself refuses to change or delete one (triggers in the migration)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.audit.walk import Anchor
from govern.core.db import Base, UTCDateTime


class Checkpoint(Base):
    """The audit log up to the event `seq`, signed. `line` is what is handed out: one line of JSON with its line break."""

    __tablename__ = "audit_checkpoints"

    seq: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    digest: Mapped[str] = mapped_column(sa.String(64))
    root: Mapped[str] = mapped_column(sa.String(64))
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("evidence_keys.id"))
    line: Mapped[str] = mapped_column(sa.Text)

    @property
    def anchor(self) -> Anchor:
        """What it says of the log."""
        return Anchor(self.seq, self.digest, self.root)


class AuditSink(Base):
    """How far one sink has the checkpoints (`seq`), and since when it fails, if it does. `name`: file, webhook, syslog."""

    __tablename__ = "audit_sinks"

    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    pushed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    receipt: Mapped[str | None] = mapped_column(sa.String(300))
    problem: Mapped[str | None] = mapped_column(sa.String(300))
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AuditBoundary(Base):
    """Up to this event the log was let go, by a signed line of its own. Only up to there does the database delete events."""

    __tablename__ = "audit_boundaries"

    seq: Mapped[int] = mapped_column(sa.ForeignKey("audit_checkpoints.seq"), primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    line: Mapped[str] = mapped_column(sa.Text)
