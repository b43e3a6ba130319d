"""The seeded organization."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import httpx
import pytest

from govern.fakes.openai import FakeOpenAI, WorldSpec, names
from tests.fakes.conftest import Client

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def world(**spec: int) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(**spec), now=lambda: NOON)


def test_the_same_specification_gives_the_same_organization() -> None:
    spec = {"people": 60, "projects": 12, "months": 3, "seed": 7}
    one, two, other = world(**spec), world(**spec), world(**spec | {"seed": 8})
    for view in ("members", "invites", "projects", "project_users", "service_accounts", "keys"):
        assert getattr(one.oracle(), view)() == getattr(two.oracle(), view)(), view
        assert getattr(one.oracle(), view)() != getattr(other.oracle(), view)(), view


def test_without_a_specification_there_is_one_owner_and_the_default_project() -> None:
    fake = FakeOpenAI()
    assert [(row.email, row.role) for row in fake.oracle().members()] == [("ada@acme.example", "owner")]
    assert [(row.name, row.is_default) for row in fake.oracle().projects()] == [("Default project", True)]
    assert fake.oracle().keys() == fake.oracle().invites() == fake.oracle().service_accounts() == []


def test_the_cast_comes_first_and_the_counts_hold() -> None:
    fake = world(people=300, projects=20, months=1, seed=3)
    members = fake.oracle().members()
    assert [row.name for row in members[:4]] == ["Ada Admin", "Eve Employee", "Ola Auditor", "Max Manager"]
    assert len(members) == 300
    assert len(fake.oracle().projects()) == 21
    assert any(row.archived for row in fake.oracle().projects())
    live = fake.oracle().keys()
    assert {row.access for row in live} == {"active", "inactive"}
    assert any(str(row.email).endswith("@contractors.example") for row in members)
    assert 1 < sum(row.role == "owner" for row in members) < 30


def test_some_keys_of_people_were_never_used(client: Client) -> None:
    fake = world(people=120, projects=4, months=2, seed=5)
    http = client(fake)
    keys = [
        key
        for row in fake.oracle().projects()
        for key in http.get(
            f"organization/projects/{row.id}/api_keys", params={"owner_project_access": "any", "limit": 100}
        ).json()["data"]
    ]
    unused = [key for key in keys if key["last_used_at"] is None]
    assert 0 < len(unused) < len(keys) / 2
    assert all(key["created_at"] < key["last_used_at"] <= NOON.timestamp() for key in keys if key not in unused)


def test_no_two_people_share_an_address() -> None:
    addresses = [names.person(index)[1] for index in range(20_000)]
    assert len(set(addresses)) == 20_000
    assert all(address.isascii() for address in addresses)


def test_lists_are_ordered_neither_by_age_nor_by_name(client: Client) -> None:
    rows = client(world(people=60, projects=5)).get("organization/users", params={"limit": 100}).json()["data"]
    for order in ("added_at", "name", "id"):
        values = [row[order] for row in rows if row[order]]
        assert values not in (sorted(values), sorted(values, reverse=True))


def test_ten_thousand_people_are_there_in_seconds(client: Client) -> None:
    began = time.monotonic()
    fake = world(people=10_000, projects=200, months=6, seed=7)
    http = client(fake)
    answer = http.get("organization/costs", params={"start_time": int(NOON.timestamp()) - 3 * 86_400, "group_by": "project_id"})
    assert answer.status_code == 200
    assert time.monotonic() - began < 20  # about one second on an idle core


@pytest.mark.parametrize("spec", [{"people": 0}, {"people": 99_999}, {"months": -1}, {"projects": 9_999}])
def test_an_absurd_specification_is_refused(spec: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="people 1"):
        WorldSpec(**spec)


def test_the_audit_log_tells_how_it_came_about(client: Client) -> None:
    fake = world(people=12, projects=3)
    http: httpx.Client = client(fake)
    asked = {"event_types[]": "user.added", "limit": 100}
    events = http.get("organization/audit_logs", params=asked).json()["data"]
    assert {event["user.added"]["id"] for event in events} == {row.id for row in fake.oracle().members()}
