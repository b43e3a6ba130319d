"""Offboarding, its steps, and what the person held at OpenAI."""

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


class Kind(StrEnum):
    """What a person may hold at OpenAI; each is also the name of a step.

    KEYS: service accounts that we made for them, each with its one key. SERVICE_ACCOUNTS: others of the same names.
    """

    KEYS = "keys"
    SERVICE_ACCOUNTS = "service_accounts"
    ADMIN_KEYS = "admin_keys"
    FEDERATION_RULES = "federation_rules"
    INVITES = "invites"
    PERSONAL_KEYS = "personal_keys"
    ROLES = "roles"
    GROUPS = "groups"
    MEMBERSHIPS = "memberships"
    SEAT = "seat"


class Offboarding(Base):
    """One removal. `steps` holds per step what was found, ended and verified, in the order in which they run.

    `listings` is the ledger of its proof: the name of a listing → when it was read to its end and showed nothing of them.
    `cleared`: before any membership was taken; `first` and `second`: after the seat. A listing that shows something begins anew.
    """

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
    listings: Mapped[dict[str, dict[str, str]]] = mapped_column(sa.JSON, default=dict)
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


class SuspensionState(StrEnum):
    """SUSPENDED until RESUMED, or until REMOVED instead."""

    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REMOVED = "removed"


class KeyFate(StrEnum):
    """What becomes of the keys of somebody who is suspended. Only FREEZE is given back."""

    FREEZE = "freeze"
    REVOKE = "revoke"
    LEAVE = "leave"


class Suspension(Base):
    """Somebody cut off for a while. At most one that lasts per person.

    `freezes` are the freezes that it began, so that exactly those are thawed; `remains` what it could not stop, in sentences.
    """

    __tablename__ = "suspensions"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    email: Mapped[str] = mapped_column(sa.String(320))
    state: Mapped[SuspensionState] = mapped_column(words(SuspensionState))
    fate: Mapped[KeyFate] = mapped_column(words(KeyFate))
    reason: Mapped[str] = mapped_column(sa.String(500))
    started_by: Mapped[str] = mapped_column(sa.String(120))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    freezes: Mapped[list[str]] = mapped_column(sa.JSON)
    revoked: Mapped[list[str]] = mapped_column(sa.JSON)
    remains: Mapped[list[str]] = mapped_column(sa.JSON)
    ended_by: Mapped[str | None] = mapped_column(sa.String(120))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    end_reason: Mapped[str | None] = mapped_column(sa.String(500))

    __table_args__ = (
        sa.Index(
            "uq_suspensions_open",
            "person_id",
            unique=True,
            sqlite_where=sa.text("state = 'suspended'"),
            postgresql_where=sa.text("state = 'suspended'"),
        ),
    )


class Holding(Base):
    """One thing that the person held at OpenAI, from when it was found to when its end was proven.

    `place` is the project, group or provider in which it stands, else empty. `asked_at`: OpenAI took the deletion, which proves
    nothing; taken back when a listing still shows it. `refusal`: what OpenAI said instead. `proven_at`: complete listings,
    twice. `key_remote_id`: the key of a service account that we made.
    """

    __tablename__ = "offboarding_holdings"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    offboarding_id: Mapped[str] = mapped_column(sa.ForeignKey("offboardings.id"), index=True)
    kind: Mapped[Kind] = mapped_column(words(Kind))
    place: Mapped[str] = mapped_column(sa.String(120))
    remote_id: Mapped[str] = mapped_column(sa.String(200))
    name: Mapped[str | None] = mapped_column(sa.String(300))
    key_remote_id: Mapped[str | None] = mapped_column(sa.String(120))
    found_at: Mapped[datetime] = mapped_column(UTCDateTime)
    asked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    refusal: Mapped[str | None] = mapped_column(sa.String(300))
    proven_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("offboarding_id", "kind", "place", "remote_id"),)
