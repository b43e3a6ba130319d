"""The directory on the dashboard: upload, look, confirm; a person's page and their end date."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from govern.core.clock import utcnow
from govern.offboarding import schedule
from tests.given import ADMIN, EVE, MAX, OLA
from tests.web.conftest import Door
from tests.web.pages.conftest import Reader

FILE = f"email;department;cost center;line manager\n{EVE};Search;100;{MAX}\nbroken;x;;\n{MAX};Ads;300;\n"


def uploaded(admin: Reader, data: bytes, **more: str) -> TestResponse:
    return admin.send("/people/imports", values={"file": (io.BytesIO(data), "hr.csv"), "effective_on": "2020-01-01", **more})


def test_a_file_is_looked_at_and_confirmed(door: Door, admin: Reader) -> None:
    page = uploaded(admin, FILE.encode("utf-16"))
    assert page.status_code == 200
    assert "“broken” is not an address. Write it like name@example.com." in page.text
    assert f"manager from 2020-01-01: none → {MAX}" not in page.text  # she reports to him already
    assert "team from 2020-01-01: none → Search" in page.text
    assert door.api("admin").get(f"/people/{EVE}").get_json()["team"] is None, "looking changes nothing"
    draft = page.request.path
    digest = re.search(r'name="digest" value="([^"]+)"', page.text)
    assert digest is not None
    refused = admin.send(draft, values={"act": "confirm", "digest": "of something else"})
    assert (refused.status_code, "no longer what you were shown" in refused.text) == (409, True)
    done = admin.send(draft, values={"act": "confirm", "digest": digest[1]})
    assert "The directory is up to date with the file." in done.text
    assert door.api("admin").get(f"/people/{EVE}").get_json()["team"] == "Search"
    shown = admin.get(f"/people/{EVE}").text
    assert "Search" in shown
    assert "1 Jan 2020" in shown
    assert EVE in admin.get("/people?team=Search").text
    assert EVE not in admin.get("/people?team=Ads").text
    again = uploaded(admin, FILE.encode())
    assert "The file changes nothing" in again.text
    gone = admin.send(again.request.path, values={"act": "discard"})
    assert "nothing was changed" in gone.text
    assert admin.get(again.request.path).status_code == 404
    exported = admin.get("/people/export")
    assert exported.mimetype == "text/csv"
    assert f"{EVE},Eve Employee,Search,100,{MAX}," in exported.text


@pytest.mark.one_database
def test_what_cannot_be_a_directory_is_refused_with_what_to_do(admin: Reader) -> None:
    for data, sentence in (
        (b"PK\x03\x04", "save it as CSV"), (b"", "Choose a file."), (b"name\nEve\n", "none of them is the address"),
        (b"email\n" + b"x" * 900_001, "900 kB"),
    ):  # fmt: skip
        page = uploaded(admin, data)
        assert (page.status_code, sentence in page.text) == (422, True), sentence
        page.request.input_stream.close()  # a large body is a file


@pytest.mark.one_database
def test_an_end_date_is_set_and_taken_back(door: Door, readers: dict[str, Reader]) -> None:
    admin, day = readers["admin"], (utcnow() + timedelta(days=40)).date()
    address = f"/people/{EVE}"
    refused = admin.send(address, f"{address}/end", {"act": "set", "reason": "her contract is over"})
    assert (refused.status_code, "Choose a day." in refused.text) == (422, True)
    done = admin.send(address, f"{address}/end", {"act": "set", "ends_on": str(day), "reason": "her contract is over"})
    assert f"The removal starts by itself on {day}." in done.text
    assert EVE in admin.get("/people?ending=yes").text
    assert OLA not in admin.get("/people?ending=yes").text
    assert "set by hand" in readers["manager"].get(address).text
    assert 'id="end-date"' not in readers["manager"].get(address).text
    done = admin.send(address, f"{address}/end", {"act": "never", "reason": "renewed"})
    assert "There is no end date any more." in done.text
    assert door.api("admin").get(address).get_json()["ends_on"] is None


def test_a_mail_about_an_end_date_that_was_given_up_is_sent_again(door: Door, readers: dict[str, Reader]) -> None:
    """No mail is set up here, so it is given up each time; when the end date is taken back it is no longer true."""
    admin, api = readers["admin"], door.api("admin")
    ends_on = (utcnow() + timedelta(days=1)).date()
    api.post(f"/people/{EVE}/end", {"ends_on": str(ends_on), "reason": "her contract is over"})
    with door.govern.unit_of_work(ADMIN) as uow:
        schedule.give_notice(uow, days=(3,), admins=["it@acme.example"])
    door.world.drain()
    mails = api.get(f"/people/{EVE}/notices").get_json()["items"]
    assert {(mail["address"], mail["state"]) for mail in mails} == {(MAX, "failed"), ("it@acme.example", "failed")}
    path = f"/people/{door.world.person(EVE).id}/notices/{mails[0]['id']}/send"
    assert api.post(f"/people/{MAX}/notices/{mails[0]['id']}/send", {}).status_code == 404
    sent = api.post(path, {})
    assert (sent.status_code, sent.get_json()["state"], sent.headers["Location"]) == (
        202, "pending", f"/api/v1{path.rsplit('/', 2)[0]}",
    )  # fmt: skip
    assert api.post(path, {}).status_code == 409  # under way
    door.world.drain()
    assert "Send again" in admin.get(f"/people/{EVE}").text
    assert "Send again" not in readers["manager"].get(f"/people/{EVE}").text
    assert "It is sent again." in admin.send(f"/people/{EVE}", path).text
    assert "Only a delivery that was given up" in admin.send(f"/people/{EVE}", path).text
    api.post(f"/people/{EVE}/end", {"ends_on": None, "reason": "renewed"})
    door.world.drain()
    states = {mail["id"]: mail["state"] for mail in api.get(f"/people/{EVE}/notices").get_json()["items"]}
    assert states == {mails[0]["id"]: "dropped", mails[1]["id"]: "failed"}
    assert door.world.audited("notice.sent_again") == ["notice.sent_again"] * 2
