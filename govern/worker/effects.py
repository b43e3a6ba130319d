"""Carries out effects: claim, hand to the effect's handler, and put off or bury what it could not do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
import structlog

from govern.bootstrap import Govern
from govern.core import calls, outbox
from govern.core.clock import utcnow
from govern.core.errors import RETRYABLE, ProviderError, Throttled
from govern.core.lanes import Lane, in_lane
from govern.core.outbox import Claim, ClaimLost, Effect, EffectState, Later
from govern.core.uow import Actor, ActorKind
from govern.worker.faults import sentence, traits

log = structlog.get_logger("govern.worker")

CLAIMING = Actor(ActorKind.EFFECT, "worker", "worker")


class Effects:
    """Carries out what is owed. Safe to use from several threads: the claim decides who does what."""

    def __init__(self, govern: Govern) -> None:
        self._govern = govern
        self._handlers = govern.need_outside().effects
        self._in_hand: dict[str, Claim] = {}
        self._lock = threading.Lock()

    def carry_out_next(self, lanes: Sequence[Lane]) -> bool:
        """Do the one effect that is due first; False if none is due."""
        if not self._any_due(lanes):
            return False
        with self._govern.unit_of_work(CLAIMING) as uow:
            claim = outbox.claim_next(uow, lanes)
        if claim is None:  # another thread was quicker; there may be more
            return self._any_due(lanes)
        with self._lock:
            self._in_hand[claim.id] = claim
        try:
            self._carry_out(claim)
        finally:
            with self._lock:
                self._in_hand.pop(claim.id, None)
        return True

    def renew(self) -> None:
        """Renew the leases of what is in hand: a throttled call may wait for longer than a lease."""
        with self._lock:
            claims = list(self._in_hand.values())
        for claim in claims:
            try:
                with self._govern.unit_of_work(claim.actor) as uow:
                    outbox.extend(uow, claim)
            except ClaimLost:  # it was settled just now, or taken over: either way not ours to keep
                continue

    def in_hand(self) -> list[str]:
        """What is being carried out now, for the log."""
        with self._lock:
            return [f"{claim.kind} {claim.subject_id}" for claim in self._in_hand.values()]

    def _any_due(self, lanes: Sequence[Lane]) -> bool:
        # A look before the claim, because on SQLite a claim takes the one write lock, and this is asked all the time.
        now = utcnow()
        due = sa.select(Effect.id).where(
            Effect.state == EffectState.READY,
            Effect.lane.in_(lanes),
            Effect.not_before <= now,
            sa.or_(Effect.leased_until.is_(None), Effect.leased_until <= now),
        )
        with self._govern.unit_of_work.reading() as session:
            return session.scalar(due.limit(1)) is not None

    def _carry_out(self, claim: Claim) -> None:
        words = log.bind(effect=claim.id, kind=claim.kind, subject=claim.subject_id, attempt=claim.attempt)
        handler = self._handlers.get(claim.kind)
        if handler is None:
            # Perhaps a newer release enqueued it during an upgrade: keep it for the one that knows it.
            self._postpone(claim, timedelta(minutes=5), f"This release knows no effect {claim.kind!r}.")
            words.error("effect.unknown")
            return
        try:
            with in_lane(claim.lane), calls.acting_for(claim.id):
                later = handler(claim)
        except ClaimLost:
            words.info("effect.overtaken")
        except RETRYABLE as error:
            wait = outbox.backoff(claim.attempt)
            if isinstance(error, Throttled) and error.retry_after:
                wait = max(wait, timedelta(seconds=error.retry_after))
            self._postpone(claim, wait, error.sentence)
            words.warning("effect.postponed", seconds=wait.total_seconds(), **traits(error))
        except ProviderError as error:
            self._bury(claim, error)
            words.error("effect.refused", **traits(error))
        except Exception as error:
            self._postpone(claim, outbox.backoff(claim.attempt), sentence(error))
            words.error("effect.failed", **traits(error))
        else:
            if isinstance(later, Later):
                self._postpone(claim, timedelta(seconds=later.seconds), later.reason)
                words.info("effect.later", seconds=later.seconds, reason=later.reason)
            else:
                words.info("effect.done")

    def _postpone(self, claim: Claim, wait: timedelta, reason: str) -> None:
        try:
            with self._govern.unit_of_work(claim.actor) as uow:
                outbox.postpone(uow, claim, wait, reason)
        except ClaimLost:
            log.info("effect.overtaken", effect=claim.id)

    def _bury(self, claim: Claim, error: ProviderError) -> None:
        try:
            with self._govern.unit_of_work(claim.actor) as uow:
                outbox.bury(uow, claim, error.sentence)
        except ClaimLost:
            log.info("effect.overtaken", effect=claim.id)
