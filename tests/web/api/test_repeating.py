"""Idempotency-Key over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from freezegun import freeze_time

from tests.given import EVE
from tests.web.conftest import Door


@pytest.mark.one_database
def test_every_post_says_that_it_honours_the_key(door: Door) -> None:
    spec = door.app.test_client().get("/api/openapi.json").get_json()
    posts = [path["post"] for path in spec["paths"].values() if "post" in path]
    assert len(posts) >= 12
    for operation in posts:
        assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]


@pytest.mark.one_database
def test_a_budget_is_made_once(door: Door) -> None:
    admin = door.api("admin")
    body = {"name": "all", "scope": "organization", "amount_usd": 10}
    first, second = admin.post("/budgets", body, key="b-1"), admin.post("/budgets", body, key="b-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert second.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotent-Replayed"), second.headers.get("Idempotent-Replayed")) == (None, "true")
    assert len(admin.get("/budgets").get_json()["items"]) == 1


@pytest.mark.one_database
def test_the_order_of_fields_makes_no_other_request(door: Door) -> None:
    admin = door.api("admin")
    first = admin.post("/budgets", {"name": "all", "scope": "organization", "amount_usd": 10}, key="b-1")
    second = admin.post("/budgets", {"amount_usd": 10, "scope": "organization", "name": "all"}, key="b-1")
    assert second.get_json()["id"] == first.get_json()["id"]


@pytest.mark.one_database
def test_another_request_under_the_same_key_is_refused(door: Door) -> None:
    admin = door.api("admin")
    admin.post("/budgets", {"name": "all", "scope": "organization", "amount_usd": 10}, key="b-1")
    other = admin.post("/budgets", {"name": "all", "scope": "organization", "amount_usd": 11}, key="b-1")
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = admin.post("/jobs/usage.sync/runs", key="b-1")
    assert elsewhere.status_code == 422


@pytest.mark.one_database
def test_keys_of_two_callers_do_not_meet(door: Door) -> None:
    body = {"name": "all", "scope": "organization", "amount_usd": 10}
    one = door.api("admin").post("/budgets", body, key="b-1")
    two = door.api(door.system_token()).post("/budgets", body, key="b-1")
    assert one.get_json()["id"] != two.get_json()["id"]


@pytest.mark.one_database
def test_a_request_that_failed_may_be_sent_again(door: Door) -> None:
    admin = door.api("admin")
    body = {"name": "Eve", "scope": "person", "scope_id": "nobody@acme.example", "amount_usd": 10}
    assert admin.post("/budgets", body, key="b-1").status_code == 404
    door.world.person(EVE)
    assert admin.post("/budgets", body | {"scope_id": EVE}, key="b-1").status_code == 201


@pytest.mark.one_database
def test_an_unsettled_answer_is_made_anew(door: Door) -> None:
    admin = door.api("admin")
    body = {"person": EVE, "project": door.world.project().id, "name": "laptop"}
    first = admin.post("/keys", body, key="k-1")
    waiting = admin.post("/keys", body, key="k-1")
    assert (first.status_code, waiting.status_code) == (202, 202)
    door.world.drain()
    ready = admin.post("/keys", body, key="k-1")
    assert (ready.status_code, ready.get_json()["state"]) == (201, "live")
    assert ready.headers["Idempotent-Replayed"] == "true"
    admin.post(f"/keys/{ready.get_json()['id']}/revoke", {})
    stored = admin.post("/keys", body, key="k-1")
    assert stored.get_json() == ready.get_json(), "the final answer is the one that was given"
    assert len(admin.get("/keys").get_json()["items"]) == 1


@pytest.mark.one_database
def test_a_reveal_is_repeated_only_with_its_own_key_and_only_for_a_while(door: Door) -> None:
    with freeze_time("2026-03-10 09:00", tick=True) as clock:
        admin = door.api("admin")
        body = {"person": EVE, "project": door.world.project().id, "name": "laptop"}
        key = admin.post("/keys", body).get_json()["id"]
        door.world.drain()
        first = admin.post(f"/keys/{key}/reveal", key="r-1")
        assert first.status_code == 200
        again = admin.post(f"/keys/{key}/reveal", key="r-1")
        assert again.get_json() == first.get_json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert admin.post(f"/keys/{key}/reveal", key="r-2").status_code == 410
        assert admin.post(f"/keys/{key}/reveal").status_code == 410
        clock.tick(660)
        assert admin.post(f"/keys/{key}/reveal", key="r-1").status_code == 410


def test_a_tokens_value_is_never_said_twice_nor_kept(door: Door) -> None:
    admin = door.api("admin")
    first = admin.post("/tokens", {"name": "once", "role": "auditor"}, key="t-1")
    second = admin.post("/tokens", {"name": "once", "role": "auditor"}, key="t-1")
    assert (first.status_code, second.status_code) == (201, 410)
    assert len([item for item in admin.get("/tokens").get_json()["items"] if item["name"] == "once"]) == 1
    with door.govern.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM requests").all())
    assert "t-1" in stored
    assert first.get_json()["value"] not in stored


@pytest.mark.one_database
@pytest.mark.parametrize("key", ["", "with space", "x" * 256])
def test_a_key_that_is_none_is_refused(door: Door, key: str) -> None:
    answer = door.api("admin").post("/jobs/usage.sync/runs", key=key)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")


@pytest.mark.one_database
def test_several_at_once_make_one(door: Door) -> None:
    admin = door.api("admin")
    body = {"name": "all", "scope": "organization", "amount_usd": 10}
    barrier = Barrier(5)

    def send() -> tuple[int, str | None]:
        barrier.wait(10)
        answer = door.api("admin").post("/budgets", body, key="b-1")
        return answer.status_code, answer.headers.get("Retry-After")

    with ThreadPoolExecutor(5) as pool:
        answers = [future.result(60) for future in [pool.submit(send) for _ in range(5)]]
    assert {status for status, _ in answers} <= {201, 409}
    assert (201, None) in answers
    assert all(retry == "1" for status, retry in answers if status == 409)
    assert len(admin.get("/budgets").get_json()["items"]) == 1
