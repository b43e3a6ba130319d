"""Key, KeyVersion, Reveal, ObservedKey, Freeze, LeakReport."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, deferred, mapped_column

from govern.core.db import Base, UTCDateTime, words


class KeyState(StrEnum):
    """REQUESTED → LIVE → REVOKING → REVOKED, or REQUESTED → ABORTING → ABORTED. It never goes back.

    REVOKING and ABORTING: contained here, its end at OpenAI owed. REVOKED and ABORTED: proven absent from complete listings.
    """

    REQUESTED = "requested"
    LIVE = "live"
    REVOKING = "revoking"
    REVOKED = "revoked"
    ABORTING = "aborting"
    ABORTED = "aborted"


OPEN_STATES = (KeyState.REQUESTED, KeyState.LIVE)
ENDING_STATES = (KeyState.REVOKING, KeyState.ABORTING)
ENDED_STATES = (KeyState.REVOKED, KeyState.ABORTED)


class KeyKind(StrEnum):
    """PERSONAL: for one person. SHARED: an application's; `person_id` owns it, and entitled people may open it."""

    PERSONAL = "personal"
    SHARED = "shared"


class Key(Base):
    """A credential in one project; its id and name stay while versions come and go. Rows are never deleted."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    kind: Mapped[KeyKind] = mapped_column(words(KeyKind), default=KeyKind.PERSONAL, server_default=KeyKind.PERSONAL.value)
    name: Mapped[str] = mapped_column(sa.String(120))
    state: Mapped[KeyState] = mapped_column(words(KeyState), index=True)
    rotate_every_days: Mapped[int | None]
    requested_by: Mapped[str] = mapped_column(sa.String(120))
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoke_reason: Mapped[str | None] = mapped_column(sa.String(500))
    revoked_by: Mapped[str | None] = mapped_column(sa.String(120))
    revoke_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str | None] = mapped_column(sa.String(300))


class KeyVersion(Base):
    """One native credential: a service account named `govern:<this id>` with one key. The unit of kill, cost and recovery."""

    __tablename__ = "key_versions"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("keys.id"), index=True)
    number: Mapped[int]
    state: Mapped[KeyState] = mapped_column(words(KeyState), index=True)
    lifetime_seconds: Mapped[int]
    # What it may do, as `ports.stored_scopes` writes it. Empty: made before this was chosen, and so for everything.
    scopes: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    service_account_remote_id: Mapped[str | None] = mapped_column(sa.String(120), unique=True)
    remote_id: Mapped[str | None] = mapped_column(sa.String(120), unique=True)
    redacted: Mapped[str | None] = mapped_column(sa.String(120))
    fingerprint: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    # Loading a key must never load its secret by the way: whoever needs it asks for the column by name.
    sealed: Mapped[str | None] = deferred(mapped_column(sa.Text), raiseload=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    issued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revealed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    shredded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    absent_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Set on a version that a newer one replaces: it ends when the newer one was seen in use, or at this time.
    retire_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    seen_in_use_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str | None] = mapped_column(sa.String(500))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("key_id", "number"),)

    @property
    def remote_name(self) -> str:
        """The service account's name at OpenAI, by which a dead attempt's account is found again."""
        return f"govern:{self.id}"


class KeyEntitlement(Base):
    """Somebody who may open a shared key, from when to when. At most one that lasts per key and person."""

    __tablename__ = "key_entitlements"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("keys.id"), index=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    added_by: Mapped[str] = mapped_column(sa.String(120))
    added_at: Mapped[datetime] = mapped_column(UTCDateTime)
    removed_by: Mapped[str | None] = mapped_column(sa.String(120))
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_key_entitlements_open",
            "key_id",
            "person_id",
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        ),
    )


class Reveal(Base):
    """The ledger of who saw which version's value, when and from where."""

    __tablename__ = "reveals"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey("keys.id"), index=True)
    version_id: Mapped[str] = mapped_column(sa.ForeignKey("key_versions.id"))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    actor_label: Mapped[str] = mapped_column(sa.String(200))
    ip: Mapped[str | None] = mapped_column(sa.String(64))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    repeat_mark: Mapped[str | None] = mapped_column(sa.String(64))


class ObservedKey(Base):
    """A project key as OpenAI lists it, ours or not. `version_id` is set when we issued it."""

    __tablename__ = "observed_keys"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    version_id: Mapped[str | None] = mapped_column(sa.ForeignKey("key_versions.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(300))
    redacted: Mapped[str] = mapped_column(sa.String(120))
    owner_kind: Mapped[str] = mapped_column(sa.String(20))
    owner_remote_id: Mapped[str | None] = mapped_column(sa.String(120), index=True)
    owner_name: Mapped[str | None] = mapped_column(sa.String(300))
    access: Mapped[str] = mapped_column(sa.String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class FreezeState(StrEnum):
    """FREEZING → FROZEN → THAWING → THAWED. REFUSED: OpenAI would not; GONE: the key ended meanwhile."""

    FREEZING = "freezing"
    FROZEN = "frozen"
    THAWING = "thawing"
    THAWED = "thawed"
    REFUSED = "refused"
    GONE = "gone"


class ScopesSource(StrEnum):
    """How we know what a key was allowed before: OpenAI's audit log, our own record of issuing it, or not at all."""

    AUDIT_LOG = "audit_log"
    RECORD = "record"
    UNKNOWN = "unknown"


class Freeze(Base):
    """One native key stopped by narrowing its scopes, ours or not. At most one that lasts per key.

    `original` and `restore` are what `ports.stored_scopes` writes: the word "all", or the scopes by name. Empty: not known.
    """

    __tablename__ = "freezes"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"))
    version_id: Mapped[str | None] = mapped_column(sa.ForeignKey("key_versions.id"), index=True)
    state: Mapped[FreezeState] = mapped_column(words(FreezeState))
    reason: Mapped[str] = mapped_column(sa.String(500))
    requested_by: Mapped[str] = mapped_column(sa.String(120))
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    original: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    original_source: Mapped[ScopesSource | None] = mapped_column(words(ScopesSource))
    frozen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Set when OpenAI's own audit log shows the change; its answer alone proves little.
    proven_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    restore: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    thaw_reason: Mapped[str | None] = mapped_column(sa.String(500))
    thawed_by: Mapped[str | None] = mapped_column(sa.String(120))
    thaw_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str | None] = mapped_column(sa.String(300))

    __table_args__ = (
        sa.Index(
            "uq_freezes_open",
            "remote_id",
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )


class LeakState(StrEnum):
    """SEARCHING: OpenAI is being asked whose it is. FOUND: one of ours, or one that is listed. DEAD: OpenAI does not accept it.
    ELSEWHERE: it works, but no key that we have seen listed is this one. UNANSWERED: OpenAI could not be asked in time, so
    nothing is known and the value is destroyed."""

    SEARCHING = "searching"
    FOUND = "found"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"
    UNANSWERED = "unanswered"


class LeakRemedy(StrEnum):
    """What is done with a leaked key that is found."""

    REVOKE = "revoke"
    FREEZE = "freeze"
    NOTHING = "nothing"


class LeakReport(Base):
    """Somebody pasted a key that got out. The value is here only sealed, only while OpenAI is asked about it, then destroyed."""

    __tablename__ = "leak_reports"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    state: Mapped[LeakState] = mapped_column(words(LeakState))
    remedy: Mapped[LeakRemedy] = mapped_column(words(LeakRemedy))
    successor: Mapped[bool]
    sealed: Mapped[str | None] = deferred(mapped_column(sa.Text), raiseload=True)
    reported_by: Mapped[str] = mapped_column(sa.String(120), index=True)
    reported_at: Mapped[datetime] = mapped_column(UTCDateTime)
    key_id: Mapped[str | None] = mapped_column(sa.ForeignKey("keys.id"))
    observed_id: Mapped[str | None] = mapped_column(sa.ForeignKey("observed_keys.id"))
    owner: Mapped[str | None] = mapped_column(sa.String(300))
    outcome: Mapped[str | None] = mapped_column(sa.String(500))
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
