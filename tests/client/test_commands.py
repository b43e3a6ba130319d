"""The thin client where things go wrong, and what it loads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from govern.approvals import queries as approval_queries
from govern.approvals import service as approvals
from govern.client.folder import Folder
from govern.client.keys import Keys, chosen_place
from govern.client.server import TOKENS, Server, SignedIn, check_url
from govern.client.trouble import Trouble, plain
from govern.client.vault import FileVault, Secret
from govern.core.uow import Actor, ActorKind
from govern.fakes.server import serve
from govern.identity import devices
from govern.identity.models import Device
from govern.keys import rotation
from govern.keys.models import Key
from govern.policies import service as policies
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from tests.browser.live import Live
from tests.client.conftest import Machine
from tests.given import EVE, MAX, PROJECT
from tests.web.conftest import CLI

SERVERS = {
    "sqlalchemy",
    "flask",
    "authlib",
    "openai",
    "pydantic",
    "marshmallow",
    "cryptography",
    "structlog",
    "alembic",
    "requests",
}


def loaded_by(*arguments: str, machine: Machine | None = None) -> set[str]:
    """The top-level modules that a command imports, from Python's own record."""
    command = [sys.executable, "-X", "importtime", "-m", "govern", *arguments]
    environment = machine.environment() if machine else None
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return {name.partition(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}


def test_the_help_loads_nothing_but_click() -> None:
    found = loaded_by("--help")
    assert "click" in found
    assert found & (SERVERS | {"httpx", "keyring", "rich"}) == set()


def test_a_signed_in_machine_loads_nothing_of_the_server_and_leaves_no_key_behind(machine: Machine) -> None:
    signed = machine.sign_in()
    assert signed.returncode == 0, signed.stderr
    assert "Secrets are going to be kept in a file" in signed.stderr
    assert "You may have a key in" in signed.stdout
    assert "already, as eve@acme.example" in machine("login").stdout

    got = machine("key", "get", "--project", PROJECT, "--name", "notebook")
    assert got.returncode == 0, got.stderr
    for arguments in (("key", "status"), ("run", "true"), ("login",)):
        assert loaded_by(*arguments, machine=machine) & SERVERS == set(), arguments
    assert "httpx" not in loaded_by("run", "--", "true", machine=machine)  # the key is here; nobody is asked

    row = json.loads(machine("key", "status", "--json").stdout)["items"]
    assert [(item["project"], item["name"], item["state"], item["here"]) for item in row] == [(PROJECT, "notebook", "live", True)]
    assert (machine("run", "--", "no-such-program").returncode, machine("run", "--", "/").returncode) == (127, 126)
    assert machine("run", "--name", "other", "--project", "Nowhere", "--", "true").returncode == 2

    (machine.folder / "secrets.json").chmod(0o644)
    loose = machine("run", "--", "true")
    assert (loose.returncode, "chmod 600" in loose.stderr) == (4, True)
    (machine.folder / "secrets.json").chmod(0o600)

    assert machine("logout", "--return-keys").returncode == 0
    assert machine.vault() == {}
    again = machine("key", "status")
    assert (again.returncode, again.stderr.strip()) == (3, "You are not signed in. Run `govern login`.")


def test_what_was_denied_stays_outside(machine: Machine) -> None:
    denied = machine.sign_in(decision="deny")
    assert (denied.returncode, denied.stderr.strip().splitlines()[-1]) == (3, "It was denied on the dashboard.")
    assert machine.vault() == {}


def test_tokens_renew_themselves_also_for_two_at_once_and_an_ended_sign_in_says_so(machine: Machine) -> None:
    assert machine.sign_in().returncode == 0
    first = json.loads(machine.vault()[TOKENS])
    machine.keep(TOKENS, first | {"until": 0})
    two = [machine.start("login"), machine.start("login")]
    assert [process.wait(120) for process in two] == [0, 0]
    for process in two:
        process.communicate()
    renewed = json.loads(machine.vault()[TOKENS])
    assert renewed["refresh"] != first["refresh"]
    machine.keep(TOKENS, renewed | {"access": "govd_" + "0" * 49})  # the server refuses it before its time
    assert "already" in machine("login").stdout
    assert json.loads(machine.vault()[TOKENS])["refresh"] != renewed["refresh"]

    with machine.server.govern.unit_of_work(CLI) as uow:
        newest = uow.session.scalars(sa.select(Device.id).order_by(Device.id.desc()).limit(1)).one()
        devices.end_device(uow, newest, reason="lost")
    ended = machine("key", "get")
    assert (ended.returncode, ended.stderr.strip()) == (3, "Your sign-in has ended. Run `govern login`.")
    assert TOKENS not in machine.vault()


def test_secrets_move_to_the_keychain_and_a_locked_one_is_told(server: Live, machine: Machine) -> None:
    assert machine.sign_in("--store", "file").returncode == 0
    assert machine("key", "get", "--name", "moving").returncode == 0
    before = machine.vault()
    machine.store = "keychain"
    moved = machine("login", "--store", "keychain")
    assert (moved.returncode, moved.stderr) == (0, "")
    assert not (machine.folder / "secrets.json").exists()
    assert machine.vault().keys() == before.keys()
    assert machine("run", "--", "true").returncode == 0

    (machine.home / "keychain").write_text("{}")  # a new keychain: the value is gone
    assert machine("run", "--", "true").returncode == 4
    machine.store = "tests.client.keychain.Locked"
    locked = machine("login", "--store", "keychain")
    assert (locked.returncode, "There is no keychain on this machine" in locked.stderr) == (4, True)


def test_a_lost_answer_is_fetched_again_and_nothing_is_made_twice(machine: Machine) -> None:
    """The vault fails after the value came: the next attempt is shown the same value, of the same key."""
    assert machine.sign_in().returncode == 0

    class Full(FileVault):
        def put(self, name: str, value: Secret) -> None:
            if name.startswith("key "):
                raise OSError("No space left on device")
            super().put(name, value)

    folder = Folder(machine.folder)
    full, good = Full(folder), FileVault(folder)
    with Server(machine.server.url) as server:
        with pytest.raises(OSError, match="No space"):
            Keys(SignedIn(server, full, folder), full, folder).get(PROJECT, "twice", machine="vm")
        held, fresh = Keys(SignedIn(server, good, folder), good, folder).get(PROJECT, "twice", machine="vm")
    assert fresh
    value = good.get(f"key {held.key_id}")
    assert value is not None
    assert machine.server.openai.oracle().authenticates(value.reveal())
    assert folder.read().pending == {}
    with machine.server.govern.unit_of_work.reading() as session:
        assert len(session.scalars(sa.select(Key).where(Key.name == "twice")).all()) == 1

    good.drop(f"key {held.key_id}")
    opened_elsewhere = machine("key", "get", "--name", "twice")
    assert (opened_elsewhere.returncode, "was opened before" in opened_elsewhere.stderr) == (4, True)
    machine("logout", "--return-keys")


def test_a_key_that_was_issued_for_one_is_what_one_gets_and_a_dead_one_is_replaced(machine: Machine) -> None:
    world = machine.server.world
    issued = world.requested_key(EVE, name="from an administrator", project=PROJECT)
    assert machine.sign_in().returncode == 0
    deadline = time.monotonic() + 60
    while world.reload(issued).state.value == "requested":
        assert time.monotonic() < deadline
    got = machine("key", "get", "--project", PROJECT)
    assert "“from an administrator”" in got.stdout, got.stderr

    first = machine.vault()[f"key {issued.id}"]
    with machine.server.govern.unit_of_work(CLI) as uow:
        rotation.rotate(uow, issued.id, reason="due", overlap=timedelta(days=1))
    while "newer value waits" not in (status := machine("key", "status")).stdout:
        assert time.monotonic() < deadline, status.stderr
    newer = machine("key", "get", "--project", PROJECT)
    assert "is now in" in newer.stdout, newer.stderr
    second = machine.vault()[f"key {issued.id}"]
    assert first != second
    assert [machine.server.openai.oracle().authenticates(value) for value in (first, second)] == [True, True]
    assert "newer" not in machine("key", "status").stdout
    rotated = machine("key", "rotate")
    assert (rotated.returncode, rotated.stderr) == (4, "The key is being rotated already; its old version still works.\n")

    world.revoke(issued)
    again = machine("key", "get", "--project", PROJECT)
    assert "is now in" in again.stdout, again.stderr
    assert "from an administrator" not in again.stdout

    renewed = machine("key", "renew", "--project", PROJECT.upper(), "--days", "20")
    assert "The new value of" in renewed.stdout, renewed.stderr
    assert f"It lives until {datetime.now(UTC).date() + timedelta(days=20)}" in renewed.stdout
    third = next(value for name, value in machine.vault().items() if name.startswith("key "))
    assert machine.server.openai.oracle().authenticates(third)
    assert "is already in" in machine("key", "get").stdout

    folder = Folder(machine.folder)
    with folder.changed() as profile:
        profile.keys[0].expires_at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    soon = machine("run", "--", "true")
    assert (soon.returncode, "expires in 1 days" in soon.stderr) == (0, True)
    machine("logout", "--return-keys")


@pytest.mark.parametrize(
    "url",
    [
        "http://govern.example.com", "ftp://127.0.0.1", "govern.example.com", "https://", "https://user:pw@govern.example.com",
        "http://127.0.0.1.evil.example", "http://localhost.evil.example:8000", "https://govern.example.com/?next=x", "http://[::1",
        "http://0x7f.1", "https://govern.example.com:notaport",
    ],
)  # fmt: skip
def test_only_tls_or_this_machine(url: str) -> None:
    with pytest.raises(Trouble) as refused:
        check_url(url)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("url", ["https://govern.example.com/", "http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost"])
def test_addresses_that_are_good(url: str) -> None:
    assert check_url(url) == url.rstrip("/")


def test_a_server_cannot_send_a_client_elsewhere(tmp_path: Path) -> None:
    """Metadata that names another issuer or another host's endpoints, a redirect, and words that a terminal would obey."""
    answers: dict[str, Any] = {}
    asked: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        start_response(answers["status"], [("Content-Type", "application/json"), *answers.get("headers", [])])
        return [json.dumps(answers["body"]).encode()]

    with serve(app) as found:
        good = {
            "issuer": found.url, "device_authorization_endpoint": f"{found.url}/d", "token_endpoint": f"{found.url}/t",
            "revocation_endpoint": f"{found.url}/r",
        }  # fmt: skip
        for change, sentence in (
            ({"issuer": "https://other.example"}, "calls itself"),
            ({"token_endpoint": "https://evil.example/t"}, "not its own"),
            ({"revocation_endpoint": f"{found.url}.evil.example/r"}, "not its own"),
            ({"device_authorization_endpoint": f"http://user@{found.url.removeprefix('http://')}/d"}, "not its own"),
        ):
            answers.update(status="200 OK", body=good | change)
            with Server(found.url) as server, pytest.raises(Trouble, match=sentence):
                server.endpoints()
        answers.update(status="302 Found", headers=[("Location", f"{found.url}/elsewhere")], body={})
        with Server(found.url) as server, pytest.raises(Trouble, match="does not answer like"):
            server.endpoints()
        assert "/elsewhere" not in asked
        folder = Folder(tmp_path / "govern")
        vault = FileVault(folder)
        vault.put(TOKENS, Secret(json.dumps({"access": "a", "refresh": "r", "until": time.time() + 900})))
        answers.update(status="409 Conflict", headers=[], body={"code": "conflict", "detail": "\x1b[2Jgone"})
        with Server(found.url) as server, pytest.raises(Trouble, match=r"^�\[2Jgone$") as refused:
            SignedIn(server, vault, folder).call("POST", "/keys", {})
        assert refused.value.exit_code == 4
    with Server(found.url) as server, pytest.raises(Trouble, match="cannot be reached") as unreachable:
        server.endpoints()
    assert unreachable.value.exit_code == 6


def test_a_project_is_named_or_the_only_one() -> None:
    one = {"id": "prj_1", "remote_id": "proj_a", "name": "Search"}
    other = {"id": "prj_2", "remote_id": "proj_b", "name": "search"}
    assert chosen_place([one], None) is one
    assert chosen_place([one, other], "search") is other
    assert chosen_place([one, other], "proj_a") is one
    for places, wanted in (([], None), ([one, other], None), ([one, other], "SEARCH"), ([one], "Maps")):
        with pytest.raises(Trouble):
            chosen_place(places, wanted)
    assert plain("a\x1b[31mb\u202e") == "a�[31mb�"


def test_a_key_beyond_the_policy_is_asked_for_and_fetched_when_it_is_approved(server: Live, machine: Machine) -> None:
    assert machine.sign_in().returncode == 0
    govern, approver = server.govern, server.world.person(MAX)
    with govern.unit_of_work(CLI) as uow:
        policy = policies.set_policy(uow, "", Limits(PolicyScope.ORGANIZATION, "", longest_days=5, approvers=(MAX,)))
    get = ("key", "get", "--project", PROJECT, "--name", "beyond", "--days", "6")
    try:
        for _ in range(2):
            waits = machine(*get)
            assert waits.returncode == 4
            assert waits.stderr.startswith(f"Asked; waiting for approval by {approver.name} until ")
        other = machine(*get[:-1], "7")  # the same key with other limits is another wish, and the first one still waits
        assert (other.returncode, "Take that back first" in other.stderr) == (4, True)
        with govern.unit_of_work(Actor(ActorKind.PERSON, approver.id, approver.name)) as uow:
            [row] = approval_queries.waiting_for(uow.session, approver.id, (), uow.now)
            assert row.reason == "For beyond, asked for with govern key get."
            approvals.decide(uow, row.id, by=approver.id, approve=True, reason="it is all right", acts=govern.acts)
        got = machine(*get)
        assert (got.returncode, "is now in" in got.stdout) == (0, True), got.stderr
        assert [name for name in machine.vault() if name.startswith("key ")] == [f"key {row.result_id}"]
    finally:
        with govern.unit_of_work(CLI) as uow:
            policies.remove_policy(uow, policy.id)
