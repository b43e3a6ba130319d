"""Commands on approvals: ask, decide, withdraw; what waited too long expires, what a leaver asked for freezes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from govern.approvals import queries, rules
from govern.approvals.models import Approval, ApprovalApprover, ApprovalState
from govern.audit import service as audit
from govern.core import outbox
from govern.core.crypto import contains_secret, redact
from govern.core.errors import Conflict, NotAllowed
from govern.core.uow import UnitOfWork
from govern.people import queries as people_queries
from govern.people import service as people
from govern.people.models import PersonState

Act = Callable[[UnitOfWork, Approval], str]
"""Carries out what was approved, in the transaction of the decision; returns the id of what it made or changed.

Its unit of work's actor is whoever decided, not whoever asked: what belongs to the asker is in the approval's row.
"""


def ask(
    uow: UnitOfWork,
    kind: str,
    subject: tuple[str, str],
    *,
    summary: str,
    facts: Mapping[str, Any],
    reason: str,
    lifetime: timedelta,
    approvers: Collection[str] = (),
    permission: str | None = rules.DECIDE,
    for_person_id: str | None = None,
    mark: str | None = None,
) -> Approval:
    """Ask somebody else for a yes, on which the command `kind` is carried out with `facts`.

    `subject` is a pair (kind, id) that the audit log tells it under, `summary` one sentence for whoever decides. `approvers`
    are ids of people; `permission`: whoever holds it over anyone decides too. With the same `kind` and `mark` as one that
    waits, that one is returned. Raises InvalidInput, NotFound, Conflict
    (the same at the same moment), ValueError for facts that hold a secret.
    """
    reason = redact(rules.check_reason(reason, why="Say why you need it: somebody else decides."))
    if contains_secret(json.dumps(dict(facts)) + summary):
        raise ValueError(f"The asking {kind!r} would hold a secret.")
    earlier = queries.pending_for(uow.session, kind, mark) if mark else None
    if earlier is not None and earlier.expires_at > uow.now:
        return earlier
    if earlier is not None:
        _expire(uow, earlier)
        uow.session.flush()
    row = Approval(
        id=uow.new_id("apr"), kind=kind, mark=mark, subject_kind=subject[0], subject_id=subject[1], summary=summary[:300],
        facts=dict(facts), reason=reason, permission=permission, state=ApprovalState.PENDING, requested_by=uow.actor.id,
        requested_label=uow.actor.label[:200], requested_person_id=queries.person_of(uow.session, uow.actor),
        asked_through=uow.actor.through, for_person_id=for_person_id, asked_at=uow.now, expires_at=uow.now + lifetime,
    )  # fmt: skip
    try:
        with uow.session.begin_nested():
            uow.session.add(row)
    except sa.exc.IntegrityError as error:
        raise Conflict("The same was asked for a moment ago, and waits for approval.") from error
    for person_id in dict.fromkeys(approvers):
        named = people_queries.get(uow.session, person_id)
        uow.session.add(ApprovalApprover(approval_id=row.id, person_id=named.id))
    uow.session.flush()
    audit.record(
        uow, "approval.asked", row, reason=reason, kind=kind, about=subject, summary=row.summary, until=row.expires_at
    )  # fmt: skip
    outbox.enqueue(uow, "approval.tell", f"{row.id}:asked", {"approval": row.id, "note": "asked"})
    return row


def decide(uow: UnitOfWork, approval_id: str, *, by: str, approve: bool, reason: str, acts: Mapping[str, Act]) -> Approval:
    """Say yes or no as the person `by`. A yes carries out the act in this very transaction, or is not said.

    Raises NotFound, NotAllowed, Conflict (decided, expired, frozen), InvalidInput, and whatever the act raises.
    """
    row = queries.get(uow.session, approval_id)
    # People before approvals, as a removal locks them, so that the two cannot wait for each other.
    for person_id in sorted(filter(None, {row.requested_person_id, row.for_person_id, by})):
        person = people.lock(uow.session, person_id)
        if person_id == by and person.state is not PersonState.ACTIVE:
            raise NotAllowed("Whoever decides has to be with the company.")
    row = uow.session.get_one(Approval, approval_id, with_for_update=True, populate_existing=True)
    if approve and queries.is_suspended(uow.session, row):
        raise Conflict("Whoever asked for it, or whom it is for, is suspended. It waits until they are resumed.")
    rules.check_open(row.state, row.expires_at, uow.now)
    people_behind = {by} | queries.people_behind(uow.session, uow.actor)
    rules.check_may_decide(queries.question(uow.session, row), people_behind, queries.held_by(uow.session, by))
    reason = redact(rules.check_reason(reason, why="Say why: whoever asked will read it.")) if reason or not approve else ""
    _end(uow, row, ApprovalState.APPROVED if approve else ApprovalState.DENIED, reason)
    row.decided_person_id = by
    if approve:
        act = acts.get(row.kind)
        if act is None:
            raise Conflict(f"This release knows nothing called {row.kind!r} that could be approved.")
        row.result_id = act(uow, row)
    outbox.enqueue(uow, "approval.tell", f"{row.id}:decided", {"approval": row.id, "note": "decided"})
    return row


def withdraw(uow: UnitOfWork, approval_id: str) -> Approval:
    """Take one's asking back. Repeating it changes nothing. Raises NotFound, NotAllowed (somebody else's), Conflict."""
    queries.get(uow.session, approval_id)
    row = uow.session.get_one(Approval, approval_id, with_for_update=True, populate_existing=True)
    if row.requested_by != uow.actor.id and row.requested_person_id not in queries.people_behind(uow.session, uow.actor):
        raise NotAllowed("Only whoever asked for it takes it back; others deny it.")
    if row.state is ApprovalState.WITHDRAWN:
        return row
    if row.state is not ApprovalState.PENDING:
        raise Conflict(f"It is {row.state.value} already.")
    _end(uow, row, ApprovalState.WITHDRAWN, "")
    return row


def expire_due(uow: UnitOfWork) -> dict[str, int]:
    """End what waited too long."""
    due = sa.select(Approval).where(Approval.state == ApprovalState.PENDING, Approval.expires_at <= uow.now)
    rows = uow.session.scalars(due.order_by(Approval.id).with_for_update()).all()
    rows = [row for row in rows if not queries.is_suspended(uow.session, row)]  # their time stands still
    for row in rows:
        _expire(uow, row)
        outbox.enqueue(uow, "approval.tell", f"{row.id}:decided", {"approval": row.id, "note": "decided"})
    return {"expired": len(rows)}


def freeze_for(uow: UnitOfWork, person_id: str) -> int:
    """Freeze what waits that this person asked for, or that is for them: part of containing somebody. Returns how many.

    It does not thaw: whoever returns asks anew. The caller holds the lock on the person.
    """
    made = sa.select(Approval).where(
        Approval.state == ApprovalState.PENDING,
        sa.or_(Approval.requested_person_id == person_id, Approval.for_person_id == person_id),
    )
    rows = uow.session.scalars(made.order_by(Approval.id).with_for_update()).all()
    for row in rows:
        _end(uow, row, ApprovalState.FROZEN, "Whoever asked, or whom it is for, is being removed.")
    return len(rows)


def go_on_for(uow: UnitOfWork, person_id: str, *, since: datetime) -> int:
    """They are resumed: what waits that they asked for, or that is for them, gets back the time that it stood still."""
    made = sa.select(Approval).where(
        Approval.state == ApprovalState.PENDING,
        sa.or_(Approval.requested_person_id == person_id, Approval.for_person_id == person_id),
    )
    rows = uow.session.scalars(made.order_by(Approval.id).with_for_update()).all()
    for row in rows:
        row.expires_at += uow.now - max(since, row.asked_at)
        audit.record(uow, "approval.goes_on", row, until=row.expires_at)
    return len(rows)


def _expire(uow: UnitOfWork, row: Approval) -> None:
    _end(uow, row, ApprovalState.EXPIRED, "")


def _end(uow: UnitOfWork, row: Approval, state: ApprovalState, reason: str) -> None:
    row.state, row.decided_by, row.decided_at, row.decision_reason = state, uow.actor.id, uow.now, reason or None
    audit.record(uow, f"approval.{state.value}", row, reason=reason or None, kind=row.kind, asked_by=row.requested_by)
