"""Reads of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.chain import Link, instant
from govern.audit.models import AuditEvent, AuditHead

_decode: Final = msgspec.json.Decoder().decode
STEP: Final = 1000
"""Events per read, where all of the log is read: memory stays flat."""
# The facts as text and the time as the driver gives it: both are made out here, more quickly.
_QUICK: Final[dict[str, sa.ColumnElement[Any]]] = {
    "facts": sa.cast(AuditEvent.facts, sa.Text),
    "at": sa.type_coerce(AuditEvent.at, sa.String()),
}
_COLUMNS: Final[tuple[sa.ColumnElement[Any], ...]] = tuple(
    _QUICK.get(name, AuditEvent.__table__.c[name]) for name in Link.__struct_fields__
)


def events(
    session: Session,
    *,
    before: int | None = None,
    limit: int = 50,
    subject_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
) -> Sequence[AuditEvent]:
    """Newest first, older than the event numbered `before`. `action` matches whole (`key.revoked`) or as a prefix (`key.`)."""
    query = sa.select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.seq < before)
    if subject_id:
        query = query.where(AuditEvent.subject_id == subject_id)
    if actor_id:
        query = query.where(AuditEvent.actor_id == actor_id)
    if action:
        prefix = action.endswith(".")
        query = query.where(AuditEvent.action.startswith(action, autoescape=True) if prefix else AuditEvent.action == action)
    return session.scalars(query).all()


def newest(session: Session) -> int:
    """The number of the newest event; 0 before the first."""
    return session.execute(sa.select(AuditHead.seq)).scalar_one()


def links(session: Session, *, after: int, until: int) -> list[Link]:
    """The next events behind the one numbered `after`, up to `until`, as the chain sees them, oldest first: at most STEP.

    Rows and not objects, since all of the log may be read so.
    """
    query = sa.select(*_COLUMNS).where(AuditEvent.seq > after, AuditEvent.seq <= until).order_by(AuditEvent.seq).limit(STEP)
    return [
        Link(
            seq, id_, instant(at), action, actor_kind, actor_id, label, kind, subject_id, _decode(facts), reason, ip, request_id,
            digest,
        )
        for seq, id_, at, action, actor_kind, actor_id, label, kind, subject_id, facts, reason, ip, request_id, digest
        in session.connection().execute(query)
    ]  # fmt: skip
