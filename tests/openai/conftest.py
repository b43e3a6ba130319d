"""A client of the fake organization on a clock of its own: waiting takes no time, and the organization's clock moves with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from govern.core.crypto import Secret
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.openai.client import OpenAIClient, make_client

BEGIN = datetime(2025, 3, 11, 12, tzinfo=UTC)
"""A Tuesday that is long past on every machine: whole weeks of it can be asked for without freezing the clock."""


@dataclass
class Ticker:
    """A clock that moves only when somebody sleeps on it."""

    seconds: float = 0.0
    naps: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    def wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)


@pytest.fixture
def ticker() -> Ticker:
    return Ticker()


@dataclass
class Peer:
    """The fake organization and what makes clients of it."""

    fake: FakeOpenAI
    ticker: Ticker

    def client(self, **options: Any) -> OpenAIClient:
        given: dict[str, Any] = {
            "base_url": "http://openai.test/v1", "admin_key": Secret(self.fake.admin_key), "clock": self.ticker,
            "sleep": self.ticker.sleep, "transport": httpx.WSGITransport(app=self.fake.app),
        }  # fmt: skip
        return make_client(**(given | options))

    def open_project(self) -> str:
        return next(p.id for p in self.fake.oracle().projects() if p.name not in {"Default project"} and not p.archived)

    def served(self, method: str, ending: str) -> int:
        """How many requests of that method to a path with that ending reached the organization."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.fake.oracle().requests)


PeerMaker = Callable[..., Peer]


@pytest.fixture
def make_peer(ticker: Ticker) -> PeerMaker:
    def make(people: int = 4, projects: int = 3, months: int = 0, **options: Any) -> Peer:
        spec = WorldSpec(people=people, projects=projects, months=months, seed=7)
        return Peer(FakeOpenAI(spec, now=ticker.wall, **options), ticker)

    return make


@pytest.fixture
def peer(make_peer: PeerMaker) -> Peer:
    """Four people, three projects, the newest API."""
    return make_peer()
