"""Approval, and the people named to decide it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class ApprovalState(StrEnum):
    """PENDING → one of the others, for good. FROZEN: whoever asked, or whom it is for, is being removed."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FROZEN = "frozen"


class Approval(Base):
    """Something that waits for somebody else's yes. Rows are never deleted.

    `kind` names the command that a yes carries out (`govern.bootstrap.ACTS`), `facts` what that command needs, without secrets:
    pages show all of it but `ids`, which is for the command alone.
    `mark` is whatever makes two askings the same one. `permission`: whoever holds it over anyone may decide, besides the people
    who are named. `asked_through` is the API token that was used, so that whoever made it does not decide either.
    """

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(60))
    mark: Mapped[str | None] = mapped_column(sa.String(200))
    subject_kind: Mapped[str] = mapped_column(sa.String(60))
    subject_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    summary: Mapped[str] = mapped_column(sa.String(300))
    facts: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    reason: Mapped[str] = mapped_column(sa.String(500))
    permission: Mapped[str | None] = mapped_column(sa.String(60))
    state: Mapped[ApprovalState] = mapped_column(words(ApprovalState), index=True)
    requested_by: Mapped[str] = mapped_column(sa.String(120))
    requested_label: Mapped[str] = mapped_column(sa.String(200))
    requested_person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    asked_through: Mapped[str | None] = mapped_column(sa.String(40))
    for_person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_by: Mapped[str | None] = mapped_column(sa.String(120))
    decided_person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decision_reason: Mapped[str | None] = mapped_column(sa.String(500))
    result_id: Mapped[str | None] = mapped_column(sa.String(120))

    __table_args__ = (
        sa.Index(
            "uq_approvals_pending",
            "kind",
            "mark",
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        ),
    )


class ApprovalApprover(Base):
    """Somebody named to decide one approval."""

    __tablename__ = "approval_approvers"

    approval_id: Mapped[str] = mapped_column(sa.ForeignKey("approvals.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), primary_key=True, index=True)
