"""Batch and its rows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class BatchKind(StrEnum):
    REMOVE = "remove"
    INVITE = "invite"


class RowState(StrEnum):
    """WAITING: to be begun. HELD: waits for a second admin; a person to be removed is contained meanwhile. STARTED: begun by
    this batch; how far it is, the removal or the invite says. ALREADY: it was so before. The others: nothing was done."""

    WAITING = "waiting"
    HELD = "held"
    STARTED = "started"
    ALREADY = "already"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    REPEATED = "repeated"


OPEN_ROWS = (RowState.WAITING, RowState.HELD)


class Batch(Base):
    """One list of people that was sent. Open until every row has its outcome; the same list sent meanwhile is the same batch.

    `digest` is of what was asked for. `approval_id`: rows that are more than one admin may decide alone wait for it;
    `approved_at` is set in the transaction of the yes.
    """

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    kind: Mapped[BatchKind] = mapped_column(words(BatchKind))
    reason: Mapped[str] = mapped_column(sa.String(500))
    digest: Mapped[str] = mapped_column(sa.String(64))
    created_by: Mapped[str] = mapped_column(sa.String(120))
    created_label: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    approval_id: Mapped[str | None] = mapped_column(sa.ForeignKey("approvals.id"))
    approved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_batches_open", "kind", "digest", unique=True,
            sqlite_where=sa.text("finished_at IS NULL"), postgresql_where=sa.text("finished_at IS NULL"),
        ),
    )  # fmt: skip


class BatchRow(Base):
    """One person of a batch. `who` is the address, or what was written instead. `projects` is a list of [project id, role].

    `subject_id` is the removal or the invite that it led to, or found. `needs_yes`: not without the batch's approval.
    """

    __tablename__ = "batch_rows"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    batch_id: Mapped[str] = mapped_column(sa.ForeignKey("batches.id"))
    number: Mapped[int]
    line: Mapped[int]
    who: Mapped[str] = mapped_column(sa.String(320), index=True)
    role: Mapped[str] = mapped_column(sa.String(40))
    projects: Mapped[list[Any]] = mapped_column(sa.JSON)
    state: Mapped[RowState] = mapped_column(words(RowState))
    needs_yes: Mapped[bool] = mapped_column(default=False)
    sentence: Mapped[str | None] = mapped_column(sa.String(300))
    subject_id: Mapped[str | None] = mapped_column(sa.String(40), index=True)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("batch_id", "number"), sa.Index("ix_batch_rows_due", "batch_id", "state"))
