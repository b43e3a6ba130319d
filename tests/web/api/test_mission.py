"""The mission over REST, in the shapes that scripts rely on, with a worker that works beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from govern.core.clock import utcnow
from govern.settings import Web
from govern.web.app import create_app
from govern.worker.runner import drain
from tests.given import ADA, EVE
from tests.web.conftest import Caller, Door


@pytest.fixture
def scripted(door: Door) -> Iterator[Caller]:
    """A script with the demo's kind of token, and a worker that carries out what comes up while the script waits."""
    waits = door.govern.settings.model_copy(update={"web": Web(url="http://localhost", wait_seconds=20)})
    door.app = create_app(replace(door.govern, settings=waits))
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            drain(door.govern)

    worker = threading.Thread(target=work)
    worker.start()
    yield door.api(door.system_token())
    stop.set()
    worker.join(10)


@pytest.mark.one_database
def test_invite_issue_reveal_and_revoke(scripted: Caller, door: Door) -> None:
    project = next(item for item in scripted.get("/projects").get_json()["items"] if not item["is_default"])
    body = {"email": "new@acme.example", "role": "reader", "projects": [{"id": project["id"], "role": "member"}]}
    invited = scripted.post("/invites", body)
    assert (invited.status_code, invited.get_json()["state"]) == (201, "pending")
    assert invited.get_json()["projects"][0]["name"] == project["name"]

    issued = scripted.post("/keys", {"person": EVE, "project": project["remote_id"], "name": "laptop", "expires_in_days": 30})
    key = issued.get_json()
    assert (issued.status_code, key["state"]) == (201, "live")
    assert issued.headers["Location"] == f"/api/v1/keys/{key['id']}"
    assert scripted.get(f"/keys/{key['id']}").get_json() == key

    shown = scripted.post(f"/keys/{key['id']}/reveal")
    assert shown.status_code == 200
    assert shown.get_json()["value"].startswith("sk-")
    assert scripted.post(f"/keys/{key['id']}/reveal").status_code == 410

    foreseen = scripted.post(f"/members/{EVE}/revoke?dry_run=true", {"reason": "left on 31 March"})
    assert (foreseen.status_code, [held["id"] for held in foreseen.get_json()["keys"]]) == (200, [key["id"]])
    assert foreseen.get_json() == scripted.get(f"/members/{EVE}/revoke").get_json()
    assert scripted.get("/offboardings").get_json()["items"] == []

    removed = scripted.post(f"/members/{EVE}/revoke", {"reason": "left on 31 March"})
    assert (removed.status_code, removed.get_json()["state"]) in ((202, "contained"), (200, "done"))
    until = time.monotonic() + 20
    while scripted.get(f"/offboardings/{removed.get_json()['id']}").get_json()["state"] != "done":
        assert time.monotonic() < until
        time.sleep(0.1)
    again = scripted.post(f"/members/{EVE}/revoke", {"reason": "left on 31 March"})
    assert (again.status_code, again.get_json()["id"]) == (200, removed.get_json()["id"])
    assert scripted.get(f"/keys/{key['id']}").get_json()["state"] == "revoked"
    assert scripted.get(f"/offboardings/{removed.get_json()['id']}").get_json()["state"] == "done"
    assert [item["email"] for item in scripted.get("/members").get_json()["items"] if item["email"] == EVE] == []


def test_a_suspension_and_the_return(scripted: Caller, door: Door) -> None:
    body = {"person": EVE, "project": door.world.project().id, "name": "laptop"}
    key = scripted.post("/keys", body).get_json()  # its answer waits for the worker beside this test, which makes it
    foreseen = scripted.get(f"/members/{EVE}/suspend").get_json()
    assert (foreseen["freezes"], foreseen["refused"]) == (["laptop"], None)
    stopped = scripted.post(f"/members/{EVE}/suspend", {"reason": "on leave"})
    assert (stopped.status_code, stopped.get_json()["state"], stopped.get_json()["freezes"]["frozen"]) == (200, "suspended", 1)
    refused = scripted.post("/keys", {**body, "name": "more"})
    assert (refused.status_code, "suspended" in refused.get_json()["detail"]) == (409, True)
    back = scripted.post(f"/members/{EVE}/resume", {"reason": "back"})
    assert (back.status_code, back.get_json()["state"], back.get_json()["freezes"]["thawed"]) == (200, "resumed", 1)
    assert scripted.post(f"/members/{EVE}/resume", {"reason": "again"}).get_json()["id"] == back.get_json()["id"]
    assert scripted.get(f"/keys/{key['id']}").get_json()["state"] == "live"
    assert scripted.post(f"/members/{ADA}/suspend", {"reason": "on leave"}).status_code == 409


@pytest.mark.one_database
def test_a_key_is_revoked_and_proven_gone(scripted: Caller, door: Door) -> None:
    project = door.world.project()
    key = scripted.post("/keys", {"person": EVE, "project": project.id, "name": "laptop"}).get_json()
    ended = scripted.post(f"/keys/{key['id']}/revoke", {"reason": "lost the laptop"})
    assert (ended.status_code, ended.get_json()["state"]) == (200, "revoked")
    assert ended.get_json()["revoke_reason"] == "lost the laptop"
    assert scripted.post(f"/keys/{key['id']}/reveal").status_code == 410


@pytest.mark.one_database
def test_without_a_worker_the_answer_is_202_and_where_to_look(door: Door) -> None:
    admin = door.api("admin")
    asked = admin.post("/keys", {"person": EVE, "project": door.world.project().id, "name": "laptop"})
    assert (asked.status_code, asked.get_json()["state"]) == (202, "requested")
    place = asked.headers["Location"].removeprefix("/api/v1")
    assert admin.get(place).get_json()["state"] == "requested"
    early = admin.post(f"{place}/reveal")
    assert (early.status_code, early.get_json()["code"]) == (409, "conflict")
    door.world.drain()
    assert admin.get(place).get_json()["state"] == "live"

    removal = admin.post(f"/members/{EVE}/revoke", {"reason": "left the company"})
    assert (removal.status_code, removal.get_json()["state"]) == (202, "contained")
    assert removal.headers["Location"] == f"/api/v1/offboardings/{removal.get_json()['id']}"
    invited = admin.post("/invites", {"email": "new@acme.example"})
    assert (invited.status_code, invited.get_json()["state"]) == (202, "requested")
    run = admin.post("/jobs/usage.sync/runs")
    assert run.status_code == 202
    assert admin.get(run.headers["Location"].removeprefix("/api/v1")).get_json()["state"] == "requested"


@pytest.mark.one_database
def test_what_openai_refuses_is_said_as_its_refusal(door: Door) -> None:
    door.world.openai.fault("*", kind="status:400", path="*service_accounts*")
    admin = door.api("admin")
    body = {"person": EVE, "project": door.world.project().id, "name": "laptop"}
    asked = admin.post("/keys", body, key="refused")
    door.world.drain()
    answer = admin.post("/keys", body, key="refused")
    assert asked.status_code == 202
    assert answer.status_code in (202, 502)
    if answer.status_code == 502:
        assert answer.get_json()["code"] == "provider_rejected"


MISTAKES = [
    ("GET", "/keys/key_none", None, 404, "not_found"),
    ("GET", "/members/nobody@acme.example", None, 404, "not_found"),
    ("GET", "/jobs/no.such/runs", None, 404, "not_found"),
    ("POST", "/jobs/no.such/runs", {}, 404, "not_found"),
    ("POST", "/keys", {"person": "nobody@acme.example", "project": "p", "name": "x"}, 404, "not_found"),
    ("POST", "/keys", {"person": EVE, "project": "no-such", "name": "x"}, 404, "not_found"),
    ("POST", "/keys", {"person": EVE}, 422, "invalid_input"),
    ("POST", "/keys", {"person": EVE, "project": "p", "name": "x", "expires_in_days": 366}, 422, "invalid_input"),
    ("POST", "/keys", {"person": EVE, "project": "p", "name": "x", "expires_in_days": 7.5}, 422, "invalid_input"),
    ("POST", "/keys", {"person": EVE, "project": "p", "name": "x", "state": "live"}, 422, "invalid_input"),
    ("POST", "/members/nobody@acme.example/revoke", {"reason": "gone"}, 404, "not_found"),
    ("POST", f"/members/{EVE}/revoke", {}, 422, "invalid_input"),
    ("POST", f"/members/{ADA}/revoke", {"reason": "the last owner"}, 409, "policy_violation"),
    ("POST", "/invites", {"email": "not an address"}, 422, "invalid_input"),
    ("POST", "/invites", {"email": EVE}, 409, "conflict"),
    ("POST", "/budgets", {"name": "x", "scope": "person", "amount_usd": "10"}, 422, "invalid_input"),
    ("POST", "/budgets", {"name": "x", "scope": "planet", "amount_usd": "10"}, 422, "invalid_input"),
    ("POST", "/budgets", {"name": "x", "scope": "organization", "amount_usd": "1e3"}, 422, "invalid_input"),
    ("POST", "/budgets", {"name": "x", "scope": "organization", "amount_usd": -1}, 422, "invalid_input"),
    ("POST", "/budgets", {"name": "x", "scope": "organization", "amount_usd": True}, 422, "invalid_input"),
    ("POST", "/tokens", {"name": "x"}, 422, "invalid_input"),
    ("POST", "/tokens", {"name": "x", "role": "admin", "permissions": ["keys:read"]}, 422, "invalid_input"),
    ("GET", "/keys?limit=0", None, 422, "invalid_input"),
    ("GET", "/keys?limit=201", None, 422, "invalid_input"),
    ("GET", "/keys?limit=99999999999999999999", None, 422, "invalid_input"),
    ("GET", "/keys?color=blue", None, 422, "invalid_input"),
    ("GET", "/keys?cursor=AAAA", None, 422, "invalid_input"),
    ("GET", "/usage?start=2026-03-02&end=2026-03-01", None, 422, "invalid_input"),
    ("GET", "/usage?start=0001-01-01", None, 422, "invalid_input"),
    ("GET", "/costs?by=planet", None, 422, "invalid_input"),
]


@pytest.mark.one_database
def test_a_mistake_is_a_problem_that_says_what_to_do(door: Door) -> None:
    admin = door.api("admin")
    for method, path, body, status, code in MISTAKES:
        answer = admin(method, path, body)
        problem = answer.get_json()
        assert (answer.status_code, problem["code"]) == (status, code), (method, path, problem)
        assert answer.content_type == "application/problem+json"
        assert problem["status"] == status
        assert problem["type"] == f"urn:govern:problem:{code}"
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        assert len(problem["detail"]) > 10
        if code == "invalid_input":
            assert problem["errors"], (method, path)


@pytest.mark.one_database
def test_dollars_come_in_as_text_or_number_and_go_out_as_text(door: Door) -> None:
    admin = door.api("admin")
    for sent, stored in (("250", "250.00"), (250, "250.00"), ("0.5", "0.50"), (0.1, "0.10"), ("12.345678901", "12.345678901")):
        made = admin.post("/budgets", {"name": "all", "scope": "organization", "amount_usd": sent})
        assert (made.status_code, made.get_json()["amount_usd"]) == (201, stored)


def test_budgets_are_planned_and_applied_as_a_file_says(door: Door) -> None:
    admin = door.api("admin")
    file = {"defaults": {"thresholds": [80]}, "budgets": {"all": {"amount_usd": 99.5}, "eve": {"amount_usd": "7", "person": EVE}}}
    planned = admin.post("/budget-files/plan", file).get_json()
    assert (planned["sentence"], [step["kind"] for step in planned["steps"]]) == ("2 to create, 0 unchanged.", ["create"] * 2)
    assert admin.get("/budgets").get_json()["items"] == []
    first, again = (admin.post("/budget-files/apply", file, key="file-1") for _ in range(2))
    assert first.get_json()["steps"] == planned["steps"] == again.get_json()["steps"]
    assert {item["slug"]: item["amount_usd"] for item in admin.get("/budgets").get_json()["items"]} == {
        "all": "99.50",
        "eve": "7.00",
    }
    assert admin.post("/budget-files/apply", file).get_json() == {"steps": [], "unchanged": 2, "sentence": "2 unchanged."}
    changed = admin.post("/budget-files/plan", {"budgets": {"all": {"amount_usd": 100}}}).get_json()
    assert {"field": "amount_usd", "before": "$99.50", "after": "$100.00"} in changed["steps"][0]["differences"]
    assert changed["steps"][1]["words"] == "- eve: retire the budget of Eve Employee"
    refused = admin.post("/budget-files/apply", {"budgets": {"x": {"amount_usd": 1, "team": "Nowhere"}}})
    assert (refused.status_code, refused.get_json()["detail"][:10]) == (404, "budgets.x:")
    assert admin.post("/budget-files/plan", {"budgets": {"x": {"colour": 1}}}).status_code == 422


def test_a_budget_is_changed_and_retired(door: Door) -> None:
    admin = door.api("admin")
    made = admin.post("/budgets", {"name": "Eve", "scope": "person", "scope_id": EVE, "amount_usd": "100"}).get_json()
    assert made["scope_name"] == "Eve Employee"
    assert (made["thresholds"], made["percent"], made["spent_usd"]) == ([80, 100], 0, "0.00")
    changed = admin("PATCH", f"/budgets/{made['id']}", {"amount_usd": "200", "thresholds": [50]})
    assert (changed.get_json()["amount_usd"], changed.get_json()["thresholds"]) == ("200.00", [50])
    fiscal = admin("PATCH", f"/budgets/{made['id']}", {"period": "year", "year_starts": 4, "zone": "Europe/Berlin"}).get_json()
    assert (fiscal["period"], fiscal["year_starts"], fiscal["window"][4:8]) == ("year", 4, "-04/")
    assert fiscal["window_starts_at"].endswith("-03-31T22:00:00+00:00")
    stretch = {"period": "days", "days": 14, "anchor": "2026-03-03"}
    assert admin("PATCH", f"/budgets/{made['id']}", stretch).get_json()["window"].endswith("/14d")
    assert admin("PATCH", f"/budgets/{made['id']}", {"period": "month", "days": 3}).status_code == 422
    tried = admin("PATCH", f"/budgets/{made['id']}", {"amount_usd": "10", "dry_run": True}).get_json()
    assert (tried["amount_usd"], tried["preview"]["over"], tried["preview"]["affected"]) == ("10.00", 0, [])
    new = admin.post("/budgets", {"name": "x", "scope": "model", "scope_id": "gpt-5", "amount_usd": 5, "dry_run": True})
    assert (new.status_code, new.get_json()["id"]) == (200, "draft")
    assert new.get_json()["preview"]["sentence"] == "It would not be over today, and no alert would be sent at once."
    assert [(item["amount_usd"], item["preview"]) for item in admin.get("/budgets").get_json()["items"]] == [("200.00", None)]
    more = {"by_usd": "50.5", "until": (utcnow() + timedelta(days=3)).date().isoformat(), "reason": "a fair"}
    raised = admin.post(f"/budgets/{made['id']}/raises", more)
    assert (raised.status_code, raised.get_json()["limit_usd"], raised.get_json()["amount_usd"]) == (201, "250.50", "200.00")
    (held,) = raised.get_json()["raises"]
    assert (held["by_usd"], held["reason"]) == ("50.50", "a fair")
    assert admin.post(f"/budgets/{made['id']}/raises/{held['id']}/end").get_json()["limit_usd"] == "200.00"
    assert admin.post(f"/budgets/{made['id']}/raises", more | {"until": "2020-01-01"}).status_code == 422
    absolute = admin("PATCH", f"/budgets/{made['id']}", {"thresholds": [], "thresholds_usd": ["75", "9.5"]}).get_json()
    assert (absolute["thresholds"], absolute["thresholds_usd"]) == ([], ["9.50", "75.00"])
    assert admin("PATCH", f"/budgets/{made['id']}", {"thresholds_usd": []}).status_code == 422
    assert admin("PATCH", f"/budgets/{made['id']}", {}).status_code == 422
    retired = admin.post(f"/budgets/{made['id']}/retire", {"reason": "no longer needed"})
    assert retired.get_json()["retired_at"] is not None
    assert admin.get("/budgets").get_json()["items"] == []
    assert [item["id"] for item in admin.get("/budgets?retired=true").get_json()["items"]] == [made["id"]]


def test_a_token_is_made_shown_once_and_revoked(door: Door) -> None:
    admin = door.api("admin")
    made = admin.post("/tokens", {"name": "report", "permissions": ["usage:read"], "system": True, "expires_in_days": 7})
    assert made.status_code == 201
    token = made.get_json()
    assert token["person"] is None
    from govern.core.crypto import Secret

    script = door.api(Secret(token["value"]))
    assert script.get("/usage").status_code == 200
    assert script.get("/keys").status_code == 403
    assert token["value"] not in admin.get("/tokens").text
    assert admin.get(f"/tokens/{token['id']}").get_json()["last_used_at"] is not None
    assert admin.post(f"/tokens/{token['id']}/revoke").status_code == 200
    refused = script.get("/usage")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="govern", error="invalid_token"')
