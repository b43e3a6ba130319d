"""Lists of people by REST, on the dashboard and by the command line."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.offboarding.models import Offboarding
from tests.batches.conftest import Lists
from tests.cli.conftest import Govern, command, host, openai_url
from tests.given import ADA, EVE, MAL, MAX, World
from tests.web.pages.conftest import Reader

__all__ = ["command", "host", "openai_url"]


def test_by_rest_dry_run_first_then_twice(lists: Lists) -> None:
    api = lists.door.api("admin")
    body = {"people": [EVE, "=cmd|' /C calc'!A0", "stranger@acme.example"], "reason": "the office is closed"}
    said = api.post("/batches/removals?dry_run=true", body).get_json()
    assert (said["dry_run"], said["counts"]) == (True, {"waiting": 1, "invalid": 1, "unknown": 1})
    assert lists.removals() == []
    sent = api.post("/batches/removals", body, key="one")
    assert (sent.status_code, sent.headers["Location"]) == (202, f"/api/v1/batches/{sent.get_json()['id']}")
    assert api.post("/batches/removals", body).get_json()["id"] == sent.get_json()["id"]
    lists.world.finish(lists.clock)
    batch = api.get(sent.headers["Location"].removeprefix("/api/v1")).get_json()
    assert (batch["counts"], batch["proven"]) == ({"invalid": 1, "started": 1, "unknown": 1}, 1)
    assert batch["finished_at"] is not None
    first = api.get(f"/batches/{batch['id']}/rows?limit=1").get_json()
    assert [row["who"] for row in first["items"]] == [EVE]
    rest = api.get(f"/batches/{batch['id']}/rows?cursor={first['next']}").get_json()
    assert [row["outcome"] for row in rest["items"]] == ["invalid", "unknown"]
    assert len(api.get(f"/batches/{batch['id']}/rows?outcome=unknown").get_json()["items"]) == 1
    file = api.get(f"/batches/{batch['id']}/outcome.csv")
    assert file.content_type == "text/csv; charset=utf-8"
    assert f"{first['items'][0]['evidence']}\r\n" in file.text
    assert ",'=cmd|" in file.text
    again = api.post("/batches/removals", body).get_json()
    assert api.get(f"/batches/{again['id']}").get_json()["id"] != batch["id"]
    for wrong in ({"reason": "why not"}, {"reason": "why not", "people": [EVE], "csv": EVE}, {"people": [EVE]}):
        assert api.post("/batches/removals", wrong).status_code == 422
    assert lists.door.api("manager").post("/batches/removals", body).status_code == 403
    for path in ("/batches", "/batches/removals"):
        assert {row["id"] for row in api.get(path).get_json()["items"]} == {batch["id"], again["id"]}
    assert api.get("/batches/invites").get_json()["items"] == []


@pytest.mark.one_database
def test_invites_by_rest(lists: Lists) -> None:
    api, project = lists.door.api("admin"), lists.world.project()
    body = {"people": [{"email": "ann@acme.example", "projects": [f"{project.name}:owner"]}, {"email": EVE}]}
    said = api.post("/batches/invites?dry_run=true", body).get_json()
    assert [row["outcome"] for row in said["items"]] == ["waiting", "already"]
    sent = api.post("/batches/invites", body).get_json()
    lists.world.drain()
    rows = api.get(f"/batches/{sent['id']}/rows").get_json()["items"]
    assert [(row["outcome"], row["progress"]) for row in rows] == [("started", "pending"), ("already", None)]


@pytest.mark.one_database
def test_on_the_dashboard_with_a_preview_and_a_typed_sentence(lists: Lists) -> None:
    page = Reader(lists.door.browser("admin"))
    shown = page.send("/batches/removals/new", "/batches/removals/preview", {"people": "", "reason": "closed"})
    assert "Choose a file, or paste a list" in shown.text
    upload = {"file": (io.BytesIO(f"E-Mail;Name\n{EVE};Zoë\n{ADA};\n".encode("cp1252")), "x.csv"), "reason": "closed for good"}
    shown = page.send("/batches/removals/new", "/batches/removals/preview", upload)
    assert "Windows-1252" in shown.text
    assert "This is you" in shown.text
    assert lists.removals() == []
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf_token|once|reason)" value="([^"]+)"', shown.text))
    people = re.search(r"<textarea[^>]*hidden[^>]*>\n(.*?)</textarea>", shown.text, re.DOTALL)
    assert people is not None
    form = hidden | {"people": people[1]}
    wrong = page.client.post("/batches/removals", data=form | {"confirm": "remove 2"})
    assert (wrong.status_code, "Type “remove 1” to confirm" in wrong.text) == (422, True)
    done = page.client.post("/batches/removals", data=form | {"confirm": "Remove 1"})
    assert done.status_code == 303
    assert page.client.post("/batches/removals", data=form | {"confirm": "Remove 1"}).location == done.location
    assert "hx-get" in page.get(done.location).text
    lists.world.finish(lists.clock)
    settled = page.get(done.location).text
    assert "removed, with evidence" in settled
    assert "hx-get" not in settled
    assert page.get(done.location + "/outcome.csv").status_code == 200
    assert done.location in page.get("/batches").text


@pytest.mark.one_database
def test_the_dashboard_says_what_waits_for_whom(lists: Lists) -> None:
    page = Reader(lists.door.browser("admin"))
    many = {"people": "\n".join(f"guest{number}@acme.example" for number in range(51))}
    shown = page.send("/batches/invites/new", "/batches/invites/preview", many)
    assert "1 of them need a second admin" in shown.text
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf_token|once)" value="([^"]+)"', shown.text))
    address = page.client.post("/batches/invites", data=hidden | many).location
    lists.world.drain()
    shown = page.get(address)
    assert "Somebody else has to approve the rest" in shown.text
    assert "waits for approval" in shown.text


def test_on_the_command_line(clock: FrozenDateTimeFactory, world: World, command: Govern, tmp_path: Path) -> None:
    world.synced()
    file = tmp_path / "people.csv"
    file.write_text(f"email,team\n{EVE},A\n{MAX},A\nno address@,A\n")
    dry = command(f"members revoke-many {file} --dry-run --json").json["items"]
    assert [row["outcome"] for row in dry] == ["waiting", "waiting", "invalid"]
    assert command(f"members revoke-many {file}").code == 2
    done = command(f"members revoke-many {file} --reason 'the team is closed' --json").json["items"]
    assert [row["outcome"] for row in done] == ["started", "started", "invalid"]
    world.finish(clock)
    with world.govern.unit_of_work.reading() as session:
        assert session.query(Offboarding).count() == 2
    told = command(f"batches show {done[0]['batch']} --csv").out
    assert told.splitlines()[0] == "line,who,role,outcome,sentence,id,progress,evidence"
    assert "evd_" in told
    assert "started 2" in command("batches list").out.replace("\n", " ")
    guests = tmp_path / "guests.csv"
    guests.write_text(f"email;projects\nann@acme.example;{world.project().name}\n{MAL};\n")
    assert "2 started" in command(f"members invite-many {guests}").out
    assert "2 already" in command(f"members invite-many {guests}").out
