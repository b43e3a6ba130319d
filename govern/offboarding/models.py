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


class Stage(StrEnum):
    """How far it is, finer than the state. REVOKED: listings twice. SEALED: and no use of the keys reported since."""

    CONTAINED = "contained"
    REMOVING = "removing"
    PROVING = "proving"
    REVOKED = "revoked"
    SEALED = "sealed"


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
    # When complete listings showed nothing of them for the first time; unset again when the second look finds something.
    first_look_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    evidence_id: Mapped[str | None] = mapped_column(sa.String(40))
    sealed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seal_id: Mapped[str | None] = mapped_column(sa.String(40))

    __table_args__ = (
        sa.Index(
            "uq_offboardings_open",
            "email",
            unique=True,
            sqlite_where=sa.text("state = 'contained'"),
            postgresql_where=sa.text("state = 'contained'"),
        ),
    )

    @property
    def stage(self) -> Stage:
        """How far it is."""
        if self.state is OffboardingState.DONE:
            return Stage.SEALED if self.sealed_at is not None else Stage.REVOKED
        if self.first_look_at is not None:
            return Stage.PROVING
        return Stage.REMOVING if self.steps_done else Stage.CONTAINED

    @property
    def steps_done(self) -> int:
        """How many of the steps are through."""
        return sum(step["state"] == "done" for step in self.steps)
