"""The directory over REST: a dry run, the deed, an outcome per row, twice the same; a person and their end date."""

from __future__ import annotations

from datetime import timedelta

import pytest

from govern.core.clock import utcnow
from tests.given import EVE, MAX, OLA
from tests.web.conftest import Door

CSV = f"email,team,manager,ends_on\n{EVE},Search,{MAX},2099-01-01\nnobody,x,,\n{OLA},Audit,nobody@else.example,\n"


def test_an_import_over_rest(door: Door) -> None:
    admin = door.api("admin")
    plan = admin.post("/people/imports?dry_run=true", {"csv": CSV}).get_json()
    assert plan["dry_run"] is True
    assert [(row["line"], row["outcome"]) for row in plan["rows"]] == [(2, "changed"), (3, "problem"), (4, "problem")]
    assert admin.get("/people/imports").get_json()["items"] == []
    answer = admin.post("/people/imports", {"csv": CSV, "effective_on": "2024-05-01"}, key="import-1")
    assert answer.status_code == 200
    assert (
        admin.post("/people/imports", {"csv": CSV, "effective_on": "2024-05-01"}, key="import-1").get_json() == answer.get_json()
    )
    done = answer.get_json()
    assert (done["state"], done["counts"]["changed"], done["counts"]["problems"]) == ("done", 1, 2)
    assert admin.get(f"/people/imports/{done['id']}").get_json() == done
    assert [row["id"] for row in admin.get("/people/imports").get_json()["items"]] == [done["id"]]
    again = admin.post("/people/imports", {"csv": CSV}).get_json()
    assert (again["counts"]["changed"], again["counts"]["unchanged"]) == (0, 1)
    eve = admin.get(f"/people/{EVE}").get_json()
    assert (eve["team"], eve["manager"], eve["directory"], eve["ends_on"]) == ("Search", MAX, "named", "2099-01-01")
    assert [(place["from_on"], place["until_on"], place["team"]) for place in eve["assignments"]] == [
        ("2024-05-01", None, "Search"), ("2020-01-01", "2024-05-01", None),
    ]  # fmt: skip
    assert [item["email"] for item in admin.get("/people?team=Search&directory=named&ending=true").get_json()["items"]] == [EVE]
    assert admin.post("/people/imports", {"csv": "name\nEve\n"}).get_json()["code"] == "invalid_input"
    assert door.api("manager").post("/people/imports", {"csv": CSV}).status_code == 403


@pytest.mark.one_database
def test_everybody_sees_whom_they_reach(door: Door) -> None:
    seen = {
        role: {item["email"] for item in door.api(role).get("/people").get_json()["items"]} for role in ("employee", "manager")
    }
    assert seen == {"employee": {EVE}, "manager": {EVE, MAX}}
    assert door.api("employee").get(f"/people/{MAX}").status_code == 404


@pytest.mark.one_database
def test_an_end_date_over_rest(door: Door) -> None:
    admin, day = door.api("admin"), str((utcnow() + timedelta(days=30)).date())
    body = {"ends_on": day, "reason": "the contract is over"}
    answer = admin.post(f"/people/{EVE}/end", body)
    assert (answer.status_code, answer.get_json()["ends_on"], answer.get_json()["ends_by_hand"]) == (200, day, True)
    assert admin.post(f"/people/{EVE}/end", body).get_json() == answer.get_json()
    assert door.world.audited("person.end_set") == ["person.end_set"]
    assert admin.post(f"/people/{EVE}/end", {"ends_on": None, "reason": "renewed"}).get_json()["ends_on"] is None
    assert admin.post(f"/people/{EVE}/end", {"ends_on": "2001-01-01", "reason": "too late"}).status_code == 422
    assert door.api("manager").post(f"/people/{EVE}/end", body).status_code == 403
