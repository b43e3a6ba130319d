"""Reads of approvals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.approvals import rules
from govern.approvals.models import Approval, ApprovalApprover, ApprovalState
from govern.approvals.rules import Question
from govern.core.errors import NotFound
from govern.core.uow import Actor
from govern.identity import queries as identity
from govern.identity.models import ApiToken
from govern.people.models import Person, PersonState


def get(session: Session, approval_id: str) -> Approval:
    """The approval. Raises NotFound."""
    row = session.get(Approval, approval_id)
    if row is None:
        raise NotFound(f"There is no approval {approval_id!r}.")
    return row


def find(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    state: ApprovalState | None = None,
    concerning: Collection[str] | None = None,
    reader: str | None = None,
) -> Sequence[Approval]:
    """Approvals, newest first, older than the id `after`.

    `concerning` limits to what these people asked for or what is for them, and what `reader` is named to decide.
    """
    query = sa.select(Approval).order_by(Approval.id.desc()).limit(limit)
    if after:
        query = query.where(Approval.id < after)
    if state:
        query = query.where(Approval.state == state)
    if concerning is not None:
        query = query.where(
            sa.or_(
                Approval.requested_person_id.in_(concerning),
                Approval.for_person_id.in_(concerning),
                Approval.id.in_(sa.select(ApprovalApprover.approval_id).where(ApprovalApprover.person_id == reader)),
            )
        )
    return session.scalars(query).all()


def waiting_for(session: Session, person_id: str, held: Collection[str], now: datetime, *, limit: int = 200) -> list[Approval]:
    """What this person may decide now, the oldest first. `held`: the permissions that they hold over anyone."""
    named = sa.select(ApprovalApprover.approval_id).where(ApprovalApprover.person_id == person_id)
    query = sa.select(Approval).where(Approval.state == ApprovalState.PENDING, Approval.expires_at > now)
    mine = sa.or_(Approval.id.in_(named), Approval.permission.in_(held))
    if rules.DECIDE in held:
        mine = sa.or_(mine, Approval.permission.is_(None))
    rows = session.scalars(query.where(mine).order_by(Approval.id).limit(limit)).all()
    return [row for row in rows if rules.may_decide(question(session, row), {person_id}, held)]


def approvers(session: Session, approval_id: str) -> Sequence[Person]:
    """The people named to decide it who are still with the company."""
    query = sa.select(Person).join(ApprovalApprover, ApprovalApprover.person_id == Person.id)
    named = query.where(ApprovalApprover.approval_id == approval_id, Person.state == PersonState.ACTIVE)
    return session.scalars(named.order_by(Person.id)).all()


def question(session: Session, row: Approval) -> Question:
    """What there is to decide, for the rules."""
    named = frozenset(person.id for person in approvers(session, row.id))
    askers = {row.requested_person_id, *makers_of(session, row.asked_through)} - {None}
    return Question(frozenset(filter(None, askers)), row.for_person_id, named, row.permission)


def person_of(session: Session, actor: Actor) -> str | None:
    """The person who acts: the one signed in, the one for whom a token or a device acts, or the maker of a system's token."""
    if session.get(Person, actor.id) is not None:
        return actor.id
    return next(iter(makers_of(session, actor.through)), None)


def people_behind(session: Session, actor: Actor) -> set[str]:
    """Everybody who has a hand in what this actor does: the person, and whoever made the token that is used."""
    return set(filter(None, [person_of(session, actor), *makers_of(session, actor.through)]))


def makers_of(session: Session, token_id: str | None) -> list[str]:
    """The people for whom the token acts and who made it or the token that made it, the nearest first."""
    found: list[str] = []
    token = session.get(ApiToken, token_id) if token_id else None
    while token is not None:
        found += [person for person in (token.person_id, token.maker_id) if person and person not in found]
        token = session.get(ApiToken, token.parent_id) if token.parent_id else None
    return found


def held_by(session: Session, person_id: str) -> frozenset[str]:
    """The permissions that the person holds over anyone, by their standing."""
    return frozenset(identity.standing_grants(session, person_id, widened=True))


def pending_for(session: Session, kind: str, mark: str) -> Approval | None:
    """The asking of this kind and mark that waits, if any."""
    query = sa.select(Approval).where(Approval.kind == kind, Approval.mark == mark, Approval.state == ApprovalState.PENDING)
    return session.scalars(query).one_or_none()


def newest_for(session: Session, kind: str, mark: str) -> Approval | None:
    """The last asking of this kind and mark, however it ended."""
    query = sa.select(Approval).where(Approval.kind == kind, Approval.mark == mark).order_by(Approval.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def is_suspended(session: Session, row: Approval) -> bool:
    """Whether whoever asked, or whom it is for, is suspended: then it waits."""
    ids = [id_ for id_ in (row.requested_person_id, row.for_person_id) if id_]
    stopped = sa.select(Person.id).where(Person.id.in_(ids), Person.state == PersonState.SUSPENDED)
    return session.scalar(stopped.limit(1)) is not None
