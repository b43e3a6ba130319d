"""What must hold of things that OpenAI lists and this service did not make: called gone only when they are,
and asked about to an end."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from govern.inventory.models import AdminKey
from govern.keys.models import LeakReport, LeakState, ObservedKey
from govern.projects.models import ServiceAccount
from tests.given import World


def listed(world: World, alive: Collection[str]) -> list[str]:
    """Sentences about what does not hold. `alive`: the ids of all that exists at OpenAI."""
    with world.govern.unit_of_work.reading() as session:
        gone = [
            remote_id
            for table in (ObservedKey, ServiceAccount, AdminKey)
            for remote_id in session.scalars(sa.select(table.remote_id).where(table.vanished_at.is_not(None)))
        ]
        asking = session.scalars(sa.select(LeakReport.id).where(LeakReport.state == LeakState.SEARCHING)).all()
    bad = [f"I6 {remote_id} is called gone and exists" for remote_id in gone if remote_id in alive]
    return bad + [f"stuck: nobody asks any more whose the key of report {report} is" for report in asking]
