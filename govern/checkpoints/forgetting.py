"""Let old events go: up to a checkpoint, and only what that checkpoint proves to be unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import queries as log
from govern.audit import service as audit
from govern.audit.models import AuditEvent
from govern.audit.service import AuditBroken
from govern.audit.walk import START, Anchor, Verdict, Walk
from govern.checkpoints import queries, rules, service
from govern.checkpoints.models import Checkpoint
from govern.core.crypto import SecretBox
from govern.core.uow import Actor, UnitsOfWork
from govern.evidence import service as evidence
from govern.evidence.rules import EvidenceBroken


def forgettable(session: Session, before: datetime, sinks: Sequence[str]) -> Checkpoint | None:
    """The newest checkpoint up to which every event is older than `before`; None where that is no more than before.

    Every sink that is set up has to have it: what goes here is proven by what is kept there.
    """
    first_kept = session.scalar(sa.select(sa.func.min(AuditEvent.seq)).where(AuditEvent.at >= before))
    most = log.newest(session) if first_kept is None else first_kept - 1
    for standing in queries.standings(session, sinks):
        most = min(most, standing.seq)
    found = queries.recent(session, before=most + 1, limit=1)
    boundary = queries.boundary(session)
    return found[0] if found and (boundary is None or found[0].seq > boundary.seq) else None


def forget(units: UnitsOfWork, actor: Actor, checkpoint: Checkpoint) -> int:
    """Delete the events up to this checkpoint; how many. They are walked first, and an edit of one is not thrown away with it.

    Raises AuditBroken; then nothing goes.
    """
    with units.reading() as session:
        walk = Walk(units.box, {checkpoint.seq: checkpoint.anchor}, start_of(session, units.box))
        if (verdict := audit.follow(session, walk, checkpoint.seq)) is not None:
            raise AuditBroken(f"The audit log does not hold, so nothing of it goes. {verdict.problem}")
    if walk.at != checkpoint.anchor:
        raise AuditBroken(f"The audit log ends at {walk.at.seq}, so nothing of it goes.")
    with units(actor) as uow:
        return service.forget(uow, checkpoint)


def may_delete(session: Session) -> bool:
    """Whether this account may delete events at all: on PostgreSQL the service's own should not (`govern db grants`)."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(sa.text("SELECT has_table_privilege(current_user, 'audit_events', 'DELETE')")))


def start_of(session: Session, box: SecretBox) -> Anchor:
    """Where the log begins that is still there. Raises EvidenceBroken for a boundary that this service did not sign."""
    boundary = queries.boundary(session)
    if boundary is None:
        return START
    return rules.anchor_of(boundary.line.encode("utf-8"), evidence.own_public(session, box), rules.BOUNDARY)


def verify(session: Session, box: SecretBox, anchors: dict[int, Anchor] | None = None) -> Verdict:
    """The verdict on the log in the database, from its boundary on. `anchors`: signed checkpoints that were kept outside."""
    try:
        start = start_of(session, box)
    except EvidenceBroken:
        return Verdict(0, 1, "Events were removed, and this service did not sign that they may be.")
    signed = queries.newest(session)
    verdict = audit.verify(session, box, anchors, start)
    if verdict.problem is None and signed is not None and signed.seq > start.seq + verdict.events:
        last = start.seq + verdict.events
        return Verdict(verdict.events, last + 1, f"The log ends at {last}, but event {signed.seq} was signed.")
    return verdict
