"""Member and Invite."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class Member(Base):
    """A seat as last seen at OpenAI. `person_id` is set when the address belongs to a person we know."""

    __tablename__ = "members"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    email: Mapped[str | None] = mapped_column(sa.String(320), index=True)
    name: Mapped[str | None] = mapped_column(sa.String(200))
    role: Mapped[str] = mapped_column(sa.String(40))
    is_service_account: Mapped[bool] = mapped_column(default=False)
    is_scim_managed: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class InviteState(StrEnum):
    """REQUESTED: owed; PENDING: at OpenAI, unanswered; CANCELLING: its end is owed; REFUSED: OpenAI said no."""

    REQUESTED = "requested"
    PENDING = "pending"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REFUSED = "refused"


OPEN_INVITES = (InviteState.REQUESTED, InviteState.PENDING, InviteState.CANCELLING)


class Invite(Base):
    """A seat offered. At most one open invite per address. `projects` is a list of `{"id": remote id, "role": …}`."""

    __tablename__ = "invites"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str | None] = mapped_column(sa.String(120), unique=True)
    email: Mapped[str] = mapped_column(sa.String(320), index=True)
    role: Mapped[str] = mapped_column(sa.String(40))
    projects: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    state: Mapped[InviteState] = mapped_column(words(InviteState))
    problem: Mapped[str | None] = mapped_column(sa.String(300))
    issued_by_us: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_invites_open",
            "email",
            unique=True,
            sqlite_where=sa.text("state IN ('requested', 'pending', 'cancelling')"),
            postgresql_where=sa.text("state IN ('requested', 'pending', 'cancelling')"),
        ),
    )
