"""Commands on batches: begin one, carry out its rows one by one, approve what waited, let go whom nobody approved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from govern.approvals import service as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.audit import service as audit
from govern.batches import outcomes, plan, queries, rules
from govern.batches.models import OPEN_ROWS, Batch, BatchKind, BatchRow, RowState
from govern.batches.plan import Limits
from govern.batches.rules import Line
from govern.core import outbox
from govern.core.errors import InvalidInput
from govern.core.uow import UnitOfWork
from govern.offboarding import rules as removal_rules

KIND: Final = "batch.approve"
"""What a yes carries out, see `govern.bootstrap.ACTS`."""
_LOCK: Final = 0x676F7662
_ENDED: Final = (ApprovalState.DENIED, ApprovalState.WITHDRAWN, ApprovalState.EXPIRED, ApprovalState.FROZEN)


def begin(uow: UnitOfWork, kind: BatchKind, lines: Sequence[Line], *, reason: str, limits: Limits) -> Batch:
    """Write the list down and owe it. The same list sent again while it is open is the same batch.

    Rows beyond what one admin may do alone are asked for in the same transaction. Raises InvalidInput.
    """
    reason = removal_rules.check_reason(reason) if kind is BatchKind.REMOVE else reason.strip()[:500]
    if not lines:
        raise InvalidInput("That names nobody.")
    _one_at_a_time(uow)
    digest = rules.digest(kind, reason, lines)
    earlier = queries.open_with(uow.session, kind, digest)
    if earlier is not None:
        return earlier
    found = plan.plan(uow.session, kind, lines, uow.actor, now=uow.now, limits=limits)
    batch = Batch(
        id=uow.new_id("bat"), kind=kind, reason=reason, digest=digest, created_by=uow.actor.id,
        created_label=uow.actor.label[:200], created_at=uow.now,
    )  # fmt: skip
    uow.session.add(batch)
    uow.session.flush()
    for each in found:
        settled = None if each.state is RowState.WAITING else uow.now
        uow.session.add(
            BatchRow(
                id=uow.new_id("row"), batch_id=batch.id, number=each.line.number, line=each.line.line, who=each.line.who,
                role=each.line.role[:40], projects=[list(place) for place in each.places], state=each.state,
                needs_yes=each.needs_yes, sentence=each.sentence[:300] if each.sentence else None, subject_id=each.subject_id,
                settled_at=settled,
            )
        )  # fmt: skip
    held = sum(each.needs_yes for each in found)
    audit.record(uow, "batch.begun", batch, reason=reason or None, kind=kind, people=len(found), held=held)
    if held:
        batch.approval_id = _ask(uow, batch, held, limits).id
    outbox.enqueue(uow, "batch.run", batch.id)
    return batch


def _ask(uow: UnitOfWork, batch: Batch, held: int, limits: Limits) -> Approval:
    remove = batch.kind is BatchKind.REMOVE
    deed = "Remove" if remove else "Invite"
    return approvals.ask(
        uow, KIND, ("batches", batch.id), mark=batch.id, lifetime=limits.waits,
        permission="members:revoke" if remove else "members:invite",
        summary=f"{deed} {held} people: more than the {limits.alone} that one admin may within {limits.window}.",
        facts={"batch": batch.id, "people": held}, reason=batch.reason or f"{held} people are to be invited.",
    )  # fmt: skip


def _one_at_a_time(uow: UnitOfWork) -> None:
    """Two batches at the same moment must not both count as within what one admin may do alone."""
    if uow.session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyway
        uow.session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def approve(uow: UnitOfWork, approval: Approval) -> str:
    """The second admin said yes: what waited is carried out. It touches the batch only, whose rows the worker may hold."""
    batch = queries.get(uow.session, approval.facts["batch"])
    batch.approved_at = uow.now
    audit.record(uow, "batch.approved", batch, people=approval.facts["people"])
    outbox.enqueue(uow, "batch.run", batch.id)
    return batch.id


def record_refusal(uow: UnitOfWork, row_id: str, state: RowState, sentence: str) -> None:
    """The row ended without anything done."""
    row = uow.session.get_one(BatchRow, row_id, with_for_update=True)
    if row.state in OPEN_ROWS:
        row.state, row.sentence, row.settled_at = state, sentence[:300], uow.now
        audit.record(uow, "batch.row_refused", ("batches", row.batch_id), reason=row.sentence, who=row.who)


def finish(uow: UnitOfWork, batch_id: str) -> None:
    """Close the batch when every row has its outcome."""
    batch = uow.session.get_one(Batch, batch_id, populate_existing=True)
    if batch.finished_at is None and not queries.count_open(uow.session, batch_id):
        batch.finished_at = uow.now
        counts = {state.value: number for state, number in queries.counts(uow.session, batch_id).items()}
        audit.record(uow, "batch.finished", batch, outcomes=counts)


def follow(uow: UnitOfWork, batch_id: str) -> int:
    """End what nobody approved, letting go whom it held, and owe again what is open. Returns how many rows were ended."""
    batch = queries.get(uow.session, batch_id)
    approval = uow.session.get(Approval, batch.approval_id) if batch.approval_id else None
    ended = 0
    if approval is not None and approval.state in _ENDED:
        for row in queries.unapproved(uow.session, batch_id):
            if row.state is RowState.HELD and batch.kind is BatchKind.REMOVE:
                outcomes.let_go(uow, row)
            row.state, row.settled_at = RowState.REFUSED, uow.now
            row.sentence = f"Not approved ({approval.state.value}). Nothing was removed or sent."
            ended += 1
        if ended:
            audit.record(uow, "batch.not_approved", batch, people=ended, approval=approval.state)
        finish(uow, batch_id)
    counts = queries.counts(uow.session, batch_id)
    if RowState.WAITING in counts or (batch.approved_at is not None and RowState.HELD in counts):
        outbox.enqueue(uow, "batch.run", batch_id)
    return ended
