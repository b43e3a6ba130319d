"""Reads of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit.chain import Link, instant
from govern.audit.models import AuditEvent, AuditHead
from govern.audit.rules import ENDINGS, Outcome
from govern.core.errors import NotFound

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


@dataclass(frozen=True)
class Search:
    """What to look for; all of it has to hold. Words are looked for anywhere in a text, whatever their case.

    `action` matches whole (`key.revoked`) or, with a dot at its end, as a group (`key.`). `text` is looked for in who did it, in
    the reason, and in the ids of who did it and of what it is about. `until` itself is not included.
    """

    action: str | None = None
    subject_id: str | None = None
    actor_id: str | None = None
    request_id: str | None = None
    reason: str | None = None
    text: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


def events(session: Session, search: Search | None = None, *, before: int | None = None, limit: int = 50) -> Sequence[AuditEvent]:
    """The events that are looked for, newest first, older than the event numbered `before`."""
    query = sa.select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(limit).where(*_conditions(search or Search()))
    return session.scalars(query if before is None else query.where(AuditEvent.seq < before)).all()


def _conditions(search: Search) -> Iterator[sa.ColumnElement[bool]]:
    event = AuditEvent
    for name in ("subject_id", "actor_id", "request_id"):
        if value := getattr(search, name):
            yield getattr(event, name) == value
    if search.action:
        group = search.action.endswith(".")
        yield event.action.startswith(search.action, autoescape=True) if group else event.action == search.action
    if search.reason:
        yield event.reason.icontains(search.reason, autoescape=True)
    if search.text:
        places = (event.actor_label, event.actor_id, event.through, event.subject_id, event.reason)
        yield sa.or_(*(place.icontains(search.text, autoescape=True) for place in places))
    if search.outcome is not None:
        ended = {outcome: sa.or_(*_ended(endings)) for outcome, endings in ENDINGS.items()}
        yield ended[search.outcome] if search.outcome in ended else sa.not_(sa.or_(*ended.values()))
    if search.since is not None:
        yield event.at >= search.since
    if search.until is not None:
        yield event.at < search.until


def _ended(endings: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
    for ending in endings:
        for sign in "._":
            yield AuditEvent.action.endswith(sign + ending, autoescape=True)


def get(session: Session, event_id: str) -> AuditEvent:
    """The event. Raises NotFound."""
    event = session.scalars(sa.select(AuditEvent).where(AuditEvent.id == event_id)).one_or_none()
    if event is None:
        raise NotFound("There is no such event.")
    return event


def head(session: Session) -> tuple[int, str]:
    """The number and the digest of the newest event; 0 and nothing before the first."""
    seq, digest = session.execute(sa.select(AuditHead.seq, AuditHead.digest)).one()
    return seq, digest


def newest(session: Session) -> int:
    """The number of the newest event; 0 before the first."""
    return head(session)[0]


def links(session: Session, *, after: int, until: int) -> list[Link]:
    """The next events behind the one numbered `after`, up to `until`, as the chain sees them, oldest first: at most STEP.

    Rows and not objects, since all of the log may be read so.
    """
    query = sa.select(*_COLUMNS).where(AuditEvent.seq > after, AuditEvent.seq <= until).order_by(AuditEvent.seq).limit(STEP)
    return [
        Link(
            seq, id_, instant(at), action, actor_kind, actor_id, label, kind, subject_id, _decode(facts), reason, ip, request_id,
            digest, through,
        )
        for seq, id_, at, action, actor_kind, actor_id, label, kind, subject_id, facts, reason, ip, request_id, digest, through
        in session.connection().execute(query)
    ]  # fmt: skip
