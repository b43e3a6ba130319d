"""Effects: acts on the outside that are owed. Written in the transaction that decided them, carried out after its commit.

A worker *claims* an effect: a compare-and-set raises `attempt` (the fence) and takes a lease. Whatever the handler then
records goes into one unit of work together with `settle`, which succeeds only for the latest attempt; a worker that was
frozen and comes back finds `ClaimLost` and must take back what it made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from govern.core.crypto import redact
from govern.core.db import Base, UTCDateTime, words
from govern.core.lanes import Lane
from govern.core.uow import Actor, ActorKind, UnitOfWork

LEASE = timedelta(seconds=60)
"""Longer than a handler's longest remote call (the client's total deadline is 20 s): a live worker does not lose its claim."""
CHANNEL = "govern_effects"
"""The PostgreSQL notification that wakes the worker."""


class EffectState(StrEnum):
    READY = "ready"
    DONE = "done"
    DEAD = "dead"  # refused for good; shown to admins, replayable


class Effect(Base):
    """An outside act owed. At most one open effect per (kind, subject)."""

    __tablename__ = "effects"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(60))
    subject_id: Mapped[str] = mapped_column(sa.String(120))
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    lane: Mapped[Lane] = mapped_column(words(Lane))
    state: Mapped[EffectState] = mapped_column(words(EffectState))
    attempt: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(UTCDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str | None] = mapped_column(sa.String(500))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    actor_label: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        sa.Index(
            "uq_effects_open",
            "kind",
            "subject_id",
            unique=True,
            sqlite_where=sa.text("state = 'ready'"),
            postgresql_where=sa.text("state = 'ready'"),
        ),
        sa.Index("ix_effects_due", "state", "lane", "not_before"),
    )


@dataclass(frozen=True)
class Claim:
    """The right to carry out one effect, until the lease ends or a later attempt begins."""

    id: str
    kind: str
    subject_id: str
    attempt: int
    payload: Mapping[str, Any]
    lane: Lane
    actor: Actor


@dataclass(frozen=True)
class Later:
    """A handler's answer "not finished, and nothing is wrong": come back after `seconds`. The `reason` is shown."""

    seconds: float
    reason: str


Handler = Callable[[Claim], Later | None]
"""Carries out a claimed effect. Returns None after it has settled the claim itself, or `Later`. Raises ProviderError."""


class ClaimLost(Exception):
    """A later attempt owns the effect: write nothing, take back what was made outside."""


def enqueue(
    uow: UnitOfWork,
    kind: str,
    subject_id: str,
    payload: Mapping[str, Any] | None = None,
    *,
    lane: Lane = Lane.INTERACTIVE,
    delay: timedelta = timedelta(0),
) -> Effect:
    """Owe this act. If it is owed already, the open effect is returned and made due no later than asked."""
    due = uow.now + delay
    effect = open_effect(uow.session, kind, subject_id)
    if effect is None:
        effect = Effect(
            id=uow.new_id("eff"), kind=kind, subject_id=subject_id, payload=dict(payload or {}), lane=lane,
            state=EffectState.READY, attempt=0, not_before=due, actor_id=uow.actor.id, actor_label=uow.actor.label,
            created_at=uow.now,
        )  # fmt: skip
        uow.session.add(effect)
        uow.session.flush()
    else:
        effect.not_before = min(effect.not_before, due)
        if lane is Lane.INTERACTIVE:
            effect.lane = lane
    _notify(uow.session)
    return effect


def _notify(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":  # delivered with the commit, never before
        session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


def open_effect(session: Session, kind: str, subject_id: str) -> Effect | None:
    """The effect of this kind still owed for the subject, if any."""
    query = sa.select(Effect).where(Effect.kind == kind, Effect.subject_id == subject_id, Effect.state == EffectState.READY)
    return session.scalars(query).one_or_none()


def open_effects(session: Session, subject_ids: Sequence[str], kind: str | None = None) -> list[Effect]:
    """Everything still owed for these subjects."""
    query = sa.select(Effect).where(Effect.subject_id.in_(subject_ids), Effect.state == EffectState.READY)
    return list(session.scalars(query if kind is None else query.where(Effect.kind == kind)))


def claim_next(uow: UnitOfWork, lanes: Sequence[Lane], kinds: Sequence[str] | None = None) -> Claim | None:
    """Claim the effect that has been due longest, interactive ones first; None when nothing is due.

    The caller's unit of work must commit before the handler runs, or the fence is not yet in force.
    """
    due = (
        sa.select(Effect)
        .where(
            Effect.state == EffectState.READY,
            Effect.lane.in_(lanes),
            Effect.not_before <= uow.now,
            sa.or_(Effect.leased_until.is_(None), Effect.leased_until <= uow.now),
        )
        .order_by(sa.case((Effect.lane == Lane.INTERACTIVE, 0), else_=1), Effect.not_before, Effect.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if kinds is not None:
        due = due.where(Effect.kind.in_(kinds))
    effect = uow.session.scalars(due).first()
    if effect is None:
        return None
    seen = effect.attempt  # read first: the UPDATE below would refresh the loaded row
    won = uow.session.execute(
        sa.update(Effect)
        .where(Effect.id == effect.id, Effect.attempt == seen, Effect.state == EffectState.READY)
        .values(attempt=seen + 1, leased_until=uow.now + LEASE)
    )
    if won.rowcount != 1:  # type: ignore[attr-defined]
        return None
    actor = Actor(ActorKind.EFFECT, effect.actor_id, effect.actor_label, request_id=effect.id)
    return Claim(effect.id, effect.kind, effect.subject_id, seen + 1, dict(effect.payload), effect.lane, actor)


def settle(uow: UnitOfWork, claim: Claim) -> None:
    """The act is done; call it in the unit of work that records the outcome. Raises ClaimLost."""
    _close(uow, claim, state=EffectState.DONE, settled_at=uow.now, leased_until=None, last_error=None)


def bury(uow: UnitOfWork, claim: Claim, error: str) -> None:
    """The act was refused for good. Raises ClaimLost."""
    _close(uow, claim, state=EffectState.DEAD, settled_at=uow.now, leased_until=None, last_error=redact(error)[:500])


def postpone(uow: UnitOfWork, claim: Claim, delay: timedelta, reason: str | None) -> None:
    """Give the claim back, due again after `delay`. Raises ClaimLost."""
    _close(uow, claim, not_before=uow.now + delay, leased_until=None, last_error=redact(reason)[:500] if reason else None)


def withdraw(uow: UnitOfWork, kind: str, subject_id: str) -> None:
    """Somebody else has done the act: it is owed no more. Whoever carries it out just now finds its claim lost."""
    effect = open_effect(uow.session, kind, subject_id)
    if effect is not None:
        effect.state, effect.attempt = EffectState.DONE, effect.attempt + 1
        effect.settled_at, effect.leased_until, effect.last_error = uow.now, None, None


def extend(uow: UnitOfWork, claim: Claim) -> None:
    """Renew the lease in the middle of long work. Raises ClaimLost."""
    _close(uow, claim, leased_until=uow.now + LEASE)


def _close(uow: UnitOfWork, claim: Claim, **values: Any) -> None:
    won = uow.session.execute(
        sa.update(Effect)
        .where(Effect.id == claim.id, Effect.attempt == claim.attempt, Effect.state == EffectState.READY)
        .values(**values)
    )
    if won.rowcount != 1:  # type: ignore[attr-defined]
        raise ClaimLost(f"{claim.kind} {claim.subject_id}: attempt {claim.attempt} was overtaken.")


def backoff(attempt: int) -> timedelta:
    """How long to wait before the next attempt: 2 s, 4 s, 8 s … at most 5 minutes."""
    return timedelta(seconds=min(300, 2 ** min(attempt, 9)))


def wait_longer(claim: Claim, reason: str, *, least: float = 5) -> Later:
    """Come back after `least` seconds, then after twice as many, at most 5 minutes: for what must never be given up."""
    return Later(min(300, least * 2 ** min(claim.attempt - 1, 9)), reason)


def replay(uow: UnitOfWork, effect_id: str) -> Effect:
    """Owe a dead effect again."""
    effect = uow.session.get_one(Effect, effect_id)
    if effect.state is EffectState.DEAD:
        effect.state, effect.not_before, effect.settled_at = EffectState.READY, uow.now, None
        _notify(uow.session)
    return effect
