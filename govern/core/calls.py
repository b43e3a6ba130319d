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
    """One call that was to change something, written down before it is sent: a worker that dies in the middle leaves it here.

    `status` null: no answer came, so it may or may not have happened. `touched`: the provider's ids that the answer named.
    """

    __tablename__ = "provider_calls"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    request_id: Mapped[str | None] = mapped_column(sa.String(200), index=True)
    effect_id: Mapped[str | None] = mapped_column(sa.String(40), index=True)
    method: Mapped[str] = mapped_column(sa.String(10))
    path: Mapped[str] = mapped_column(sa.String(500))
    status: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    touched: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))

    @property
    def may_have_happened(self) -> bool:
        """Whether it changed something, as far as its answer tells: a refusal did not."""
        return self.status is None or self.status < 400 or self.status >= 500


_effect: ContextVar[str | None] = ContextVar("govern_effect", default=None)


@contextmanager
def acting_for(effect_id: str) -> Iterator[None]:
    """Calls made in the block are made for this effect."""
    token = _effect.set(effect_id)
    try:
        yield
    finally:
        _effect.reset(token)


class Record:
    """Keeps calls. Never raises for the database: a revocation must not wait for its own record."""

    def __init__(self, unit_of_work: UnitsOfWork) -> None:
        self._unit_of_work = unit_of_work

    def begin(self, method: str, path: str) -> str | None:
        """Write down that the call is about to be sent; gives its id, or None if it could not be kept."""
        try:
            with self._unit_of_work(RECORDER) as uow:
                call = ProviderCall(
                    id=uow.new_id("call"), effect_id=_effect.get(), method=method, path=path[:500], at=uow.now
                )  # fmt: skip
                uow.session.add(call)
                return call.id
        except sa.exc.SQLAlchemyError as error:
            log.warning("calls.not_kept", method=method, error=type(error).__name__)
            return None

    def finish(self, call_id: str | None, status: int, request_id: str | None, touched: Sequence[str]) -> None:
        """Write down what was answered."""
        if call_id is None:
            return
        try:
            with self._unit_of_work(RECORDER) as uow:
                call = uow.session.get_one(ProviderCall, call_id)
                call.status, call.touched = status, list(touched) or None
                call.request_id = request_id[:200] if request_id else None
        except sa.exc.SQLAlchemyError as error:
            log.warning("calls.not_kept", request_id=request_id, error=type(error).__name__)


def calls_for(session: Session, subject_ids: Sequence[str]) -> Sequence[ProviderCall]:
    """Every change made for the effects of these subjects, oldest first."""
    effects = sa.select(Effect.id).where(Effect.subject_id.in_(subject_ids))
    return session.scalars(sa.select(ProviderCall).where(ProviderCall.effect_id.in_(effects)).order_by(ProviderCall.id)).all()
