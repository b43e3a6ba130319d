"""Lists of people are tested over the web door's cast, sent by an admin who has a colleague."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import service as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.batches import plan, queries, rules, service
from govern.batches.models import Batch, BatchKind, RowState
from govern.batches.plan import Limits, Planned
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.offboarding.models import Offboarding
from govern.people.models import Person
from tests.given import ADA, World
from tests.web.conftest import Door, door

__all__ = ["door"]


@dataclass
class Lists:
    """`lists.send("eve@…\\nmax@…")` as Ada; `alone` is what one admin may do."""

    door: Door
    clock: FrozenDateTimeFactory
    alone: int = 10

    @property
    def world(self) -> World:
        return self.door.world

    def actor(self, email: str = ADA) -> Actor:
        person = self.world.person(email)
        return Actor(ActorKind.PERSON, person.id, person.name)

    def limits(self) -> Limits:
        return Limits(self.alone, timedelta(hours=1), timedelta(days=7))

    def send(
        self, text: str, kind: BatchKind = BatchKind.REMOVE, *, reason: str = "the team is closed", drain: bool = True
    ) -> Batch:
        with self.door.govern.unit_of_work(self.actor()) as uow:
            batch = service.begin(uow, kind, rules.read(kind, text), reason=reason, limits=self.limits())
        if drain:
            self.world.drain()
        return batch

    def plan(self, text: str, kind: BatchKind = BatchKind.REMOVE) -> list[Planned]:
        with self.door.govern.unit_of_work.reading() as session:
            lines = rules.read(kind, text)
            return plan.plan(session, kind, lines, self.actor(), now=utcnow(), limits=self.limits())

    def outcomes(self, batch: Batch) -> dict[str, RowState]:
        return {told.row.who: told.row.state for told in self.told(batch)}

    def told(self, batch: Batch) -> list[queries.Told]:
        with self.door.govern.unit_of_work.reading() as session:
            return queries.rows(session, queries.get(session, batch.id))

    def removals(self) -> list[Offboarding]:
        with self.door.govern.unit_of_work.reading() as session:
            return list(session.query(Offboarding).order_by(Offboarding.id))

    def approval(self, batch: Batch) -> Approval:
        with self.door.govern.unit_of_work.reading() as session:
            return session.get_one(Approval, self.world.reload(batch).approval_id)

    def decide(self, batch: Batch, by: str, *, approve: bool) -> None:
        person: Person = self.world.person(by)
        with self.door.govern.unit_of_work(Actor(ActorKind.PERSON, person.id, person.name)) as uow:
            row = approvals.decide(
                uow, self.approval(batch).id, by=person.id, approve=approve, reason="looked at it", acts=self.door.govern.acts
            )
        assert row.state is (ApprovalState.APPROVED if approve else ApprovalState.DENIED)


@pytest.fixture
def lists(clock: FrozenDateTimeFactory, door: Door) -> Lists:
    """Ola is a second admin in these tests."""
    return Lists(door, clock)
