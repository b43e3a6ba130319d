"""What tests of the fake organization share: small worlds and plain HTTP clients on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from govern.fakes.openai import FakeOpenAI, WorldSpec

Client = Callable[..., httpx.Client]


@pytest.fixture
def small() -> FakeOpenAI:
    """Four people, three projects, no traffic, costs at once."""
    return FakeOpenAI(WorldSpec(people=4, projects=3, seed=7), cost_lag_hours=0)


@pytest.fixture
def client() -> Client:
    """A client in process: `client(fake)` with the admin key, `client(fake, value)` with another."""

    def make(fake: FakeOpenAI, key: str | None = None, **more: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or fake.admin_key}"}
        return httpx.Client(
            transport=httpx.WSGITransport(app=fake.app), base_url="http://openai.test/v1", headers=headers, **more
        )

    return make


def project_of(fake: FakeOpenAI, name: str = "Search") -> str:
    return next(row.id for row in fake.oracle().projects() if row.name == name)


def issue(fake: FakeOpenAI, http: httpx.Client, name: str = "issued", project: str | None = None, **more: Any) -> dict[str, Any]:
    """A service account with a key, through the API: {id, api_key: {id, value, …}}."""
    answer = http.post(f"organization/projects/{project or project_of(fake)}/service_accounts", json={"name": name, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
