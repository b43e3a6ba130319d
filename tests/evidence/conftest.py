"""Evidence is tested on a removal that is proven, in a world that is known already."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.evidence import queries, service
from govern.offboarding.models import Offboarding
from tests.given import EVE, PROJECT, World


@dataclass
class Proven:
    """A removal that is proven, and what was signed of it."""

    world: World
    removal: Offboarding

    def pem(self) -> bytes:
        with self.world.govern.unit_of_work.reading() as session:
            return queries.public_key(session).public_pem.encode()

    def file(self, evidence_id: str | None = None) -> bytes:
        with self.world.govern.unit_of_work.reading() as session:
            return queries.get(session, evidence_id or self.removal.evidence_id).file.encode()

    def pdf(self, evidence_id: str | None = None) -> bytes:
        which = evidence_id or self.removal.evidence_id
        assert which is not None
        with self.world.govern.unit_of_work.reading() as session:
            return service.pdf(session, self.world.govern.box, which)


@pytest.fixture
def proven(clock: FrozenDateTimeFactory, world: World) -> Proven:
    """Eve held a key, made one too, and is gone."""
    world.synced().key(EVE, name="laptop", project=PROJECT)
    world.openai.make_personal_key(EVE, PROJECT)
    world.synced()
    removal = world.remove(EVE, "hat gekündigt · уволилась · 退職")
    world.finish(clock)
    return Proven(world, world.reload(removal))
