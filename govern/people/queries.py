"""Reads of people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.core.errors import NotFound
from govern.people.models import Assignment, DirectoryImport, Identity, Person, PersonState


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


def emails(session: Session, person_ids: Collection[str]) -> dict[str, str]:
    """Id → address."""
    return {row.id: row.email for row in session.execute(sa.select(Person.id, Person.email).where(Person.id.in_(person_ids)))}


class Listed(StrEnum):
    """Whether the directory names somebody: NAMED by the last import that could, GONE from a complete one, NEVER in any."""

    NAMED = "named"
    GONE = "gone"
    NEVER = "never"


def listed(person: Person) -> Listed:
    """How the directory stands to the person."""
    if person.directory_gone_at is not None:
        return Listed.GONE
    return Listed.NEVER if person.directory_at is None else Listed.NAMED


def find_people(
    session: Session, *, after: str | None = None, limit: int = 50, search: str | None = None, team: str | None = None,
    state: PersonState | None = None, directory: Listed | None = None, ending: bool = False,
    person_ids: Collection[str] | None = None, on: date,
) -> Sequence[Person]:  # fmt: skip
    """People in the order of their ids, after the id `after`.

    `search` looks into address and name, without case; `team` is where they stand on the day `on`; `ending`: only those with
    an end date.
    """
    query = sa.select(Person).order_by(Person.id).limit(limit)
    if after:
        query = query.where(Person.id > after)
    if search:
        query = query.where(sa.or_(*(column.icontains(search, autoescape=True) for column in (Person.email, Person.name))))
    if team:
        query = query.where(Person.id.in_(sa.select(Assignment.person_id).where(Assignment.team == team, _holds(on))))
    if state:
        query = query.where(Person.state == state)
    if directory is Listed.GONE:
        query = query.where(Person.directory_gone_at.is_not(None))
    elif directory is Listed.NAMED:
        query = query.where(Person.directory_gone_at.is_(None), Person.directory_at.is_not(None))
    elif directory is Listed.NEVER:
        query = query.where(Person.directory_gone_at.is_(None), Person.directory_at.is_(None))
    if ending:
        query = query.where(Person.ends_on.is_not(None))
    if person_ids is not None:
        query = query.where(Person.id.in_(person_ids))
    return session.scalars(query).all()


def _holds(on: date) -> sa.ColumnElement[bool]:
    return sa.and_(Assignment.from_on <= on, sa.or_(Assignment.until_on.is_(None), Assignment.until_on > on))


def standing(session: Session, person_ids: Collection[str], on: date) -> dict[str, Assignment]:
    """Person id → where they stand on that day; who stands nowhere is not in it."""
    rows = session.scalars(sa.select(Assignment).where(Assignment.person_id.in_(person_ids), _holds(on)))
    return {row.person_id: row for row in rows}


def assignments_of(session: Session, person_id: str) -> Sequence[Assignment]:
    """Where the person stood, the latest first."""
    query = sa.select(Assignment).where(Assignment.person_id == person_id)
    return session.scalars(query.order_by(Assignment.from_on.desc())).all()


def described(session: Session, page: Sequence[Person], on: date) -> list[dict[str, Any]]:
    """The people of a page with where they stand on that day, as every door tells it."""
    places = standing(session, [person.id for person in page], on)
    managers = emails(session, [place.manager_id for place in places.values() if place.manager_id])
    rows: list[dict[str, Any]] = []
    for person in page:
        place = places.get(person.id)
        rows.append(
            {
                "id": person.id, "email": person.email, "name": person.name, "state": person.state,
                "team": place.team if place else None, "cost_centre": place.cost_centre if place else None,
                "manager": managers.get(place.manager_id) if place and place.manager_id else None,
                "directory": listed(person), "ends_on": person.ends_on, "ends_by_hand": person.ends_by_hand,
                "created_at": person.created_at,
            }
        )  # fmt: skip
    return rows


def history(session: Session, person_id: str) -> list[dict[str, Any]]:
    """Where the person stood from day to day, the latest first, as every door tells it."""
    places = assignments_of(session, person_id)
    managers = emails(session, [place.manager_id for place in places if place.manager_id])
    return [
        {
            "from_on": place.from_on, "until_on": place.until_on, "team": place.team, "cost_centre": place.cost_centre,
            "manager": managers.get(place.manager_id) if place.manager_id else None,
        }
        for place in places
    ]  # fmt: skip


def manager_of(session: Session, person_id: str, on: date) -> Person | None:
    """Whom the person reports to on that day, if they are still with the company."""
    query = sa.select(Person).join(Assignment, Assignment.manager_id == Person.id).where(Assignment.person_id == person_id)
    return session.scalars(query.where(_holds(on), Person.state == PersonState.ACTIVE)).first()


def direct_reports(session: Session, person_id: str, on: date, *, limit: int = 200) -> Sequence[Person]:
    """Who reports straight to the person on that day, by name."""
    query = sa.select(Person).join(Assignment, Assignment.person_id == Person.id).where(Assignment.manager_id == person_id)
    return session.scalars(query.where(_holds(on)).order_by(Person.name, Person.id).limit(limit)).all()


def teams(session: Session, on: date) -> Sequence[str]:
    """The teams in which somebody stands on that day, by name."""
    query = sa.select(Assignment.team).where(_holds(on), Assignment.team.is_not(None)).distinct().order_by(Assignment.team)
    return [team for team in session.scalars(query) if team]


def identities_of(session: Session, person_id: str) -> Sequence[Identity]:
    """The sign-ins that are bound to the person, the newest first."""
    return session.scalars(sa.select(Identity).where(Identity.person_id == person_id).order_by(Identity.id.desc())).all()


def count_active(session: Session) -> int:
    """People who are with the company, as far as is known."""
    return session.scalar(sa.select(sa.func.count()).select_from(Person).where(Person.state == PersonState.ACTIVE)) or 0


def get_import(session: Session, import_id: str) -> DirectoryImport:
    """The import of a directory file. Raises NotFound."""
    row = session.get(DirectoryImport, import_id)
    if row is None:
        raise NotFound(f"There is no import {import_id!r}.")
    return row


def find_imports(session: Session, *, before: str | None = None, limit: int = 50) -> Sequence[DirectoryImport]:
    """Imports, newest first, older than the id `before`."""
    query = sa.select(DirectoryImport).order_by(DirectoryImport.id.desc()).limit(limit)
    return session.scalars(query.where(DirectoryImport.id < before) if before else query).all()
