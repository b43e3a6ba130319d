"""Members are tested on a clock that stands still and in a world that is known already."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from tests.given import World
from tests.snapshots import Snapshots


@pytest.fixture
def known(clock: FrozenDateTimeFactory, world: World, snapshots: Snapshots) -> World:
    """The world, its directory pulled."""
    snapshots.begin("known", world, world.synced)
    return world
