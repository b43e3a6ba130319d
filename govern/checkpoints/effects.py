"""Push checkpoints outside: what a sink has not had yet, oldest first, again and again until it takes them.

At least once: a worker that dies between the push and its record pushes the same lines again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from govern.checkpoints import queries, service
from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import ProviderError
from govern.core.outbox import Claim, Later
from govern.core.uow import UnitsOfWork
from govern.ports import Signed, Sink

BATCH: Final = 100
"""Checkpoints per push: a sink that was away for a day gets three of these."""


@dataclass(frozen=True)
class Push:
    """`audit.push` (subject: the sink's name). It is never given up: a sink that does not answer for a day misses nothing."""

    unit_of_work: UnitsOfWork
    sinks: Mapping[str, Sink]

    def __call__(self, claim: Claim) -> Later | None:
        name = claim.subject_id
        with self.unit_of_work.reading() as session:
            rows = queries.following(session, queries.pushed_to(session, name), BATCH)
        sink = self.sinks.get(name)
        if sink is None or not rows:  # taken out of the settings meanwhile, or another attempt was quicker
            with self.unit_of_work(claim.actor) as uow:
                outbox.settle(uow, claim)
            return None
        newest = rows[-1]
        signed = Signed(f"audit-checkpoint-{newest.seq}", newest.seq, newest.at, tuple(row.line for row in rows))
        crashpoint("audit.push.before_push")
        try:
            receipt = sink.push(signed)
        except ProviderError as error:
            with self.unit_of_work(claim.actor) as uow:
                outbox.extend(uow, claim)  # only the latest attempt may count
                service.note_failed(uow, name, error.sentence)
            return outbox.wait_longer(claim, error.sentence)
        crashpoint("audit.push.pushed")
        more = len(rows) == BATCH
        with self.unit_of_work(claim.actor) as uow:
            if more:
                outbox.extend(uow, claim)
            else:
                outbox.settle(uow, claim)
            service.note_pushed(uow, name, newest.seq, receipt)
            crashpoint("audit.push.before_commit")
        return Later(0, "more to push") if more else None
