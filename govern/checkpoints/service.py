"""Sign a checkpoint of the audit log, and note how far the sinks have them."""

from __future__ import annotations

import sqlalchemy as sa

from govern.audit import service as audit
from govern.audit.models import AuditEvent
from govern.audit.walk import Anchor
from govern.checkpoints import queries, rules
from govern.checkpoints.models import AuditBoundary, AuditSink, Checkpoint
from govern.core.crypto import redact
from govern.core.inserting import insert_one
from govern.core.uow import UnitOfWork
from govern.evidence import service as evidence
from govern.evidence.rules import EvidenceBroken


def sign(uow: UnitOfWork, anchor: Anchor) -> Checkpoint:
    """Sign and keep this; `anchor` was computed on from the newest checkpoint. Asked again about the same event, the first
    checkpoint is returned. Raises EvidenceBroken where the checkpoint before is not as it was signed.
    """
    known = uow.session.get(Checkpoint, anchor.seq)
    if known is not None:
        return known
    key_id, private = evidence.signing_key(uow)
    before = queries.newest(uow.session)
    if before is not None and rules.anchor_of(before.line.encode("utf-8"), private.public_key()) != before.anchor:
        raise EvidenceBroken(f"The checkpoint of event {before.seq} was changed in the database, so nothing is built on it.")
    row = {
        "seq": anchor.seq, "at": uow.now, "digest": anchor.digest, "root": anchor.root, "key_id": key_id,
        "line": rules.signed(anchor, uow.now, private),
    }  # fmt: skip
    insert_one(uow.session, Checkpoint, row)  # another worker may have signed the same event meanwhile
    return uow.session.get_one(Checkpoint, anchor.seq)


def note_pushed(uow: UnitOfWork, sink: str, seq: int, receipt: str) -> None:
    """The sink has the checkpoints up to this event. Recorded is only that it works again: a push is no change of ours."""
    row = _sink(uow, sink)
    if row.failing_since is not None:
        audit.record(uow, "audit.sink_recovered", ("audit_sinks", sink), failing_since=row.failing_since)
    row.seq, row.pushed_at, row.receipt = max(row.seq, seq), uow.now, redact(receipt)[:300]
    row.problem = row.failing_since = None


def note_failed(uow: UnitOfWork, sink: str, problem: str) -> None:
    """The sink did not take them. Recorded is when that begins, not every attempt."""
    row = _sink(uow, sink)
    row.problem = redact(problem)[:300]
    if row.failing_since is None:
        row.failing_since = uow.now
        audit.record(uow, "audit.sink_failed", ("audit_sinks", sink), problem=row.problem)


def _sink(uow: UnitOfWork, name: str) -> AuditSink:
    row = uow.session.get(AuditSink, name)
    if row is None:
        row = AuditSink(name=name, seq=0)
        uow.session.add(row)
    return row


def forget(uow: UnitOfWork, checkpoint: Checkpoint) -> int:
    """Sign that the events up to this checkpoint may be missing, and delete them; how many. See `forgetting.forget`."""
    _, private = evidence.signing_key(uow)
    line = rules.signed(checkpoint.anchor, uow.now, private, rules.BOUNDARY)
    uow.session.add(AuditBoundary(seq=checkpoint.seq, at=uow.now, line=line))
    uow.session.flush()  # the database deletes nothing behind it
    gone = uow.session.execute(sa.delete(AuditEvent).where(AuditEvent.seq <= checkpoint.seq))
    count = int(gone.rowcount)  # type: ignore[attr-defined]
    audit.record(uow, "audit.forgotten", ("audit_boundaries", str(checkpoint.seq)), up_to=checkpoint.seq, events=count)
    return count
