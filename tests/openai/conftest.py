"""A client of the fake organization on a clock of its own: waiting takes no time, and the organization's clock moves with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from govern.core.crypto import Secret
from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.openai.client import OpenAIClient, make_client
from tests.ticker import Ticker


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
