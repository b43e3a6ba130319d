"""Policies and asking for keys, over REST and on the dashboard."""

from __future__ import annotations

import re

import pytest

from tests.given import ADA, EVE, MAX, PROJECT
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader


@pytest.mark.one_database
def test_a_key_beyond_the_policy_is_asked_for_and_comes_with_the_yes(door: Door) -> None:
    admin, manager, employee = (door.api(role) for role in ("admin", "manager", "employee"))
    assert admin.post("/policies", {"scope": "organization"}).status_code == 422
    wanted = {"scope": "organization", "longest_days": 10, "scopes": ["api.responses.write"], "approvers": ["manager"]}
    dry = admin.post("/policies", wanted | {"dry_run": True}).get_json()
    assert (dry["id"], dry["about"], dry["preview"]["keys"]) == (None, "the organization", 0)
    assert admin.get("/policies").get_json() == {"items": []}
    made = admin.post("/policies", wanted | {"reason": "less is safer"}).get_json()
    assert (made["longest_days"], made["self_service"], made["scopes"]) == (10, None, ["api.responses.write"])
    mine = employee.get(f"/policies/effective?project={door.world.project(PROJECT).id}").get_json()
    assert (mine["longest_days"], mine["most_keys"], mine["scopes"]) == (10, 5, ["api.responses.write"])
    assert mine["because"]["longest_days"] == "the organization"
    assert employee.get(f"/policies/effective?person={MAX}").status_code == 404

    project = door.world.project(PROJECT).id
    wish = {"person": EVE, "project": project, "name": "laptop"}
    assert employee.post("/keys", wish).get_json()["scopes"] == ["api.responses.write"]
    wish |= {"name": "long", "expires_in_days": 60}
    refused = employee.post("/keys", wish)
    assert (refused.status_code, refused.get_json()["rule"]) == (409, "longest_days")
    wish |= {"reason": "a long project"}
    first = employee.post("/keys", wish, key="wish-1")
    asked = first.get_json()
    assert (first.status_code, asked["state"], asked["approvers"]) == (202, "pending", ["Max Manager"])
    assert asked["detail"].startswith("Asked; waiting for approval by Max Manager until ")
    assert employee.post("/keys", wish, key="wish-1").get_json() == asked
    assert employee.post("/keys", wish).get_json()["approval"] == asked["approval"], "without a key it is the same asking"
    result = manager.post(f"/approvals/{asked['approval']}/approve").get_json()["result"]
    door.world.drain()
    after = employee.post("/keys", wish, key="wish-1")
    assert (after.status_code, after.get_json()["id"], after.get_json()["state"]) == (201, result, "live")
    assert employee.post(f"/keys/{result}/reveal").get_json()["value"].startswith("sk-")
    assert manager.post(f"/keys/{result}/reveal").status_code == 404

    wish["name"] = "another"
    other = employee.post("/keys", wish, key="wish-2").get_json()["approval"]
    assert manager.post(f"/approvals/{other}/deny", {"reason": "one is enough"}).status_code == 200
    again = employee.post("/keys", wish, key="wish-2")
    assert (again.status_code, again.get_json()["code"]) == (409, "policy_violation")
    assert "one is enough" in again.get_json()["detail"]
    assert admin.post(f"/policies/{made['id']}/remove", {"dry_run": True}).get_json()["preview"]["before"] == 1
    assert admin.post(f"/policies/{made['id']}/remove").get_json()["removed_at"]
    assert employee.get("/policies/effective").get_json()["longest_days"] == 365


def test_the_pages_show_what_holds_preview_a_change_and_ask(door: Door) -> None:
    door.world.key(EVE)
    admin, manager, employee = (Reader(door.browser(role)) for role in ("admin", "manager", "employee"))
    assert "No policies yet" in admin.get("/policies").text
    typed = {"about": "organization", "longest_days": "7", "scopes": "api.responses.write", "self_service": "no"}
    shown = admin.send("/policies/edit", "/policies", typed | {"preview": "yes"}).text
    assert "Of 1 keys that are held now, 0 are beyond the policies today, and 1 would be" in shown
    assert "A key lives at most 7 days" in shown
    assert 'value="7"' in shown
    assert "No policies yet" in admin.get("/policies").text, "a preview changes nothing"
    assert "Nobody here" in admin.send("/policies/edit", "/policies", typed | {"approvers": "nobody@acme.example"}).text
    listed = admin.send("/policies/edit", "/policies", typed | {"approvers": f"manager {ADA}"}).text
    assert "It holds from now on" in listed
    assert 'value="7"' in admin.get("/policies/edit?about=organization").text

    project = door.world.project(PROJECT).id
    form = employee.get(f"/keys/new?project={project}").text
    assert "no, each key is approved" in form
    assert "the manager, <bdi>Ada Admin</bdi>" in re.sub(r"\s+", " ", form) or "Ada" in form
    wish = {"project": project, "name": "laptop", "kind": "personal", "person": EVE}
    refused = employee.send("/keys/new", "/keys", wish)
    assert refused.status_code == 409
    assert "Somebody else can approve it: say why you need it" in refused.text
    asked = employee.send("/keys/new", "/keys", wish | {"reason": "for my work"})
    assert "waits for the approval of somebody else" in asked.text
    approval = re.search(r"/approvals/(apr_\w+)", asked.request.path)
    assert approval
    done = manager.send(f"/approvals/{approval[1]}", f"/approvals/{approval[1]}/approve").text
    assert "approved, and carried out" in done
    assert door.world.audited("key.requested") == ["key.requested"] * 2
    policy = re.search(r"/policies/(pol_\w+)/remove", admin.get("/policies").text)
    assert policy
    assert "It holds no longer" in admin.send(f"/policies/{policy[1]}/remove").text
