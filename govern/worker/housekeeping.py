"""Throws away what nobody needs any more. What proves something (audit, alerts, keys, reveals) stays for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from govern.bootstrap import Govern
from govern.core.outbox import Effect, EffectState
from govern.core.uow import Actor, ActorKind, UnitOfWork
from govern.identity import service as identity
from govern.jobs import ledger
from govern.people import directory
from govern.usage import retention
from govern.worker.progress import Progress

EFFECTS_AFTER: Final = timedelta(days=30)
RUNS_AFTER: Final = timedelta(days=90)
WORKERS_AFTER: Final = timedelta(days=1)


def run(govern: Govern, _progress: Progress) -> dict[str, int]:
    """Delete what is settled, finished or over, after a while. Refused effects stay: an admin may replay them."""
    actor, hours = Actor(ActorKind.JOB, "housekeeping", "housekeeping"), timedelta(days=govern.settings.sync.hours_days)
    with govern.unit_of_work(actor) as uow:
        windows = retention.forget_hours(uow, after=hours)
    with govern.unit_of_work(actor) as uow:
        return {
            "hours": windows,
            **identity.forget_old(uow),
            "drafts": directory.forget_drafts(uow),
            "effects": _settled_effects(uow),
            "runs": ledger.forget(uow, runs_after=RUNS_AFTER, workers_after=WORKERS_AFTER),
        }


def _settled_effects(uow: UnitOfWork) -> int:
    old = sa.delete(Effect).where(Effect.state == EffectState.DONE, Effect.settled_at < uow.now - EFFECTS_AFTER)
    return int(uow.session.execute(old).rowcount)  # type: ignore[attr-defined]
