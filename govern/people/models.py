"""Person and the ways in which a person is known."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, deferred, mapped_column

from govern.core.db import Base, UTCDateTime, words


class PersonState(StrEnum):
    """ACTIVE may hold keys; SUSPENDED is cut off for a while; LEAVING is contained, a removal under way; LEFT is proven gone."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEAVING = "leaving"
    LEFT = "left"


class Person(Base):
    """An employee. `email` is case-folded and unique; `generation` counts returns: someone re-hired starts anew."""

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(320), unique=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[PersonState] = mapped_column(words(PersonState), default=PersonState.ACTIVE)
    generation: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When an imported directory named them last, and from which day on they are no longer with the company.
    directory_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ends_on: Mapped[date | None]
    # Set where somebody here set the end date: a directory that does not know of it leaves it alone.
    ends_by_hand: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # Since when a directory that was complete has not named them.
    directory_gone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Identity(Base):
    """A sign-in of a person: issuer and subject, never the e-mail address."""

    __tablename__ = "identities"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    issuer: Mapped[str] = mapped_column(sa.String(300))
    subject: Mapped[str] = mapped_column(sa.String(300))
    linked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)


class Assignment(Base):
    """Where a person stood from a day on: team, cost centre, manager. Half-open: `until_on` is the first day it is over."""

    __tablename__ = "assignments"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey("people.id"), index=True)
    team: Mapped[str | None] = mapped_column(sa.String(200))
    cost_centre: Mapped[str | None] = mapped_column(sa.String(200))
    manager_id: Mapped[str | None] = mapped_column(sa.ForeignKey("people.id"))
    from_on: Mapped[date]
    until_on: Mapped[date | None]

    __table_args__ = (sa.UniqueConstraint("person_id", "from_on"),)


class ImportState(StrEnum):
    """DRAFT: read and shown, nothing changed yet; it is forgotten after a day. DONE: carried out."""

    DRAFT = "draft"
    DONE = "done"


class DirectoryImport(Base):
    """One directory file. `text` is kept while it is a draft only; `rows` tell afterwards what became of each that changed
    something or could not be used."""

    __tablename__ = "directory_imports"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    state: Mapped[ImportState] = mapped_column(words(ImportState))
    file_name: Mapped[str] = mapped_column(sa.String(200))
    complete: Mapped[bool]
    effective_on: Mapped[date]
    text: Mapped[str | None] = deferred(mapped_column(sa.Text))
    remark: Mapped[str | None] = mapped_column(sa.String(300))
    made_by: Mapped[str] = mapped_column(sa.String(120))
    made_label: Mapped[str] = mapped_column(sa.String(200))
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    counts: Mapped[dict[str, int]] = mapped_column(sa.JSON)
    rows: Mapped[list[dict[str, Any]]] = deferred(mapped_column(sa.JSON, nullable=False))
    missing: Mapped[list[str]] = deferred(mapped_column(sa.JSON, nullable=False))
    notes: Mapped[list[str]] = mapped_column(sa.JSON)
