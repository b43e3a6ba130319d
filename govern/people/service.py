"""Commands on people."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import service as audit
from govern.core.errors import InvalidInput, NotFound
from govern.core.uow import UnitOfWork
from govern.people import queries
from govern.people.models import Identity, Person, PersonState


def clean_email(email: str) -> str:
    """The address as we compare it: trimmed and case-folded. Raises InvalidInput if it cannot be one."""
    cleaned = email.strip().casefold()
    if len(cleaned) > 320 or not re.fullmatch(r"[^@\s\x00-\x1f<>\"]+@[^@\s\x00-\x1f<>\"]+\.[^@\s\x00-\x1f<>\".]+", cleaned):
        raise InvalidInput("That is not an e-mail address.", {"email": "Write it like name@example.com."})
    return cleaned


def lock(session: Session, person_id: str) -> Person:
    """The person, locked until the transaction ends, so that issuing and removal cannot pass each other. Raises NotFound."""
    person = session.get(Person, person_id, with_for_update=True, populate_existing=True)
    if person is None:
        raise NotFound(f"There is no person {person_id!r}.")
    return person


def ensure(uow: UnitOfWork, email: str, name: str | None) -> Person:
    """The person with this address; made if nobody has it."""
    email = clean_email(email)
    person = queries.find(uow.session, email)
    if person is None:
        shown = (name or "").strip()[:200] or email.partition("@")[0]
        person = Person(id=uow.new_id("per"), email=email, name=shown, state=PersonState.ACTIVE, generation=1, created_at=uow.now)
        try:
            with uow.session.begin_nested():
                uow.session.add(person)
        except sa.exc.IntegrityError:  # a sign-in and the directory sync met the same newcomer at the same moment
            return queries.get_by_email(uow.session, email)
        audit.record(uow, "person.added", person, email=email)
    return person


def ensure_all(uow: UnitOfWork, names: Mapping[str, str]) -> dict[str, Person]:
    """Like `ensure` for many new addresses (address → name) at once."""
    new = {
        email: Person(
            id=uow.new_id("per"), email=email, name=name[:200], state=PersonState.ACTIVE, generation=1, created_at=uow.now
        )
        for email, name in names.items()
    }  # fmt: skip
    try:
        with uow.session.begin_nested():
            uow.session.add_all(new.values())
    except sa.exc.IntegrityError:  # one of them came at the same moment from elsewhere: one by one
        return {email: ensure(uow, email, name) for email, name in names.items()}
    for person in new.values():
        audit.record(uow, "person.added", person, email=person.email)
    return new


def link_identity(uow: UnitOfWork, person: Person, issuer: str, subject: str) -> Identity:
    """Bind a sign-in to the person, once and for all."""
    identity = Identity(id=uow.new_id("idn"), person_id=person.id, issuer=issuer, subject=subject, linked_at=uow.now)
    uow.session.add(identity)
    audit.record(uow, "person.identity_linked", person, issuer=issuer)
    return identity


def contain(uow: UnitOfWork, person: Person) -> None:
    """From now on they hold nothing new and their sign-ins are refused."""
    person.state = PersonState.LEAVING
    blocked = sa.update(Identity).where(Identity.person_id == person.id, Identity.blocked_at.is_(None))
    uow.session.execute(blocked.values(blocked_at=uow.now))


def let_go(uow: UnitOfWork, person: Person) -> None:
    """They were contained, and are not removed after all: they may sign in again. What ended meanwhile stays ended."""
    if person.state is not PersonState.LEAVING:
        return
    person.state = PersonState.ACTIVE
    uow.session.execute(sa.update(Identity).where(Identity.person_id == person.id).values(blocked_at=None))
    audit.record(uow, "person.let_go", person, email=person.email)


def suspend(uow: UnitOfWork, person: Person) -> None:
    """Until they are resumed they hold nothing new and cannot sign in. Nothing is taken that could not be given back."""
    person.state = PersonState.SUSPENDED
    audit.record(uow, "person.suspended", person)


def resume(uow: UnitOfWork, person: Person) -> None:
    """They may do again what they might before. Whoever is being removed or has left stays so."""
    if person.state is PersonState.SUSPENDED:
        person.state = PersonState.ACTIVE
        audit.record(uow, "person.resumed", person)


def record_left(uow: UnitOfWork, person: Person) -> None:
    """The removal is proven."""
    person.state = PersonState.LEFT
    audit.record(uow, "person.left", person)


def welcome_back(uow: UnitOfWork, person: Person) -> None:
    """Someone who left returns: a new generation, to which nothing of the old one belongs."""
    if person.state is not PersonState.LEFT:
        return
    person.state, person.generation = PersonState.ACTIVE, person.generation + 1
    person.ends_on, person.ends_by_hand = None, False  # or they would be removed again at once
    uow.session.execute(sa.update(Identity).where(Identity.person_id == person.id).values(blocked_at=None))
    audit.record(uow, "person.returned", person, generation=person.generation)
