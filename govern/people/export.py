"""The directory as a file: what an import reads, so that it can be changed in a spreadsheet and brought back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from govern.core import csv_text
from govern.people import queries
from govern.people.models import PersonState

HEADER: Final = ("email", "name", "team", "cost_centre", "manager", "ends_on")
_AT_ONCE: Final = 500


def lines(session: Session, on: date, person_ids: Collection[str] | None = None) -> Iterator[str]:
    """Everybody who is with the company, with where they stand on that day, line by line; formulas are defused."""
    return csv_text.lines(HEADER, _rows(session, on, person_ids))


def _rows(session: Session, on: date, person_ids: Collection[str] | None) -> Iterator[tuple[object, ...]]:
    after = None
    while page := queries.find_people(
        session, after=after, limit=_AT_ONCE, state=PersonState.ACTIVE, person_ids=person_ids, on=on
    ):
        standing = queries.standing(session, [person.id for person in page], on)
        managers = queries.emails(session, [row.manager_id for row in standing.values() if row.manager_id])
        for person in page:
            place = standing.get(person.id)
            where = (place.team, place.cost_centre, managers.get(place.manager_id or "")) if place else (None, None, None)
            yield person.email, person.name, *where, person.ends_on
        after = page[-1].id
