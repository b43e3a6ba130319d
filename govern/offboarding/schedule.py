"""Removals that start by themselves on somebody's end date, with a breaker, and the word given before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.approvals import queries as approval_queries
from govern.approvals import service as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.core.clock import utcnow
from govern.core.errors import PolicyViolation
from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.keys import queries as keys
from govern.notices import service as notices
from govern.notices.models import Notice
from govern.notices.words import Words
from govern.offboarding import rules, service
from govern.people import queries as people
from govern.people import service as people_service
from govern.people.models import Person, PersonState

JOB: Final = Actor(ActorKind.JOB, "offboarding.schedule", "offboarding.schedule")
START_DUE: Final = "removals.start_due"
"""The kind of the approval that is asked for when too many are due at once."""
NOTICE: Final = "person.ending"
_MARK: Final = "due"


@dataclass(frozen=True)
class Breaker:
    """More than `least` and more than `percent` of everybody are not removed without a yes, which is waited for `lifetime`."""

    least: int
    percent: int
    lifetime: timedelta


def run(unit_of_work: UnitsOfWork, breaker: Breaker) -> dict[str, int]:
    """Start the removal of everybody whose end date has come, each in a transaction of its own, or ask when they are too many.

    Returns how many were started, how many may not be (the last owner; the findings show them), and how many wait for a yes.
    """
    with unit_of_work(JOB) as uow:
        due = [person.id for person in _due(uow.session, uow.now.date())]
        if rules.are_too_many(len(due), people.count_active(uow.session), least=breaker.least, percent=breaker.percent):
            _ask(uow, due, breaker)
            return {"started": 0, "refused": 0, "waiting": len(due)}
    started = 0
    for person_id in due:
        with unit_of_work(JOB) as uow:
            started += _start(uow, person_id) is not None
    return {"started": started, "refused": len(due) - started, "waiting": 0}


def start_approved(uow: UnitOfWork, approval: Approval) -> str:
    """What a yes carries out: start those of the list who are still due."""
    started = [_start(uow, person_id) for person_id in sorted(approval.facts["people"])]
    return next(filter(None, started), approval.subject_id)


def give_notice(uow: UnitOfWork, *, days: Sequence[int], admins: Sequence[str]) -> dict[str, int]:
    """Tell the manager and the admins of everybody whose end date is so many days away, once per number and date."""
    today, told = uow.now.date(), 0
    soon = sa.select(Person).where(
        Person.state == PersonState.ACTIVE, Person.ends_on > today, Person.ends_on <= today + timedelta(days=max(days, default=0))
    )
    for person in uow.session.scalars(soon.order_by(Person.id)).all():
        assert person.ends_on is not None  # the query asked for it
        step = min(step for step in days if person.ends_on - timedelta(days=step) <= today)
        manager = people.manager_of(uow.session, person.id, today)
        addresses = [*([manager.email] if manager else []), *admins]
        mark, subject = f"{person.id}:{person.ends_on}:{step}", ("people", person.id)
        words = _words(uow.session, person, person.ends_on)
        told += notices.tell(uow, NOTICE, mark, subject, words, addresses=addresses) is not None
    return {"told": told}


def still_ending(session: Session, notice: Notice) -> bool:
    """Whether the person that a notice speaks of is still here and their end date is still that one, and still to come."""
    person = session.get(Person, notice.subject_id)
    if person is None or person.state is not PersonState.ACTIVE or person.ends_on is None:
        return False
    return str(person.ends_on) == notice.mark.split(":")[1] and person.ends_on > utcnow().date()


def _due(session: Session, today: date) -> Sequence[Person]:
    query = sa.select(Person).where(Person.state == PersonState.ACTIVE, Person.ends_on <= today)
    return session.scalars(query.order_by(Person.email)).all()


def _start(uow: UnitOfWork, person_id: str) -> str | None:
    """The removal's id; None where it may not be, or is due no more. Whoever is being removed is not active: never twice."""
    person = people_service.lock(uow.session, person_id)
    if person.state is not PersonState.ACTIVE or person.ends_on is None or person.ends_on > uow.now.date():
        return None
    try:
        return service.start(uow, person.id, reason=f"Their end date, {person.ends_on}, has come.").id
    except PolicyViolation:
        return None


def _ask(uow: UnitOfWork, due: Sequence[str], breaker: Breaker) -> None:
    """Ask once. Whom somebody said no to is not asked for again until others are due as well, or the dates change."""
    last = approval_queries.newest_for(uow.session, START_DUE, _MARK)
    if last is not None and last.state is ApprovalState.DENIED and set(due) <= set(last.facts["people"]):
        return
    some = ", ".join(person.email for person in (uow.session.get_one(Person, each) for each in due[:3]))
    approvals.ask(
        uow, START_DUE, ("people", "due"), mark=_MARK, facts={"people": list(due)}, permission="members:revoke",
        summary=f"Start {len(due)} removals whose end date has come: {some}{' and others' if len(due) > 3 else ''}.",
        reason=f"More than {breaker.least} people and {breaker.percent} % of everybody are due at once; a file may be wrong.",
        lifetime=breaker.lifetime,
    )  # fmt: skip


def _words(session: Session, person: Person, ends_on: date) -> Words:
    held = keys.held(session, person.id)
    return Words(
        f"{person.name} is with the company until {ends_on - timedelta(days=1)}",
        f"On {ends_on} (UTC) the removal of {person.name} ({person.email}) from the OpenAI organization starts by itself: keys, "
        "places in projects and the seat end, and shared keys that they have seen get a new version.",
        (
            f"They hold {held} {'key' if held == 1 else 'keys'} that were issued here. Programs that use them stop working.",
            "If the day is wrong, an administrator changes it on the person's page.",
        ),
        f"/people/{person.id}",
        "See the person",
    )
