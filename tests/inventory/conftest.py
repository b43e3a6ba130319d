"""The clock stands still before the world is made, or the world would lie in the future of its tests."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.fakes.openai import FakeOpenAI, WorldSpec


@pytest.fixture
def openai(clock: FrozenDateTimeFactory) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=4, projects=3, months=0, seed=7))
