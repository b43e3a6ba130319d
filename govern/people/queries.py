"""Reads of people."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.people.models import Identity, Person


def find(session: Session, id_or_email: str) -> Person | None:
    """The person with this id or, compared without case, this address."""
    if "@" in id_or_email:
        return session.scalars(sa.select(Person).where(Person.email == id_or_email.strip().casefold())).one_or_none()
    return session.get(Person, id_or_email)


def get(session: Session, id_or_email: str) -> Person:
    """Like `find`; raises NotFound."""
    person = find(session, id_or_email)
    if person is None:
        raise NotFound(f"There is no person {id_or_email!r}.")
    return person


def get_by_email(session: Session, email: str) -> Person:
    return get(session, email)


def by_identity(session: Session, issuer: str, subject: str) -> tuple[Person, Identity] | None:
    """The person behind a sign-in, and the link itself (it may be blocked)."""
    query = (
        sa.select(Person, Identity)
        .join(Identity, Identity.person_id == Person.id)
        .where(Identity.issuer == issuer, Identity.subject == subject)
    )
    row = session.execute(query).one_or_none()
    return (row[0], row[1]) if row else None


def names(session: Session, person_ids: Sequence[str]) -> dict[str, str]:
    """Id → name, for lists that show many people."""
    rows = session.execute(sa.select(Person.id, Person.name).where(Person.id.in_(person_ids)))
    return {row.id: row.name for row in rows}
