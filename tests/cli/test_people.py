"""People on the host: the directory looked at, brought in and exported; end dates; a key renewed."""

from __future__ import annotations

import pytest

from govern.keys import queries
from govern.notices import service as notices
from govern.notices.words import Words
from tests.cli.conftest import Govern
from tests.given import ADMIN, EVE, MAX, World

FILE = f"E-Mail;Name;Team;Manager\n{EVE};Eve Employee;Search;{MAX}\n{MAX};=cmd|' /C calc'!A1;Ads;\n"


def test_the_directory_from_a_file_and_back(command: Govern, tmp_path) -> None:
    file = tmp_path / "hr.csv"
    file.write_text(FILE + "nobody;x;;\n", encoding="utf-8")
    look = command(f"people import {file} --dry-run")
    assert look.code == 0
    assert "team from" in look.out
    assert "“nobody” is not an address." in look.out
    assert command("people list --json").json["items"] == []
    refused = command(f"people import {file} --json")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    done = command(f"people import {file} --yes --json")
    assert (done.code, done.json["counts"]["new"]) == (4, 2)
    assert "1 rows could not be used" in done.err
    file.write_text(FILE, encoding="utf-8")
    again = command(f"people import {file} --yes --json")
    assert (again.code, again.json["id"], again.json["counts"]["unchanged"]) == (0, None, 2)
    shown = command(f"people show {EVE} --json").json
    assert (shown["manager"], shown["assignments"][0]["team"]) == (MAX, "Search")
    assert "Search" in command(f"people show {EVE}").out
    exported = tmp_path / "out.csv"
    assert command(f"people export --output {exported}").code == 0
    assert ",'=cmd|" in exported.read_text(encoding="utf-8")
    only = f"email\n{MAX}\n"
    file.write_text(only, encoding="utf-8")
    assert "nothing happens to them without --complete" in command(f"people import {file} --yes").out
    assert command(f"people import {file} --yes --complete").code == 0
    assert [row["email"] for row in command("people list --directory gone --json").json["items"]] == [EVE]
    assert command(f"people end {EVE} --on 2099-01-01 --reason 'her contract'").out.endswith("starts on 2099-01-01.\n")
    assert [row["email"] for row in command("people list --ending --json").json["items"]] == [EVE]
    assert command(f"people end {EVE} --never --reason renewed").code == 0
    assert command(f"people end {EVE} --reason renewed").code == 2


@pytest.mark.one_database
def test_a_key_is_renewed_from_the_host_and_mails_are_sent_again(command: Govern, world: World) -> None:
    """About the key, and about its person's end date. No mail is set up here, so each is given up."""
    assert command("sync directory").code == 0
    key = command(f"keys issue {EVE} '{world.project().name}' --name laptop --days 20 --json").json["id"]
    renewed = command(f"keys renew {key} --days 40")
    assert (renewed.code, f"/keys/{key}" in renewed.out) == (0, True)
    with world.govern.unit_of_work(ADMIN) as uow:
        terms = [version.lifetime_seconds // 86_400 for version in queries.versions_of(uow.session, key)]
        for subject in (("people", world.person(EVE).id), ("keys", key)):
            words = Words("It ends", "Soon.", (), "/", "Look")
            notices.tell(uow, "told", subject[0], subject, words, addresses=["it@acme.example"])
    assert terms == [20, 40]
    assert "rotated already" in command(f"keys renew {key}").err
    world.drain()
    for listing, again, which in (("people notices", "people send-again", EVE), ("keys reminders", "keys send-again", key)):
        [mail] = command(f"{listing} {which} --json").json["items"]
        assert (mail["address"], mail["state"], mail["headline"]) == ("it@acme.example", "failed", "It ends")
        assert "to it@acme.example again" in command(f"{again} {which} {mail['id']}").out
        assert command(f"{again} {which} {mail['id']}").code == 4  # under way
    assert "pending" in command(f"people notices {EVE}").out
