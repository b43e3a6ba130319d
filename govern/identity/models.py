"""The tables of identity. Cookies, tokens and links are never in here, only keyed hashes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, deferred, mapped_column

from govern.core.db import Base, UTCDateTime


class Standing(Base):
    """The roles that a person has now, as last decided by `source` (an issuer, or a set-up link). Tokens are measured by it."""

    __tablename__ = "standings"

    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), primary_key=True)
    roles: Mapped[list[str]] = mapped_column(sa.JSON)
    source: Mapped[str] = mapped_column(sa.String(300))
    decided_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Session(Base):
    """A signed-in browser. `roles` is what the sign-in gave; what counts is that and the person's standing, whichever is less."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    roles: Mapped[list[str]] = mapped_column(sa.JSON)
    issuer: Mapped[str | None] = mapped_column(sa.String(300))
    subject: Mapped[str | None] = mapped_column(sa.String(300))
    sid: Mapped[str | None] = mapped_column(sa.String(300), index=True)
    # Sent back to the provider at sign-out, so that it knows whose sign-in to end.
    id_token_sealed: Mapped[str | None] = deferred(mapped_column(sa.Text), raiseload=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    auth_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ip: Mapped[str | None] = mapped_column(sa.String(64))
    agent: Mapped[str | None] = mapped_column(sa.String(200))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    end_reason: Mapped[str | None] = mapped_column(sa.String(60))


class ApiToken(Base):
    """A bearer token. It acts for `person_id`, or for the system where that is empty; `maker_id` or `parent_id` made it.

    What it may do now is the least of its `permissions`, its owner's standing, its maker's standing and its parent token.
    """

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    prefix: Mapped[str] = mapped_column(sa.String(16))
    name: Mapped[str] = mapped_column(sa.String(120))
    person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    maker_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("api_tokens.id"), index=True)
    permissions: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_by: Mapped[str | None] = mapped_column(sa.String(120))


class SetupLink(Base):
    """A link that signs one person in once, with these roles: the first administrator, or the way in when the provider fails."""

    __tablename__ = "setup_links"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    email: Mapped[str] = mapped_column(sa.String(320))
    name: Mapped[str] = mapped_column(sa.String(200))
    roles: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SignIn(Base):
    """A sign-in under way: what the browser may not see. `hash` is of the state, `browser_hash` of the browser's cookie."""

    __tablename__ = "sign_ins"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(sa.String(64))
    sealed: Mapped[str] = mapped_column(sa.Text)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class SpentLogoutToken(Base):
    """A back-channel logout token that was acted on, so that it is not acted on twice."""

    __tablename__ = "spent_logout_tokens"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class Request(Base):
    """A request that carried an Idempotency-Key, in the transaction of what it did. `status` is empty until it was answered.

    `body` is empty for an answer that was not final, and for one that held a secret: those are made anew.
    """

    __tablename__ = "requests"

    principal_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    subject_id: Mapped[str | None] = mapped_column(sa.String(120))
    status: Mapped[int | None]
    headers: Mapped[dict[str, str] | None] = mapped_column(sa.JSON)
    body: Mapped[Any | None] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class DeviceCode(Base):
    """A device that asks to act for somebody. Gone as soon as its tokens are made.

    `hash` is of the code that the device polls with, `user_hash` of the short one that a person types. `approved` is empty
    until somebody decided, and `person_id` is who did.
    """

    __tablename__ = "device_codes"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    user_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    client_id: Mapped[str] = mapped_column(sa.String(80))
    name: Mapped[str] = mapped_column(sa.String(80))
    permissions: Mapped[list[str]] = mapped_column(sa.JSON)
    ip: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    # Stored and not counted in a process: a device may reach another replica at each poll.
    interval_seconds: Mapped[int]
    polled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    person_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"), index=True)
    approved: Mapped[bool | None]
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class CodeGuess(Base):
    """A short code that somebody typed and that is none. Counted over all replicas, so that nobody can try many."""

    __tablename__ = "code_guesses"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Device(Base):
    """A device that acts for a person, within `permissions` and for themself only: the family of all its tokens."""

    __tablename__ = "devices"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    client_id: Mapped[str] = mapped_column(sa.String(80))
    name: Mapped[str] = mapped_column(sa.String(80))
    permissions: Mapped[list[str]] = mapped_column(sa.JSON)
    ip: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_from: Mapped[str | None] = mapped_column(sa.String(64))
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_by: Mapped[str | None] = mapped_column(sa.String(120))
    end_reason: Mapped[str | None] = mapped_column(sa.String(60))


class DeviceToken(Base):
    """One token of a device. A refresh token that was exchanged stays, spent, so that a copy of it is noticed."""

    __tablename__ = "device_tokens"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    device_id: Mapped[str] = mapped_column(sa.ForeignKey("devices.id"), index=True)
    refreshes: Mapped[bool]
    permissions: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    spent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
