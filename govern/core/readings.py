"""A ledger of complete readings: which listing of a sweep was read to its end, and when.

A sweep over an organization is hundreds of listings. One that was interrupted is taken up where it was: what it had read is
not asked for again, what was not read for longest comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from govern.core.db import Base, UTCDateTime
from govern.core.uow import UnitOfWork

STALE: Final = timedelta(minutes=30)
"""An interrupted sweep older than this is begun anew: what it read first says too little about now."""


class Reading(Base):
    """One listing, or (with an empty `listing`) the sweep itself. `number` counts the sweeps."""

    __tablename__ = "readings"

    sweep: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    listing: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    number: Mapped[int]
    began_at: Mapped[datetime] = mapped_column(UTCDateTime)
    complete_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


def begin(uow: UnitOfWork, sweep: str) -> int:
    """The number of the sweep to be made: that of an interrupted one, else the next."""
    row = uow.session.get(Reading, (sweep, ""))
    if row is None:
        row = Reading(sweep=sweep, listing="", number=0, began_at=uow.now, complete_at=uow.now)
        uow.session.add(row)
    if row.complete_at is not None or uow.now - row.began_at > STALE:
        row.number, row.began_at, row.complete_at = row.number + 1, uow.now, None
    return row.number


def note(uow: UnitOfWork, sweep: str, number: int, listing: str) -> None:
    """The listing was read to its end; call it in the transaction that stores it."""
    row = uow.session.get(Reading, (sweep, listing))
    if row is None:
        row = Reading(sweep=sweep, listing=listing, number=number, began_at=uow.now)
        uow.session.add(row)
    row.number, row.began_at, row.complete_at = number, uow.now, uow.now


def finish(uow: UnitOfWork, sweep: str, number: int) -> None:
    """Every listing of the sweep is through."""
    row = uow.session.get_one(Reading, (sweep, ""))
    if row.number == number:
        row.complete_at = uow.now


def waiting(session: Session, sweep: str, number: int, listings: Iterable[str]) -> list[str]:
    """Those that this sweep has not read, the one that was not read for longest first."""
    known = _known(session, sweep)
    return _by_age(known, (each for each in listings if each not in known or known[each].number != number))


def older_than(session: Session, sweep: str, at: datetime, listings: Iterable[str]) -> list[str]:
    """Those that were not read since that time, the one that was not read for longest first."""
    known = _known(session, sweep)
    return _by_age(known, (each for each in listings if each not in known or (known[each].complete_at or at) <= at))


def _known(session: Session, sweep: str) -> dict[str, Reading]:
    return {row.listing: row for row in session.scalars(sa.select(Reading).where(Reading.sweep == sweep))}


def _by_age(known: Mapping[str, Reading], listings: Iterable[str]) -> list[str]:
    def age(listing: str) -> float:
        row = known.get(listing)
        return row.complete_at.timestamp() if row and row.complete_at else 0.0

    return sorted(listings, key=age)


def completed_at(session: Session, sweep: str) -> datetime | None:
    """When the last whole sweep ended; None while there was none, or while one is under way."""
    row = session.get(Reading, (sweep, ""))
    return row.complete_at if row and row.number else None
