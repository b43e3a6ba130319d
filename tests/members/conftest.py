"""Members are tested on a clock that stands still and in a world that is known already."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from tests.given import World


@pytest.fixture
def known(clock: FrozenDateTimeFactory, world: World) -> World:
    """The world, its directory pulled."""
    return world.synced()
