"""Whether the ring of sealing keys is the one that this database was sealed with.

A wrong ring must be noticed at start-up, not at the first reveal: each active key leaves a sealed constant here, and a
process whose ring does not open them refuses to write.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from govern.core.crypto import CannotOpen, Place, Secret, SecretBox
from govern.core.db import Base, UTCDateTime
from govern.core.errors import InvalidInput
from govern.core.uow import UnitOfWork

_CONSTANT: Final = "govern sealing check"


class SealingCheck(Base):
    """A constant sealed with the key `kid`, and its fingerprint under the ring's root."""

    __tablename__ = "sealing_checks"

    kid: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    sealed: Mapped[str] = mapped_column(sa.Text)
    root: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


def check_ring(session: Session, box: SecretBox) -> None:
    """Raise InvalidInput if this database was sealed with keys that the ring lacks, or with other keys of the same name."""
    for row in session.scalars(sa.select(SealingCheck)):
        try:
            box.open(row.sealed, _place(row.kid))
        except CannotOpen as error:
            raise InvalidInput(
                f"The sealing ring does not open what this database holds under key {row.kid!r}. "
                "Put that key back into GOVERN_SEALING_KEYS; without it sealed secrets and sessions cannot be read."
            ) from error
        if row.root != _root(box):
            raise InvalidInput("The last key of the sealing ring must stay the last: fingerprints of tokens hang on it.")


def note_ring(uow: UnitOfWork) -> None:
    """Check the ring, then leave the constant of a key that is active for the first time."""
    check_ring(uow.session, uow.box)
    if uow.session.get(SealingCheck, uow.box.active) is None:
        sealed = uow.box.seal(Secret(_CONSTANT), _place(uow.box.active))
        uow.session.add(SealingCheck(kid=uow.box.active, sealed=sealed, root=_root(uow.box), created_at=uow.now))


def _place(kid: str) -> Place:
    return Place("sealing_checks", "sealed", kid)


def _root(box: SecretBox) -> str:
    return box.fingerprint("sealing-root", _CONSTANT)
