"""Admin keys, groups, roles, federation, provider events. Rows mirror OpenAI: `vanished_at` says since when one is not listed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime


class AdminKey(Base):
    """A key that administers the whole organization. `is_ours`: the one with which this service calls."""

    __tablename__ = "admin_keys"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    name: Mapped[str] = mapped_column(sa.String(300))
    redacted: Mapped[str] = mapped_column(sa.String(120))
    owner_remote_id: Mapped[str | None] = mapped_column(sa.String(120), index=True)
    owner_name: Mapped[str | None] = mapped_column(sa.String(300))
    is_ours: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Group(Base):
    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    name: Mapped[str] = mapped_column(sa.String(300))
    is_scim_managed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class GroupMember(Base):
    """A member's place in a group, by OpenAI's user id."""

    __tablename__ = "group_members"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("groups.id"), index=True)
    member_remote_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("group_id", "member_remote_id"),)


class ProjectGroup(Base):
    """A group's place in a project."""

    __tablename__ = "project_groups"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    group_remote_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("project_id", "group_remote_id"),)


class RoleAssignment(Base):
    """A role that a user or a group holds. `project_remote_id` is empty for the organization; `through` are group ids."""

    __tablename__ = "role_assignments"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    principal_kind: Mapped[str] = mapped_column(sa.String(20))
    principal_remote_id: Mapped[str] = mapped_column(sa.String(120))
    project_remote_id: Mapped[str] = mapped_column(sa.String(120))
    role_remote_id: Mapped[str] = mapped_column(sa.String(120))
    role: Mapped[str] = mapped_column(sa.String(300))
    permissions: Mapped[list[str]] = mapped_column(sa.JSON)
    is_predefined: Mapped[bool]
    through: Mapped[list[str]] = mapped_column(sa.JSON)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_role_assignments", "principal_kind", "principal_remote_id", "project_remote_id", "role_remote_id", unique=True
        ),
    )


class FederationProvider(Base):
    """An identity provider whose tokens become OpenAI's."""

    __tablename__ = "federation_providers"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    name: Mapped[str] = mapped_column(sa.String(300))
    issuer: Mapped[str] = mapped_column(sa.String(500))
    audience: Mapped[str] = mapped_column(sa.String(500))
    enabled: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class FederationRule(Base):
    """Whose tokens become which service account. `scopes` empty: everything that the account may do."""

    __tablename__ = "federation_rules"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    provider_id: Mapped[str] = mapped_column(sa.ForeignKey("federation_providers.id"), index=True)
    project_remote_id: Mapped[str] = mapped_column(sa.String(120))
    service_account_remote_id: Mapped[str] = mapped_column(sa.String(120), index=True)
    name: Mapped[str | None] = mapped_column(sa.String(300))
    enabled: Mapped[bool]
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    matchers: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Verdict(StrEnum):
    """Who made a change that OpenAI's audit log tells of.

    OURS: a call of this service explains it. OUR_KEY: made with the admin key of this service, but by no call of it: somebody
    else uses the key. AROUND_US: made by anybody else. BEFORE: made with that key before this service watched.
    """

    OURS = "ours"
    OUR_KEY = "our_key"
    AROUND_US = "around_us"
    BEFORE = "before"


class ProviderEvent(Base):
    """An event of OpenAI's audit log.

    `is_ours`: explained by the call `call_id`, found by what `joined_by` says. `by_our_key`: made with the admin key of this
    service. `is_history`: it was there when the log was read for the first time, so nobody can be asked to have watched.
    """

    __tablename__ = "provider_events"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    remote_id: Mapped[str] = mapped_column(sa.String(200), unique=True)
    type: Mapped[str] = mapped_column(sa.String(120), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    project_remote_id: Mapped[str | None] = mapped_column(sa.String(120))
    resource_remote_id: Mapped[str | None] = mapped_column(sa.String(200), index=True)
    actor_kind: Mapped[str | None] = mapped_column(sa.String(40))
    actor_remote_id: Mapped[str | None] = mapped_column(sa.String(120))
    actor_email: Mapped[str | None] = mapped_column(sa.String(320))
    actor_key_remote_id: Mapped[str | None] = mapped_column(sa.String(120))
    request_id: Mapped[str | None] = mapped_column(sa.String(200))
    is_ours: Mapped[bool]
    by_our_key: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    call_id: Mapped[str | None] = mapped_column(sa.String(40), index=True)
    joined_by: Mapped[str | None] = mapped_column(sa.String(20))
    is_history: Mapped[bool]
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)

    @property
    def verdict(self) -> Verdict:
        if self.is_ours:
            return Verdict.OURS
        if not self.by_our_key:
            return Verdict.AROUND_US
        return Verdict.BEFORE if self.is_history else Verdict.OUR_KEY


class EventLog(Base):
    """How far OpenAI's audit log was read; one row. `is_on` false: the organization has not switched it on.

    `known_from`: what happened before is not known here. `read_until`: what had been written down by then is.
    """

    __tablename__ = "event_log"

    id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    is_on: Mapped[bool]
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    known_from: Mapped[datetime | None] = mapped_column(UTCDateTime)
    read_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Adoption(Base):
    """A key that we did not issue and that somebody answers for from now on. At most one that lasts per key."""

    __tablename__ = "adoptions"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key_remote_id: Mapped[str] = mapped_column(sa.String(120), unique=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(500))
    adopted_by: Mapped[str] = mapped_column(sa.String(120))
    adopted_at: Mapped[datetime] = mapped_column(UTCDateTime)
