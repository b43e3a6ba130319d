"""Offboarding and its steps."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class OffboardingState(StrEnum):
    """CONTAINED: cut off here, the ends at OpenAI owed. DONE: complete listings show nothing of them any more."""

    CONTAINED = "contained"
    DONE = "done"


class Offboarding(Base):
    """One removal. `steps` holds per step what was found, ended and verified, in the order in which they run."""

    __tablename__ = "offboardings"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(320), index=True)
    person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    member_remote_id: Mapped[str | None] = mapped_column(sa.String(120))
    state: Mapped[OffboardingState] = mapped_column(words(OffboardingState))
    reason: Mapped[str] = mapped_column(sa.String(500))
    started_by: Mapped[str] = mapped_column(sa.String(120))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    waiting_for: Mapped[str | None] = mapped_column(sa.String(300))
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_offboardings_open",
            "email",
            unique=True,
            sqlite_where=sa.text("state = 'contained'"),
            postgresql_where=sa.text("state = 'contained'"),
        ),
    )
