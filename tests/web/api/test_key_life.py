"""Versions, rotation and sharing over REST: what changes, and who may."""

from __future__ import annotations

import pytest

from govern.worker.runner import drain, run_job
from tests.given import EVE, MAX, OLA, PROJECT
from tests.web.conftest import Caller, Door


def issued(door: Door, script: Caller, **more: object) -> str:
    body = {"person": EVE, "project": door.world.project().id, "name": "backend", **more}
    key = script.post("/keys", body).get_json()["id"]
    drain(door.govern)
    return str(key)


@pytest.mark.one_database
def test_rotating_keeps_the_id_and_makes_a_version(door: Door) -> None:
    script = door.api(door.system_token())
    key = issued(door, script)
    asked = script.post(f"/keys/{key}/rotate", {"reason": "spring cleaning", "overlap_hours": 1})
    assert asked.status_code == 202
    drain(door.govern)
    versions = script.get(f"/keys/{key}/versions").get_json()["items"]
    assert [(version["number"], version["state"]) for version in versions] == [(2, "live"), (1, "live")]
    assert versions[1]["retire_at"] is not None
    assert script.get(f"/keys/{key}").get_json()["version"] == 2
    assert script.post(f"/keys/{key}/rotate", {"reason": "again"}).status_code == 409


@pytest.mark.one_database
def test_many_at_once(door: Door) -> None:
    script = door.api(door.system_token())
    keys = [issued(door, script, name=f"key {number}") for number in range(2)]
    answer = script.post("/key-rotations", {"keys": [*keys, "key_unknown"], "reason": "a scare"})
    assert answer.status_code == 200
    assert [(item["key"], item["rotating"]) for item in answer.get_json()["items"]] == [
        (keys[0], True), (keys[1], True), ("key_unknown", False),
    ]  # fmt: skip
    assert door.api("manager").post("/key-rotations", {"keys": keys}).status_code == 403


@pytest.mark.one_database
def test_a_shared_key_is_seen_by_those_who_are_entitled(door: Door) -> None:
    script = door.api(door.system_token())
    key = issued(door, script, kind="shared", person=MAX)
    eve, auditor = door.api("employee"), door.api("auditor")
    assert eve.get(f"/keys/{key}").status_code == 404
    assert eve.post(f"/keys/{key}/reveal").status_code == 404
    entitled = script.post(f"/keys/{key}/entitlements", {"person": EVE})
    assert entitled.get_json()["people"] == [door.world.person(EVE).id]
    assert eve.get(f"/keys/{key}").get_json()["kind"] == "shared"
    assert eve.post(f"/keys/{key}/rotate", {"reason": "mine now"}).status_code == 404, "to open it is all that she may"
    assert eve.post(f"/keys/{key}/entitlements", {"person": OLA}).status_code == 404
    assert auditor.post(f"/keys/{key}/entitlements", {"person": OLA}).status_code == 403
    shown = eve.post(f"/keys/{key}/reveal")
    assert shown.status_code == 200
    script.post(f"/keys/{key}/entitlements/revoke", {"person": EVE})
    assert eve.get(f"/keys/{key}").status_code == 404


@pytest.mark.one_database
def test_a_personal_key_cannot_be_shared_or_handed_over(door: Door) -> None:
    script = door.api(door.system_token())
    key = issued(door, script)
    assert script.post(f"/keys/{key}/entitlements", {"person": MAX}).status_code == 409
    assert script.post(f"/keys/{key}/owner", {"person": MAX}).status_code == 409


@pytest.mark.one_database
def test_freezing_and_thawing(door: Door) -> None:
    script, eve = door.api(door.system_token()), door.api("employee")
    key = issued(door, script)
    assert script.post(f"/keys/{key}/freeze", {"reason": "a scare"}).status_code == 202
    drain(door.govern)
    [freeze] = script.get(f"/keys/{key}/freezes").get_json()["items"]
    assert (freeze["state"], freeze["original"]) == ("frozen", ["all"])
    assert eve.post(f"/keys/{key}/thaw").status_code == 403, "an administrator froze it"
    assert script.post(f"/keys/{key}/thaw", {"restore": []}).status_code == 422
    assert script.post(f"/keys/{key}/thaw").status_code == 202
    drain(door.govern)
    assert script.get(f"/keys/{key}/freezes").get_json()["items"][0]["state"] == "thawed"


def test_any_key_that_openai_lists_can_be_frozen(door: Door) -> None:
    script = door.api(door.system_token())
    door.world.openai.make_personal_key(EVE, PROJECT)
    run_job(door.govern, "directory.sync")
    key = next(key for key in script.get("/observed-keys").get_json()["items"] if key["version"] is None)
    asked = script.post(f"/observed-keys/{key['native']}/freeze", {"reason": "whose is it?"})
    assert asked.status_code == 202
    drain(door.govern)
    assert script.get(f"/observed-keys/{key['id']}").get_json()["frozen"] == "frozen"
    assert script.post(f"/observed-keys/{key['id']}/thaw").status_code == 202
    drain(door.govern)
    assert script.get(f"/observed-keys/{key['id']}").get_json()["frozen"] is None
    assert script.post(f"/observed-keys/{key['id']}/thaw").status_code == 409


@pytest.mark.one_database
def test_a_leaked_key_is_found_and_never_repeated(door: Door) -> None:
    script, eve = door.api(door.system_token()), door.api("employee")
    key = issued(door, script)
    value = eve.post(f"/keys/{key}/reveal").get_json()["value"]
    answer = door.api("manager").post("/leak-reports", {"value": value, "successor": True})
    assert answer.status_code == 201
    assert answer.get_json()["key"] == key
    assert value not in answer.text
    drain(door.govern)
    assert [v["number"] for v in script.get(f"/keys/{key}/versions").get_json()["items"] if v["state"] == "live"] == [2]
    assert eve.get(f"/leak-reports/{answer.get_json()['id']}").status_code == 404, "she did not report it"
    for bad in ("hunter2-is-no-key", "sk-" + "x" * 600):
        refused = eve.post("/leak-reports", {"value": bad})
        assert refused.status_code == 422
        assert bad not in refused.text
