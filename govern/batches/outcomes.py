"""What becomes of one row: a removal or an invite begun, a person held, or what was so before."""

from __future__ import annotations

import sqlalchemy as sa

from govern.approvals import service as approvals
from govern.audit import service as audit
from govern.batches import plan
from govern.batches.models import OPEN_ROWS, Batch, BatchKind, BatchRow, RowState
from govern.core.errors import NotFound
from govern.core.uow import UnitOfWork
from govern.identity import service as identity
from govern.members import queries as members
from govern.members import service as member_service
from govern.offboarding import guards
from govern.offboarding import queries as removals
from govern.offboarding import service as offboarding
from govern.offboarding.models import OffboardingState
from govern.people import service as people
from govern.people.models import PersonState


def next_row(uow: UnitOfWork, batch: Batch) -> BatchRow | None:
    """The next row with something to do, locked: those held too once they are approved."""
    states = OPEN_ROWS if batch.approved_at is not None else (RowState.WAITING,)
    due = sa.select(BatchRow).where(BatchRow.batch_id == batch.id, BatchRow.state.in_(states)).order_by(BatchRow.number)
    return uow.session.scalars(due.limit(1).with_for_update()).first()


def carry_out(uow: UnitOfWork, batch: Batch, row: BatchRow) -> None:
    """Begin what the row asks for, or hold it. Raises NotFound, InvalidInput, Conflict, PolicyViolation."""
    held = row.needs_yes and batch.approved_at is None
    if batch.kind is BatchKind.REMOVE:
        hold(uow, row) if held else remove(uow, row, batch.reason)
    elif held:
        row.state = RowState.HELD
    else:
        invite(uow, row)
    row.settled_at = None if row.state in OPEN_ROWS else uow.now


def remove(uow: UnitOfWork, row: BatchRow, reason: str) -> None:
    """Begin the removal, or find the one that was begun before. Raises NotFound, Conflict, PolicyViolation."""
    subject = removals.subject_of(uow.session, row.who)
    earlier = removals.latest(uow.session, subject.email)
    removal = offboarding.start(uow, row.who, reason=reason)
    row.subject_id = removal.id
    row.state = RowState.ALREADY if earlier is not None and earlier.id == removal.id else RowState.STARTED


def hold(uow: UnitOfWork, row: BatchRow) -> None:
    """Contain the person here and now, and end nothing at OpenAI until a second admin said yes. Raises what `remove` raises."""
    subject = removals.subject_of(uow.session, row.who)
    earlier = removals.latest(uow.session, subject.email)
    if earlier is not None and earlier.state is OffboardingState.CONTAINED:
        row.subject_id, row.state = earlier.id, RowState.ALREADY
        return
    person = people.lock(uow.session, subject.person.id) if subject.person is not None else None
    guards.one_at_a_time(uow, subject.member)
    guards.check_may_go(uow.session, subject)
    if person is not None and person.state is PersonState.ACTIVE:
        people.contain(uow, person)
        identity.end_everything(uow, person.id)
        approvals.freeze_for(uow, person.id)
        audit.record(uow, "member.held", person, email=person.email, batch=row.batch_id)
    row.state = RowState.HELD


def let_go(uow: UnitOfWork, row: BatchRow) -> None:
    """Nobody approved it: the person may sign in again. Sessions and tokens that ended stay ended.

    Not where a removal of theirs is under way, or another batch holds them too.
    """
    try:
        found = removals.subject_of(uow.session, row.who).person
    except NotFound:  # a seat that is gone meanwhile
        return
    if found is None:
        return
    person = people.lock(uow.session, found.id)
    removal = removals.latest(uow.session, person.email)
    others = sa.select(BatchRow.id).where(BatchRow.who == row.who, BatchRow.state == RowState.HELD, BatchRow.id != row.id)
    under_way = removal is not None and removal.state is OffboardingState.CONTAINED
    if not under_way and uow.session.scalar(others.limit(1)) is None:
        people.let_go(uow, person)


def invite(uow: UnitOfWork, row: BatchRow) -> None:
    """Offer the seat, or find that there is one. Raises InvalidInput, NotFound, Conflict, PolicyViolation."""
    member, offered = members.find_member(uow.session, row.who), members.open_invite(uow.session, row.who)
    sentence = plan.already(row.who, member, offered)
    if sentence is not None:
        row.state, row.sentence, row.subject_id = RowState.ALREADY, sentence, offered.id if offered else None
        return
    row.subject_id = member_service.invite(uow, row.who, row.role, [(place[0], place[1]) for place in row.projects]).id
    row.state = RowState.STARTED
