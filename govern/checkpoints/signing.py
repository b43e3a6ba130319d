"""Read what happened since the last checkpoint, and have it signed."""

from __future__ import annotations

from govern.audit import chain
from govern.audit import queries as log
from govern.audit.service import AuditBroken
from govern.audit.walk import Anchor, Walk
from govern.checkpoints import queries, service
from govern.checkpoints.models import Checkpoint
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
        start, until = queries.newest_anchor(session), log.newest(session)
        walk = Walk(units.box, {}, start, rooted=True)
        while links := log.links(session, after=walk.at.seq, until=until):
            for link in links:
                verdict = walk.step(link, chain.line(link))
                if verdict is not None:
                    raise AuditBroken(f"The audit log does not hold, so it is not signed. {verdict.problem}")
    return walk.at if walk.at.seq > start.seq else None
