"""The directory on the dashboard: upload, look, confirm; a person's page and their end date."""

from __future__ import annotations

import io
import re
from datetime import timedelta

from werkzeug.test import TestResponse

from govern.core.clock import utcnow
from tests.given import EVE, MAX, OLA
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


def test_what_cannot_be_a_directory_is_refused_with_what_to_do(admin: Reader) -> None:
    for data, sentence in (
        (b"PK\x03\x04", "save it as CSV"), (b"", "Choose a file."), (b"name\nEve\n", "none of them is the address"),
        (b"email\n" + b"x" * 900_001, "900 kB"),
    ):  # fmt: skip
        page = uploaded(admin, data)
        assert (page.status_code, sentence in page.text) == (422, True), sentence
        page.request.input_stream.close()  # a large body is a file


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
