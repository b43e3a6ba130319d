"""Notice and its deliveries; and what every delivery has, whatever it tells of."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """PENDING: owed, perhaps after failed attempts. SENT: with a receipt. FAILED: given up; can be sent again by hand.
    DROPPED: it was no longer true when it could be sent."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class Sending:
    """One sending to one address on one channel. Its id is the message's id over all attempts, so a receiver can drop doubles.

    `address` is a mail address, or the host of the webhook: the whole URL may hold a secret and stays in the settings.
    """

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    channel: Mapped[Channel] = mapped_column(words(Channel))
    address: Mapped[str] = mapped_column(sa.String(320))
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    receipt: Mapped[str | None] = mapped_column(sa.String(300))
    problem: Mapped[str | None] = mapped_column(sa.String(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Notice(Base):
    """Something that is told once: at most one per `kind` and `mark`. What it says is kept as it was at that moment.

    `subject_id` is the thing that it is about, `link` an address on the dashboard that begins with a slash.
    """

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(60))
    mark: Mapped[str] = mapped_column(sa.String(200))
    subject_kind: Mapped[str] = mapped_column(sa.String(60))
    subject_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    headline: Mapped[str] = mapped_column(sa.String(200))
    lead: Mapped[str] = mapped_column(sa.String(1000))
    details: Mapped[list[str]] = mapped_column(sa.JSON)
    link: Mapped[str] = mapped_column(sa.String(300))
    link_label: Mapped[str] = mapped_column(sa.String(60))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("kind", "mark"),)


class NoticeDelivery(Sending, Base):
    """One sending of a notice."""

    __tablename__ = "notice_deliveries"

    notice_id: Mapped[str] = mapped_column(sa.ForeignKey("notices.id"))

    __table_args__ = (sa.UniqueConstraint("notice_id", "channel", "address"),)
