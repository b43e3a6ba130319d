"""The inventory over REST and on the host's command line: kinds, things, findings about them, OpenAI's log with its verdicts."""

from __future__ import annotations

from govern.inventory.listings import LISTINGS
from govern.worker.runner import run_job
from tests.given import EVE
from tests.web.api.test_lists import walk
from tests.web.conftest import Door


def test_kinds_things_and_events(door: Door) -> None:
    key = door.world.key(EVE, project="Search")
    door.world.openai.make_personal_key(EVE, "Search", "eve's own")
    for job in ("directory.sync", "inventory.sync", "events.pull", "findings.evaluate"):
        run_job(door.govern, job)
    auditor = door.api("auditor")
    whole = auditor.get("/inventory").get_json()
    assert [kind["kind"] for kind in whole["items"]] == list(LISTINGS)
    assert all(kind["is_whole"] for kind in whole["items"] if kind["kind"] != "roles")
    assert (whole["openai_audit_log"]["state"], whole["openai_audit_log"]["not_shown"]) == ("read", 0)

    for kind in LISTINGS:
        items = auditor.get(f"/inventory/{kind}?limit=200").get_json()["items"]
        assert walk(auditor, f"/inventory/{kind}", 7) == items
        for item in items[:1]:
            assert auditor.get(f"/inventory/{kind}/{item['id']}").get_json() == item
    person, place = door.world.person(EVE), door.world.project("Search")
    held = auditor.get(f"/inventory/project-keys?owner={EVE}&project={place.id}&search=eve").get_json()["items"]
    [own] = [item for item in held if item["label"] == "eve's own"]
    assert (own["owner"], own["project_name"], own["facts"]["owner_kind"]) == (person.id, "Search", "user")
    about = [auditor.get(f"/findings/{finding}").get_json()["type"] for finding in own["findings"]]
    assert "unmanaged_key" in about

    ours = auditor.get("/inventory/events?verdict=ours&type=service_account.").get_json()["items"]
    assert [event["about"] for event in ours] == [door.world.version(key).service_account_remote_id]
    around = auditor.get(f"/inventory/events?verdict=around_us&about={own['native']}").get_json()["items"]
    assert [(event["type"], event["actor_email"], event["before_we_watched"]) for event in around] == [
        ("api_key.created", EVE, True)
    ]
    assert auditor.get(f"/inventory/events/{around[0]['native']}").get_json() == around[0]
    assert auditor.get("/inventory/anything").status_code == 404
    assert auditor.get("/inventory/members?show=some").status_code == 422
