"""Policies are tested on a clock that stands still, with the web door's cast."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from tests.given import World
from tests.web.conftest import Door, door  # noqa: F401


@pytest.fixture
def standing(clock: FrozenDateTimeFactory, door: Door) -> World:  # noqa: F811
    """The cast is known; Eve reports to Max, and Ada is an administrator."""
    return door.world
