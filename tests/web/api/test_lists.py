"""Lists: pages that fit together, and only what the asker may see."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from govern.audit.walk import Verdict, verify_lines
from govern.budgets.models import Alert
from govern.checkpoints import signing
from govern.checkpoints.rules import anchors_of
from govern.core.clock import utcnow
from govern.core.uow import Actor, ActorKind
from govern.evidence.rules import read_public
from tests.given import ADA, EVE, MAL, MAX
from tests.web.conftest import CLI, Caller, Door

LISTS = ("members", "projects", "audit-events", "tokens", "jobs", "keys", "invites", "budgets", "people")


def walk(caller: Caller, path: str, limit: int) -> list[dict[str, Any]]:
    """Every item, page by page."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = caller.get(f"{path}?limit={limit}{cursor}").get_json()
        assert set(page) >= {"items", "next"}
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        assert page["items"], "an empty page is the last"
        cursor = f"&cursor={page['next']}"


@pytest.fixture
def full(door: Door) -> Door:
    """Several of everything."""
    admin = door.api("admin")
    project = door.world.project().id
    for n in range(5):
        admin.post("/keys", {"person": EVE, "project": project, "name": f"key {n}"})
        admin.post("/invites", {"email": f"new{n}@acme.example"})
        admin.post("/budgets", {"name": f"budget {n}", "scope": "organization", "amount_usd": 10 + n})
        admin.post("/tokens", {"name": f"token {n}", "role": "auditor"})
    return door


@pytest.mark.parametrize("name", LISTS)
def test_pages_fit_together_whatever_their_size(full: Door, name: str) -> None:
    auditor = full.api("auditor")
    whole = auditor.get(f"/{name}?limit=200").get_json()
    assert whole["next"] is None
    keys = [item.get("id") or item["name"] for item in whole["items"]]
    assert len(keys) >= 4
    assert len(set(keys)) == len(keys)
    for limit in (1, 2, 3, len(keys)):
        assert [item.get("id") or item["name"] for item in walk(auditor, f"/{name}", limit)] == keys


def test_a_list_does_not_shift_under_its_reader(full: Door) -> None:
    auditor = full.api("auditor")
    first = auditor.get("/keys?limit=3").get_json()
    full.api("admin").post("/invites", {"email": "meanwhile@acme.example"})
    full.world.requested_key(MAX, name="meanwhile")
    rest = auditor.get(f"/keys?limit=3&cursor={first['next']}").get_json()
    names = [item["name"] for item in first["items"] + rest["items"]]
    assert names == ["key 4", "key 3", "key 2", "key 1", "key 0"]


@pytest.mark.one_database
def test_a_cursor_belongs_to_its_list(full: Door) -> None:
    auditor = full.api("auditor")
    cursor = auditor.get("/keys?limit=1").get_json()["next"]
    for other in LISTS:
        status = auditor.get(f"/{other}?cursor={cursor}").status_code
        assert status == (200 if other == "keys" else 422), other


@pytest.mark.one_database
def test_filters_narrow(full: Door) -> None:
    admin = full.api("admin")
    assert len(admin.get(f"/keys?person={EVE}").get_json()["items"]) == 5
    assert admin.get(f"/keys?person={MAX}").get_json()["items"] == []
    assert admin.get("/keys?person=nobody@acme.example").get_json()["items"] == []
    assert admin.get("/keys?state=live").get_json()["items"] == []
    assert admin.get("/keys?project=no-such").get_json()["items"] == []
    assert [item["email"] for item in admin.get("/members?search=EVE").get_json()["items"]] == [EVE]
    assert admin.get("/members?search=%25").get_json()["items"] == []
    actions = {item["action"] for item in admin.get("/audit-events?action=invite.&limit=200").get_json()["items"]}
    assert actions == {"invite.requested"}
    asked = admin.get("/audit-events?outcome=asked&search=nobody@nowhere&since=2020-01-01T00:00:00Z").get_json()["items"]
    assert asked == []
    [newest] = admin.get("/audit-events?outcome=asked&until=2100-01-01T00:00:00Z&limit=1").get_json()["items"]
    assert newest["outcome"] == "asked"
    assert admin.get(f"/audit-events/{newest['id']}").get_json() == newest
    of_request = admin.get(f"/audit-events?request={newest['request_id']}").get_json()["items"]
    assert newest["id"] in [item["id"] for item in of_request]
    assert admin.get("/audit-events/aud_none").status_code == 404
    changed = admin.get("/audit-events?action=person.roles_changed&limit=1").get_json()["items"][0]
    page = full.browser("auditor").get(f"/audit-events/{changed['id']}").text
    assert "Before and after" in page
    assert all(role in page for role in changed["facts"]["after"])


@pytest.mark.one_database
def test_each_sees_their_own_and_a_manager_their_reports(full: Door) -> None:
    full.world.requested_key(MAX, name="the manager's")
    names = {role: {item["name"] for item in full.api(role).get("/keys").get_json()["items"]} for role in ("employee", "manager")}
    eves = {f"key {n}" for n in range(5)}
    assert names == {"employee": eves, "manager": eves | {"the manager's"}}
    members = {
        role: {item["email"] for item in full.api(role).get("/members").get_json()["items"]} for role in ("employee", "manager")
    }
    assert members == {"employee": {EVE}, "manager": {EVE, MAX}}
    assert [item["name"] for item in full.api("employee").get("/tokens").get_json()["items"]] == ["employee"]


def test_a_budget_is_seen_by_whom_it_is_about(door: Door) -> None:
    admin = door.api("admin")
    for name, scope in (("eve's", {"scope": "person", "scope_id": EVE}), ("max's", {"scope": "person", "scope_id": MAX})):
        admin.post("/budgets", {"name": name, "amount_usd": 10, **scope})
    admin.post("/budgets", {"name": "everything", "amount_usd": 10, "scope": "organization"})
    # Whatever is named like somebody's id is not theirs.
    eve_id = admin.get("/budgets").get_json()["items"][-1]["scope_id"]
    admin.post("/budgets", {"name": "a model", "amount_usd": 10, "scope": "model", "scope_id": eve_id})
    seen = {
        role: {item["name"] for item in door.api(role).get("/budgets").get_json()["items"]} for role in ("employee", "manager")
    }
    assert seen == {"employee": {"eve's"}, "manager": {"eve's", "max's"}}
    hidden = {item["id"] for item in admin.get("/budgets").get_json()["items"] if item["name"] != "eve's"}
    assert {door.api("employee").get(f"/budgets/{budget}").status_code for budget in hidden} == {404}


def test_an_alert_about_oneself_is_seen_and_the_budget_of_all_is_not(door: Door) -> None:
    admin = door.api("admin")
    body = {"name": "each", "amount_usd": 10, "scope": "organization", "per_person": True}
    budget = admin.post("/budgets", body).get_json()
    assert (budget["per_person"], budget["scope_name"]) == (True, "Each person")
    assert admin.get(f"/budgets/{budget['id']}/people").get_json() == {"items": [], "next": None}
    assert admin.post("/budgets", body | {"scope": "model", "scope_id": "gpt-5"}).status_code == 422
    ten = Decimal(10)
    with door.govern.unit_of_work(CLI) as uow:
        for at, who in enumerate((EVE, MAX, ADA)):
            facts = {"threshold": 80, "generation": 1, "limit_usd": ten, "spent_usd": ten, "billed_usd": ten}
            uow.session.add(
                Alert(
                    id=f"alr_{at}", budget_id=budget["id"], window="2026-03", person_id=door.world.person(who).id, label=who,
                    estimated_usd=Decimal(0), late=False, superseded=False, raised_at=uow.now, **facts,
                )
            )  # fmt: skip
    seen = {
        role: [item["label"] for item in door.api(role).get("/alerts").get_json()["items"]]
        for role in ("employee", "manager", "admin")
    }
    assert seen == {"employee": [EVE], "manager": [MAX, EVE], "admin": [ADA, MAX, EVE]}
    eve = door.api("employee")
    assert [eve.get(f"/alerts/alr_{at}").status_code for at in (0, 1)] == [200, 404]
    assert eve.get(f"/budgets/{budget['id']}/people").status_code == 404
    pages = door.browser("employee")
    assert EVE in pages.get("/alerts").text
    assert f"/budgets/{budget['id']}" not in pages.get("/alerts").text

    manager, until = door.api("manager"), (utcnow() + timedelta(hours=1)).isoformat()
    assert eve.post("/alerts/alr_0/acknowledge", {}).status_code == 403
    theirs, other = "alr_0", "alr_2"
    assert manager.post(f"/alerts/{other}/acknowledge", {}).status_code == 404
    snoozed = manager.post(f"/alerts/{theirs}/snooze", {"until": until}).get_json()
    assert (snoozed["state"], snoozed["assigned_to"]) == ("snoozed", None)
    assert admin.post(f"/alerts/{other}/snooze", {"until": "2020-01-01T00:00:00Z"}).status_code == 422
    given = admin.post(f"/alerts/{other}/assign", {"person": EVE}).get_json()
    assert (given["state"], given["assigned_to"]) == ("open", door.world.person(EVE).id)
    assert admin.post(f"/alerts/{other}/acknowledge", {}).get_json()["acknowledged_at"]
    listed = {
        state: [item["id"] for item in admin.get(f"/alerts?state={state}").get_json()["items"]]
        for state in ("open", "snoozed", "acknowledged")
    }
    assert listed == {"open": ["alr_1"], "snoozed": [theirs], "acknowledged": [other]}
    assert manager.post(f"/alerts/{theirs}/reopen", {}).get_json()["snoozed_until"] is None


@pytest.mark.one_database
def test_ids_of_others_are_not_there_whatever_one_does_with_them(door: Door) -> None:
    """Mal is an employee without a seat: Eve's key, token, project and person are all "not there" to him, as made-up ids are."""
    key = door.world.key(EVE)
    mine = door.sign_in(MAL)
    principal = door.principal(mine)
    from datetime import timedelta

    from govern.identity import tokens
    from tests.web.conftest import CLI

    with door.govern.unit_of_work(CLI) as uow:
        _, secret = tokens.create_token(
            uow,
            principal,
            name="mal",
            permissions=sorted(principal.grants),
            lifetime=timedelta(days=1),
            person_id=principal.person_id,
        )
    mal = door.api(secret)
    eve_token = door.api("employee").get("/tokens").get_json()["items"][0]["id"]
    tries = [
        ("GET", "/keys/{}", key.id, "key_00000000000000000000000000"),
        ("POST", "/keys/{}/reveal", key.id, "key_00000000000000000000000000"),
        ("POST", "/keys/{}/revoke", key.id, "key_00000000000000000000000000"),
        ("GET", "/tokens/{}", eve_token, "tok_00000000000000000000000000"),
        ("POST", "/tokens/{}/revoke", eve_token, "tok_00000000000000000000000000"),
        ("GET", "/members/{}", EVE, "nobody@acme.example"),
        ("GET", "/projects/{}", key.project_id, "prj_00000000000000000000000000"),
        ("GET", "/usage?person={}", EVE, "nobody@acme.example"),
    ]
    for method, path, real, made_up in tries:
        body = {} if method == "POST" else None
        one, other = mal(method, path.format(real), body), mal(method, path.format(made_up), body)
        assert (one.status_code, other.status_code) == (404, 404), path
        assert one.get_json()["code"] == other.get_json()["code"]
    issue = mal.post("/keys", {"person": EVE, "project": key.project_id, "name": "for Eve"})
    assert issue.status_code == 404
    own = mal.post("/keys", {"person": MAL, "project": key.project_id, "name": "in a project that is not mine"})
    assert own.status_code == 404
    assert door.world.reload(key).state == "live"


@pytest.mark.one_database
def test_an_employee_has_a_key_issued_in_their_own_project_only(door: Door) -> None:
    eve, admin = door.api("employee"), door.api("admin")
    own = {place["id"] for place in admin.get(f"/members/{EVE}").get_json()["projects"]}
    assert {item["id"] for item in eve.get("/projects").get_json()["items"]} == own
    for project in admin.get("/projects").get_json()["items"]:
        if project["is_default"]:
            continue
        answer = eve.post("/keys", {"person": EVE, "project": project["id"], "name": "mine"})
        assert answer.status_code == (202 if project["id"] in own else 404)


def test_the_audit_log_is_streamed_and_gone_on_with(full: Door) -> None:
    auditor = full.api("auditor")
    listed = auditor.get("/audit-events?limit=200").get_json()["items"]
    answer = auditor.get("/audit-events/export")
    assert (answer.content_type, answer.is_streamed) == ("application/x-ndjson", True)
    told = [json.loads(line) for line in answer.data.splitlines()]
    assert [(one["seq"], one["digest"]) for one in told] == [(one["seq"], one["digest"]) for one in reversed(listed)]
    rest = auditor.get(f"/audit-events/export?format=ocsf&after={told[-3]['seq']}").data.splitlines()
    assert [json.loads(line)["metadata"]["uid"] for line in rest] == [one["id"] for one in told[-2:]]
    until = auditor.get(f"/audit-events/export?after={told[0]['seq']}&until={told[2]['seq']}").data.splitlines()
    assert [json.loads(line)["seq"] for line in until] == [told[1]["seq"], told[2]["seq"]]
    assert auditor.get("/audit-events/export?format=xml").status_code == 422
    assert auditor.get("/audit-events/export?after=-1").status_code == 422
    job = Actor(ActorKind.JOB, "audit.checkpoint", "audit.checkpoint")
    assert signing.sign_newest(full.govern.unit_of_work, job) is not None
    [signed] = auditor.get("/audit-checkpoints").get_json()["items"]
    file = auditor.get("/audit-checkpoints/export").data
    assert (file.decode(), auditor.get(f"/audit-checkpoints/export?after={signed['seq']}").data) == (signed["line"], b"")
    assert auditor.get("/audit-checkpoints/sinks").get_json() == {"items": []}
    public = read_public(full.api(None).get("/evidence/key").get_json()["public_pem"].encode())
    assert auditor.get(f"/audit-checkpoints/export?until={signed['seq'] - 1}").data == b""
    log = auditor.get(f"/audit-events/export?until={signed['seq']}").data.splitlines(keepends=True)
    assert verify_lines(log, anchors_of([file], public), None) == Verdict(signed["seq"], None, None)
    page = full.browser("auditor")
    assert len(page.get("/audit-events/export?format=ocsf").data.splitlines()) >= len(told)
    assert page.get("/audit-events/export?format=xml").status_code == 422
