"""Who may open a shared key."""

from __future__ import annotations

import sqlalchemy as sa

from govern.audit import service as audit
from govern.core.errors import Conflict, PolicyViolation
from govern.core.uow import UnitOfWork
from govern.keys import queries
from govern.keys.models import ENDED_STATES, Key, KeyEntitlement, KeyKind
from govern.people import queries as people
from govern.people.models import PersonState


def entitle(uow: UnitOfWork, key_id: str, person_id: str) -> Key:
    """Let the person open the key. Repeating it changes nothing. Raises NotFound, Conflict, PolicyViolation."""
    key, person = _shared(uow, key_id), people.get(uow.session, person_id)
    if key.state in ENDED_STATES:
        raise Conflict("The key has ended.")
    if person.state is not PersonState.ACTIVE:
        raise PolicyViolation(f"{person.name} is being removed or has left.", "person_active")
    if person.id != key.person_id and person.id not in queries.entitled_people(uow.session, key.id):
        uow.session.add(
            KeyEntitlement(id=uow.new_id("ent"), key_id=key.id, person_id=person.id, added_by=uow.actor.id, added_at=uow.now)
        )
        audit.record(uow, "key.entitled", key, person=person.email)
    return key


def disentitle(uow: UnitOfWork, key_id: str, person_id: str) -> Key:
    """Take it back. What the person has seen they have seen: rotate the key if that matters. Raises NotFound, Conflict."""
    key, person = _shared(uow, key_id), people.get(uow.session, person_id)
    _end(uow, KeyEntitlement.person_id == person.id, KeyEntitlement.key_id == key.id)
    return key


def disentitle_everywhere(uow: UnitOfWork, person_id: str) -> None:
    """The person is being removed: no shared key is theirs to open any more."""
    _end(uow, KeyEntitlement.person_id == person_id)


def _end(uow: UnitOfWork, *which: sa.ColumnElement[bool]) -> None:
    rows = uow.session.scalars(sa.select(KeyEntitlement).where(KeyEntitlement.removed_at.is_(None), *which)).all()
    for row in rows:
        row.removed_by, row.removed_at = uow.actor.id, uow.now
        audit.record(uow, "key.disentitled", ("keys", row.key_id), person_id=row.person_id)


def hand_over(uow: UnitOfWork, key_id: str, person_id: str) -> Key:
    """Give a shared key another owner. Raises NotFound, Conflict, PolicyViolation."""
    key, person = _shared(uow, key_id), people.get(uow.session, person_id)
    if person.state is not PersonState.ACTIVE:
        raise PolicyViolation(f"{person.name} is being removed or has left.", "person_active")
    if person.id != key.person_id:
        audit.record(uow, "key.handed_over", key, before=key.person_id, after=person.id)
        key.person_id = person.id
    return key


def _shared(uow: UnitOfWork, key_id: str) -> Key:
    key = queries.get(uow.session, key_id)
    if key.kind is not KeyKind.SHARED:
        raise Conflict("This is one person's key; only a shared key is opened by several people.")
    return key
