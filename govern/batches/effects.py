"""Carry out a batch row by row. Each row and its outcome are one transaction, so that a restart goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass

from govern.batches import outcomes, queries, service
from govern.batches.models import RowState
from govern.core import outbox
from govern.core.crashpoints import crashpoint
from govern.core.errors import Conflict, InvalidInput, NotFound, PolicyViolation
from govern.core.outbox import Claim
from govern.core.uow import Actor, ActorKind, UnitsOfWork


@dataclass(frozen=True)
class Run:
    """`batch.run`: subject is the batch. It acts in the name of whoever sent the list. What is held waits for its approval."""

    unit_of_work: UnitsOfWork

    def __call__(self, claim: Claim) -> None:
        with self.unit_of_work.reading() as session:
            batch = queries.get(session, claim.subject_id)
            sender = Actor(ActorKind.EFFECT, batch.created_by, batch.created_label, request_id=claim.id)
        while self._one(claim, sender):
            crashpoint("batch.row.recorded")

    def _one(self, claim: Claim, sender: Actor) -> bool:
        row_id = None
        try:
            with self.unit_of_work(sender) as uow:
                batch = queries.get(uow.session, claim.subject_id)
                row = outcomes.next_row(uow, batch)
                if row is None:
                    outbox.settle(uow, claim)
                    service.finish(uow, batch.id)
                    return False
                outbox.extend(uow, claim)
                row_id = row.id
                outcomes.carry_out(uow, batch, row)
                crashpoint("batch.row.before_commit")
        except (NotFound, InvalidInput, Conflict, PolicyViolation) as refusal:
            if row_id is None:
                raise
            state = RowState.UNKNOWN if isinstance(refusal, NotFound) else RowState.REFUSED
            with self.unit_of_work(sender) as uow:
                outbox.extend(uow, claim)
                service.record_refusal(uow, row_id, state, refusal.sentence)
        return True
