"""Policy: an administrator's limits on keys, for the organization, a project or a group."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, UTCDateTime, words


class PolicyScope(StrEnum):
    """What a policy is about. A group is one of OpenAI's, as the inventory mirrors it."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    GROUP = "group"


class Policy(Base):
    """At most one in force for each thing. An empty column says nothing about that; several rows together: the strictest wins.

    `most_keys` counts a person's own keys: of an organization's or a group's policy all of them, of a project's those in it.
    `scopes` is what `ports.stored_scopes` writes. `approvers`: the words "manager" and "admins", and ids of people.
    `scope_id` is empty for the organization. A row that is no longer in force stays, with `removed_at`.
    """

    __tablename__ = "policies"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    scope: Mapped[PolicyScope] = mapped_column(words(PolicyScope))
    scope_id: Mapped[str] = mapped_column(sa.String(40))
    longest_days: Mapped[int | None]
    most_keys: Mapped[int | None]
    scopes: Mapped[Any | None] = mapped_column(sa.JSON(none_as_null=True))
    self_service: Mapped[bool | None]
    approvers: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    changed_by: Mapped[str] = mapped_column(sa.String(120))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_policies_in_force",
            "scope",
            "scope_id",
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        ),
    )
