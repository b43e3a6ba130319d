"""Sign a checkpoint of the audit log."""

from __future__ import annotations

from govern.audit.walk import Anchor
from govern.checkpoints import queries, rules
from govern.checkpoints.models import Checkpoint
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
    row = Checkpoint(
        seq=anchor.seq, at=uow.now, digest=anchor.digest, root=anchor.root, key_id=key_id,
        line=rules.signed(anchor, uow.now, private),
    )  # fmt: skip
    uow.session.add(row)
    return row
