"""What was changed at a provider, by the request ids that the provider gave: for evidence, and to know our own changes again.

Only calls that change something are kept. Which effect they were made for travels in a context variable, as the lane does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Mapped, Session, mapped_column

from govern.core.db import Base, UTCDateTime
from govern.core.outbox import Effect
from govern.core.uow import Actor, ActorKind, UnitsOfWork

log = structlog.get_logger("govern.calls")

RECORDER = Actor(ActorKind.EFFECT, "calls", "record of calls")


class ProviderCall(Base):
    """One call that was to change something. `status` null: no answer came, so it may or may not have happened."""

    __tablename__ = "provider_calls"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    request_id: Mapped[str | None] = mapped_column(sa.String(200), index=True)
    effect_id: Mapped[str | None] = mapped_column(sa.String(40), index=True)
    method: Mapped[str] = mapped_column(sa.String(10))
    path: Mapped[str] = mapped_column(sa.String(500))
    status: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(UTCDateTime)


_effect: ContextVar[str | None] = ContextVar("govern_effect", default=None)


@contextmanager
def acting_for(effect_id: str) -> Iterator[None]:
    """Calls made in the block are made for this effect."""
    token = _effect.set(effect_id)
    try:
        yield
    finally:
        _effect.reset(token)


def note(unit_of_work: UnitsOfWork, *, method: str, path: str, status: int | None, request_id: str | None) -> None:
    """Keep one call. Never raises for the database: the call was made, and its outcome must reach whoever asked for it."""
    try:
        with unit_of_work(RECORDER) as uow:
            uow.session.add(
                ProviderCall(
                    id=uow.new_id("call"),
                    request_id=request_id[:200] if request_id else None,
                    effect_id=_effect.get(),
                    method=method,
                    path=path[:500],
                    status=status,
                    at=uow.now,
                )
            )
    except sa.exc.SQLAlchemyError as error:
        log.warning("calls.not_kept", method=method, request_id=request_id, error=type(error).__name__)


def calls_for(session: Session, subject_ids: Sequence[str]) -> Sequence[ProviderCall]:
    """Every change made for the effects of these subjects, oldest first."""
    effects = sa.select(Effect.id).where(Effect.subject_id.in_(subject_ids))
    return session.scalars(sa.select(ProviderCall).where(ProviderCall.effect_id.in_(effects)).order_by(ProviderCall.id)).all()
