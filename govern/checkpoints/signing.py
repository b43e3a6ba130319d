"""Read what happened since the last checkpoint, have it signed, and owe it to the sinks."""

from __future__ import annotations

from collections.abc import Sequence

from govern.audit import queries as log
from govern.audit.service import AuditBroken, follow
from govern.audit.walk import Anchor, Walk
from govern.checkpoints import queries, service
from govern.checkpoints.models import Checkpoint
from govern.core import outbox
from govern.core.lanes import Lane
from govern.core.uow import Actor, UnitsOfWork


def sign_newest(units: UnitsOfWork, actor: Actor) -> Checkpoint | None:
    """Sign the log up to its newest event; None where a checkpoint of that event stands already.

    The events since the last checkpoint are read and their digests computed first, outside any transaction that writes: what
    was changed in the database is never signed. Raises AuditBroken.
    """
    anchor = _walked(units)
    if anchor is None:
        return None
    with units(actor) as uow:
        return service.sign(uow, anchor)


def _walked(units: UnitsOfWork) -> Anchor | None:
    with units.reading() as session:
        start, (until, digest) = queries.newest_anchor(session), log.head(session)
        walk = Walk(units.box, {}, start, rooted=True)
        if (verdict := follow(session, walk, until)) is not None:
            raise AuditBroken(f"The audit log does not hold, so it is not signed. {verdict.problem}")
    if (walk.at.seq, walk.at.digest) != (until, digest):  # a cut tail, also one that takes signed events along
        raise AuditBroken(f"The audit log does not hold, so it is not signed: {until} events are to be there, not {walk.at.seq}.")
    return walk.at if walk.at.seq > start.seq else None


def owe_pushes(units: UnitsOfWork, actor: Actor, sinks: Sequence[str]) -> int:
    """Owe each of these sinks the checkpoints that it lacks; how many sinks lack some."""
    with units.reading() as session:
        behind = [standing.name for standing in queries.standings(session, sinks) if standing.lacks]
    if behind:
        with units(actor) as uow:
            for name in behind:
                outbox.enqueue(uow, "audit.push", name, lane=Lane.BACKGROUND)
    return len(behind)
