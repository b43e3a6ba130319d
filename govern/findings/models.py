"""Finding: one thing that should not be as it is. One row per type and subject; `generation` counts how often it came back."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, Money, UTCDateTime, words


class FindingState(StrEnum):
    """OPEN, ASSIGNED: somebody should look. ACCEPTED: it may stay until a day. FIXING: its end is owed. FIXED: what we did about
    it is proven by a later look. GONE: it ended without us."""

    OPEN = "open"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    FIXING = "fixing"
    FIXED = "fixed"
    GONE = "gone"


PRESENT = (FindingState.OPEN, FindingState.ASSIGNED, FindingState.ACCEPTED, FindingState.FIXING)
WAITING = (FindingState.OPEN, FindingState.ASSIGNED)
"""What an inbox shows by itself."""


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Finding(Base):
    """`fix` names what would end it (`none`: only people can) and `target_id` the row on which that acts."""

    __tablename__ = "findings"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(60), index=True)
    subject_kind: Mapped[str] = mapped_column(sa.String(40))
    subject_id: Mapped[str] = mapped_column(sa.String(200))
    generation: Mapped[int]
    state: Mapped[FindingState] = mapped_column(words(FindingState), index=True)
    severity: Mapped[Severity] = mapped_column(words(Severity))
    label: Mapped[str] = mapped_column(sa.String(300))
    sentence: Mapped[str] = mapped_column(sa.String(500))
    owner_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    assigned_to: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"))
    fix: Mapped[str] = mapped_column(sa.String(40))
    target_id: Mapped[str] = mapped_column(sa.String(200))
    spend_30d: Mapped[Decimal] = mapped_column(Money)
    since_at: Mapped[datetime] = mapped_column(UTCDateTime)
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    accepted_by: Mapped[str | None] = mapped_column(sa.String(120))
    accepted_reason: Mapped[str | None] = mapped_column(sa.String(500))
    accepted_until: Mapped[date | None]
    problem: Mapped[str | None] = mapped_column(sa.String(300))

    __table_args__ = (sa.UniqueConstraint("type", "subject_id"),)
