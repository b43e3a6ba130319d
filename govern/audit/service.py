"""Record an event inside a command, and verify the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.audit import chain, queries
from govern.audit.chain import Link
from govern.audit.models import AuditEvent, AuditHead
from govern.audit.walk import START, Anchor, Verdict, Walk
from govern.core.crypto import Secret, SecretBox, contains_secret, redact
from govern.core.db import Base
from govern.core.errors import GovernError
from govern.core.uow import UnitOfWork

_PENDING = "audit_pending"


class AuditBroken(GovernError):
    """The audit log does not hold."""

    code = "audit_broken"


def record(uow: UnitOfWork, action: str, subject: Base | tuple[str, str], *, reason: str | None = None, **facts: object) -> None:
    """Note what this command did, in its own transaction. `action` is the past tense: `key.revoked`.

    `subject` is a row with an `id`, or a pair (kind, id). Facts are plain values without secrets: a value that looks like a
    key raises ValueError, because an audit row is for ever and is read by many. A reason is somebody's own words: what
    looks like a key in it is struck out, since a pasted key must not keep its owner from being cut off.
    """
    kind, subject_id = subject if isinstance(subject, tuple) else (subject.__tablename__, str(getattr(subject, "id")))  # noqa: B009
    clean = {name: _plain(value) for name, value in facts.items()}
    if contains_secret(json.dumps(clean)):
        raise ValueError(f"The audit event {action!r} would hold a secret.")
    event = AuditEvent(
        id=uow.new_id("aud"), at=uow.now, action=action, actor_kind=uow.actor.kind.value, actor_id=uow.actor.id,
        actor_label=uow.actor.label, subject_kind=kind, subject_id=subject_id, facts=clean,
        reason=redact(reason) if reason else None, ip=uow.actor.ip, request_id=uow.actor.request_id,
        through=uow.actor.through,
    )  # fmt: skip
    uow.session.info.setdefault(_PENDING, []).append(event)
    uow.before_commit("audit", _chain)


def _chain(uow: UnitOfWork) -> None:
    """Give the waiting events their place. Last in the transaction, so that the head is locked for as short as can be."""
    head = uow.session.scalars(sa.select(AuditHead).with_for_update()).one()
    for event in uow.session.info.pop(_PENDING):
        head.seq += 1
        event.seq = head.seq
        head.digest = event.digest = chain.digest(uow.box, head.digest, link_of(event))
        uow.session.add(event)
    uow.session.flush()


def link_of(event: AuditEvent) -> Link:
    """The event as the chain sees it; its digest is empty as long as it has none."""
    values = {name: getattr(event, name) for name in Link.__struct_fields__}
    return Link(**values | {"at": chain.instant(event.at), "digest": event.digest or ""})


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        raise TypeError("A secret does not go into the audit log.")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    raise TypeError(f"An audit fact is a plain value, not {type(value).__name__}.")


def follow(session: Session, walk: Walk, until: int, *, lines: bool = True) -> Verdict | None:
    """Walk on to this event, in steps, so that memory stays flat; the verdict where an event does not hold. `lines`: by the
    exported lines too, which is slower and what signed checkpoints are compared with.
    """
    while links := queries.links(session, after=walk.at.seq, until=until):
        for link in links:
            verdict = walk.step(link, chain.line(link) if lines else b"")
            if verdict is not None:
                return verdict
    return None


def verify(session: Session, box: SecretBox, anchors: Mapping[int, Anchor] | None = None, start: Anchor = START) -> Verdict:
    """Walk the whole chain and compare it with the head, and with signed checkpoints where they are at hand (by seq).

    `start`: what is known of events that are no longer there. Reads in steps, so memory stays flat. Events may be added while it
    walks: it goes on until it has caught up with the head.
    """
    walk = Walk(box, anchors or {}, start)
    while True:
        written, digest = queries.head(session)
        if (verdict := follow(session, walk, written, lines=bool(anchors))) is not None:
            return verdict
        checked = walk.at.seq
        if (checked, walk.at.digest) != (written, digest):
            return Verdict(checked, checked + 1, f"The log ends at {checked}, but {written} events were written.")
        newest = session.scalar(sa.select(sa.func.max(AuditEvent.seq))) or 0
        if newest <= checked:
            return walk.end()
        if queries.newest(session) == written:
            return Verdict(checked, checked + 1, f"Event {checked + 1} was added past the end of the log.")
