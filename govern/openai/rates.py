"""What pacing has learned, read once at the start and written now and then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.openai.models import PacingBucket

ACTOR: Final = Actor(ActorKind.JOB, "openai.pacing", "pacing")

log = structlog.get_logger("govern.openai")


@dataclass(frozen=True)
class LearnedRate:
    """The state of one family at an instant; `last_refused_at` None means: not refused just now, keep what is stored."""

    family: str
    per_minute: float | None
    refused_per_minute: float | None
    tokens: float
    blocked_until: datetime | None
    refusals: int
    last_refused_at: datetime | None
    updated_at: datetime


class LearnedRates:
    """The table `pacing_buckets`. A database that fails costs the memory, never the call: it is logged and that is all."""

    def __init__(self, unit_of_work: UnitsOfWork) -> None:
        self._unit_of_work = unit_of_work

    def load(self) -> dict[str, LearnedRate]:
        """Every family that is known, by name."""
        try:
            with self._unit_of_work.reading() as session:
                return {row.family: _learned(row) for row in session.scalars(sa.select(PacingBucket))}
        except SQLAlchemyError as error:
            log.warning("openai.pacing.not_loaded", error=type(error).__name__)
            return {}

    def save(self, rate: LearnedRate) -> None:
        """Write one family's state, in a transaction of its own."""
        try:
            with self._unit_of_work(ACTOR) as uow:
                row = uow.session.get(PacingBucket, rate.family)
                if row is None:
                    row = PacingBucket(family=rate.family)
                    uow.session.add(row)
                row.requests_per_minute, row.refused_per_minute = rate.per_minute, rate.refused_per_minute
                row.tokens, row.blocked_until, row.refusals = rate.tokens, rate.blocked_until, rate.refusals
                row.last_refused_at = rate.last_refused_at or row.last_refused_at
                row.updated_at = rate.updated_at
        except SQLAlchemyError as error:  # two threads may insert the same family; the next write puts it right
            log.warning("openai.pacing.not_saved", family=rate.family, error=type(error).__name__)


def _learned(row: PacingBucket) -> LearnedRate:
    return LearnedRate(
        row.family, row.requests_per_minute, row.refused_per_minute, row.tokens, row.blocked_until, row.refusals,
        row.last_refused_at, row.updated_at,
    )  # fmt: skip
