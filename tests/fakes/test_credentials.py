"""What makes a key work and what ends it, seen on the data plane."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from freezegun import freeze_time

from govern.fakes.openai import FakeOpenAI, WorldSpec
from tests.fakes.conftest import Client, issue, project_of


def user_id(fake: FakeOpenAI, email: str) -> str:
    return next(row.id for row in fake.oracle().members() if row.email == email)


def test_a_deleted_account_takes_its_keys_along_after_the_propagation_delay(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), propagation_seconds=30, now=lambda: clock[0])
    http = client(fake)
    made = issue(fake, http)
    value, project = made["api_key"]["value"], project_of(fake)
    assert client(fake, value).get("me").json()["id"] == made["id"]
    assert http.delete(f"organization/projects/{project}/service_accounts/{made['id']}").json()["deleted"] is True
    keys = http.get(f"organization/projects/{project}/api_keys", params={"owner_project_access": "any", "limit": 100}).json()[
        "data"
    ]
    assert made["api_key"]["id"] not in {row["id"] for row in keys}  # gone from listings at once
    clock[0] += timedelta(seconds=29)
    assert client(fake, value).get("models").status_code == 200
    clock[0] += timedelta(seconds=2)
    answer = client(fake, value).get("models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert value not in answer.text


def test_a_repeated_creation_makes_a_second_live_key(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    one, two = issue(small, http, "twin"), issue(small, http, "twin")
    assert one["id"] != two["id"]
    assert all(small.oracle().authenticates(made["api_key"]["value"]) for made in (one, two))


@freeze_time("2026-11-23 12:00")
def test_an_expired_key_is_dead_and_cannot_be_revived(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    made = issue(small, http, expires_in_seconds=60)
    value, path = made["api_key"]["value"], f"organization/projects/{project_of(small)}/api_keys/{made['api_key']['id']}"
    assert http.get(path).json()["expires_at"] == small.org.clock.seconds() + 60
    small.advance(timedelta(seconds=61))
    assert not small.oracle().authenticates(value)
    assert http.post(path, json={"expires_in_seconds": 600}).status_code == 400
    live = small.oracle().keys()
    assert made["api_key"]["id"] not in {row.id for row in live}


def test_scopes_narrow_a_key_after_the_delay_and_empty_ones_widen_it(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(projects=1), propagation_seconds=5, now=lambda: clock[0])
    http = client(fake)
    made = issue(fake, http)
    caller, path = (
        client(fake, made["api_key"]["value"]),
        f"organization/projects/{project_of(fake)}/api_keys/{made['api_key']['id']}",
    )
    question = {"model": "gpt-5.4", "input": "hello"}
    http.post(path, json={"scopes": ["api.all.read"]})
    assert caller.post("responses", json=question).status_code == 200
    clock[0] += timedelta(seconds=6)
    assert caller.post("responses", json=question).status_code == 403
    assert caller.get("models").status_code == 200
    http.post(path, json={"scopes": []})
    clock[0] += timedelta(seconds=6)
    assert caller.post("responses", json=question).status_code == 200


def test_a_person_removed_from_a_project_leaves_a_key_that_only_sleeps(small: FakeOpenAI, client: Client) -> None:
    http, project, eve = client(small), project_of(small), user_id(small, "eve@acme.example")
    key_id, value = small.make_personal_key("eve@acme.example", "Search")
    assert small.oracle().authenticates(value)
    assert http.delete(f"organization/projects/{project}/users/{eve}").status_code == 200
    assert not small.oracle().authenticates(value)
    keys = f"organization/projects/{project}/api_keys"
    assert key_id not in {row["id"] for row in http.get(keys, params={"limit": 100}).json()["data"]}
    row = http.get(f"{keys}/{key_id}").json()
    assert (row["owner_project_access"], row["owner"]["user"]["email"]) == ("inactive", "eve@acme.example")
    assert http.post(f"organization/projects/{project}/users", json={"user_id": eve, "role": "member"}).status_code == 200
    assert small.oracle().authenticates(value)


def test_a_group_gives_access_and_takes_it_away(small: FakeOpenAI, client: Client) -> None:
    http, project, eve = client(small), project_of(small, "Support bot"), user_id(small, "eve@acme.example")
    group = http.post("organization/groups", json={"name": "Bots"}).json()["id"]
    http.post(f"organization/groups/{group}/users", json={"user_id": eve})
    role = http.get(f"projects/{project}/roles").json()["data"][0]["id"]
    http.post(f"organization/projects/{project}/groups", json={"group_id": group, "role": role})
    _, value = small.make_personal_key("eve@acme.example", "Support bot")
    assert small.oracle().authenticates(value)
    http.delete(f"organization/projects/{project}/groups/{group}")
    assert not small.oracle().authenticates(value)


def test_a_person_who_leaves_the_organization_takes_personal_keys_only(small: FakeOpenAI, client: Client) -> None:
    http, eve = client(small), user_id(small, "eve@acme.example")
    _, own = small.make_personal_key("eve@acme.example", "Search")
    account = issue(small, http, "eve's service")
    assert http.delete(f"organization/users/{eve}").status_code == 200
    assert not small.oracle().authenticates(own)
    assert small.oracle().authenticates(account["api_key"]["value"])


def test_archiving_a_project_ends_its_keys(small: FakeOpenAI, client: Client) -> None:
    http, project = client(small), project_of(small)
    made = issue(small, http)
    http.post(f"organization/projects/{project}/archive")
    assert not small.oracle().authenticates(made["api_key"]["value"])
    assert http.get(f"organization/projects/{project}/service_accounts").status_code == 400
    assert http.get(f"organization/projects/{project}/api_keys").status_code == 200


def test_deleting_a_service_accounts_key_depends_on_the_generation(client: Client) -> None:
    for generation, status in (("2026-08", 400), ("2026-11", 200)):
        fake = FakeOpenAI(WorldSpec(projects=1), generation=generation)
        made = issue(fake, client(fake))
        answer = client(fake).delete(f"organization/projects/{project_of(fake)}/api_keys/{made['api_key']['id']}")
        assert answer.status_code == status
        assert fake.oracle().authenticates(made["api_key"]["value"]) is (status == 400)


def test_the_older_generation_knows_no_expiry(client: Client) -> None:
    fake = FakeOpenAI(WorldSpec(projects=1), generation="2026-08")
    answer = client(fake).post(
        f"organization/projects/{project_of(fake)}/service_accounts", json={"name": "x", "expires_in_seconds": 60}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expires_in_seconds")
    assert client(fake).get("organization/workload_identity_providers").status_code == 404


def test_a_lifetime_policy_makes_the_expiry_mandatory(small: FakeOpenAI, client: Client) -> None:
    small.behaviour.max_key_lifetime_seconds = 3_600
    path = f"organization/projects/{project_of(small)}/service_accounts"
    for body, status in (({}, 400), ({"expires_in_seconds": 7_200}, 400), ({"expires_in_seconds": 3_600}, 200)):
        assert client(small).post(path, json={"name": "x", **body}).status_code == status


@pytest.mark.parametrize(("header", "status"), [({}, 401), ({"Authorization": "Bearer sk-admin-nobody-knows-this"}, 401)])
def test_who_shows_no_valid_key_is_refused(small: FakeOpenAI, header: dict[str, str], status: int) -> None:
    with httpx.Client(transport=httpx.WSGITransport(app=small.app), base_url="http://openai.test/v1", headers=header) as http:
        assert http.get("organization/users").status_code == status
        assert http.get("models").status_code == status


def test_no_secret_can_be_read_again(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    made = issue(small, http)
    value = made["api_key"]["value"]
    for row in small.oracle().projects():
        assert value not in http.get(f"organization/projects/{row.id}/api_keys", params={"limit": 100}).text
    assert small.admin_key not in http.get("organization/admin_api_keys").text
    assert value not in http.get("organization/audit_logs", params={"limit": 100}).text
    assert value not in repr(small.org.tables)


def test_openai_may_end_a_leaked_key_itself(small: FakeOpenAI, client: Client) -> None:
    made = issue(small, client(small))
    small.disable_key(made["api_key"]["id"])
    assert not small.oracle().authenticates(made["api_key"]["value"])
    with pytest.raises(LookupError):
        small.disable_key(made["api_key"]["id"])
