"""The control API over HTTP, the state file, and the command line around both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.server import serve
from tests.fakes.conftest import Client, issue, project_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def control(small: FakeOpenAI) -> Iterator[httpx.Client]:
    with serve(small.app) as server, httpx.Client(base_url=f"{server.url}/_control/") as http:
        yield http


def test_everything_can_be_driven_from_another_process(small: FakeOpenAI, control: httpx.Client, client: Client) -> None:
    api = client(small)
    assert (
        api.post("organization/invites", json={"email": "new@acme.example", "role": "reader", "projects": []}).status_code == 200
    )
    made = control.post("accept-invite", json={"email": "new@acme.example"}).json()
    assert api.get(f"organization/users/{made['user_id']}").json()["email"] == "new@acme.example"
    assert control.post("spend", json={"project": "search", "usd": "2.50"}).json() == {"ok": True}
    day = small.org.clock.now().date().isoformat()
    assert control.post("restate", json={"day": day, "factor": "2"}).status_code == 200
    start = {"start_time": small.org.clock.seconds() // 86_400 * 86_400}
    assert api.get("organization/costs", params=start).json()["data"][0]["results"][0]["amount"]["value"] == 5
    before = small.org.clock.now()
    control.post("advance", json={"seconds": 3_600})
    assert (small.org.clock.now() - before).total_seconds() >= 3_600
    key = control.post("personal-keys", json={"user": "eve@acme.example", "project": "Search"}).json()
    assert control.post("authenticates", json={"value": key["value"]}).json() == {"authenticates": True}
    assert control.post("disable-key", json={"api_key_id": key["id"]}).status_code == 200
    assert control.post("authenticates", json={"value": key["value"]}).json() == {"authenticates": False}
    narrow = control.post("admin-keys", json={"scopes": ["api.usage.read"]}).json()["value"]
    assert client(small, narrow).get("organization/users").status_code == 403
    assert client(small, narrow).get("organization/costs", params=start).status_code == 200


def test_faults_and_settings(small: FakeOpenAI, control: httpx.Client, client: Client) -> None:
    assert control.post("faults", json={"operation": "users.list", "kind": "status:500", "times": 0}).status_code == 200
    assert client(small).get("organization/users").status_code == 500
    assert control.get("faults").json()["faults"][0]["seen"] == 1
    control.delete("faults")
    assert client(small).get("organization/users").status_code == 200
    assert control.post("settings", json={"generation": "2026-08", "requests_per_minute": 1}).json()["generation"] == "2026-08"
    assert client(small).get("organization/workload_identity_providers").status_code == 404
    assert [client(small).get("organization/users").status_code for _ in range(2)] == [200, 429]


def test_the_oracle_and_the_log_can_be_read(small: FakeOpenAI, control: httpx.Client, client: Client) -> None:
    made = issue(small, client(small))
    seen = control.get("oracle", params={"only": "service_accounts,keys"}).json()
    assert set(seen) == {"service_accounts", "keys"}
    assert made["id"] in {row["id"] for row in seen["service_accounts"]}
    assert {"members", "invites", "projects", "project_users", "alert_mails"} < set(control.get("oracle").json())
    log = control.get("requests", params={"since": 0}).json()["requests"]
    assert (log[-1]["method"], log[-1]["status"]) == ("POST", 200)
    assert log[-1]["request_id"].startswith("req_")
    assert control.get("requests", params={"since": len(log)}).json() == {"requests": []}


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("accept-invite", {"email": "nobody@acme.example"}, 404),
        ("spend", {"project": "nowhere", "usd": 1}, 404),
        ("spend", {"project": "search", "usd": "much"}, 400),
        ("advance", {"seconds": -1}, 400),
        ("faults", {"kind": "explode"}, 400),
        ("settings", {"generation": "2031"}, 400),
        ("settings", {"colour": "red"}, 404),
        ("nonsense", {}, 404),
        ("advance", [], 400),
    ],
)
def test_a_wrong_call_gets_a_sentence(control: httpx.Client, call: str, body: object, status: int) -> None:
    answer = control.post(call, json=body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_it_documents_itself(control: httpx.Client) -> None:
    about = control.get("").json()
    for line in about["calls"]:
        method, path = line.split()
        known = control.request(method, path.removeprefix("/_control/"), content=b"[]")
        assert known.status_code != 404, line
    assert about["settings"]["generation"] == "2026-11"


def test_a_state_file_brings_the_organization_back(tmp_path: Path, client: Client) -> None:
    file, key = tmp_path / "state" / "openai.json", "sk-admin-fixed-for-the-demo"
    spec = WorldSpec(people=30, projects=5, months=1, seed=7)
    one = FakeOpenAI(spec, admin_key=key, state=file)
    made = issue(one, client(one))
    one.spend(project="search", usd="3.21")
    one.restate(one.org.clock.now().date(), factor="0.5", project="search")
    client(one).post("organization/groups", json={"name": "Kept"})
    one.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["api_key"]["value"] not in file.read_text()
    two = FakeOpenAI(WorldSpec(), admin_key=key, state=file)
    assert two.org.spec == spec
    assert two.admin_key == key
    for view in ("members", "invites", "projects", "project_users", "service_accounts", "keys"):
        assert getattr(two.oracle(), view)() == getattr(one.oracle(), view)(), view
    assert two.org.tables == one.org.tables
    assert two.oracle().authenticates(made["api_key"]["value"])
    two.close()


def test_a_change_is_written_soon_without_being_asked(tmp_path: Path, client: Client) -> None:
    file = tmp_path / "openai.json"
    fake = FakeOpenAI(WorldSpec(projects=1), state=file)
    made = issue(fake, client(fake))
    until = time.monotonic() + 10
    while made["id"] not in (file.read_text() if file.exists() else "") and time.monotonic() < until:
        time.sleep(0.05)
    assert made["id"] in file.read_text()
    assert list(tmp_path.iterdir()) == [file]
    fake.close()


def test_a_state_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "openai.json"
    file.write_text('{"version": 99}')
    with pytest.raises(ValueError, match="another version"):
        FakeOpenAI(state=file)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "openai.json"
    command = [sys.executable, "-m", "govern", "fake-openai", "--people", "4", "--projects", "1", "--state", str(file)]
    environment = os.environ | {"GOVERN_FAKE_ADMIN_KEY": "sk-admin-from-the-environment"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[0]
        assert "sk-admin" not in line
        header = {"Authorization": "Bearer sk-admin-from-the-environment"}
        projects = httpx.get(f"{url}/v1/organization/projects", headers=header).json()["data"]
        project = next(row["id"] for row in projects if row["name"] == "Search")
        path = f"{url}/v1/organization/projects/{project}/service_accounts"
        made = httpx.post(path, headers=header, json={"name": "kept"}).json()
        process.send_signal(number)
        assert process.wait(10) == 0
    assert made["id"] in file.read_text()


def test_a_port_in_use_gets_a_sentence(small: FakeOpenAI) -> None:
    with serve(small.app) as server:
        command = [sys.executable, "-m", "govern", "fake-openai", "--people", "1", "--port", str(server.port)]
        found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert found.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in found.stderr
    assert "Traceback" not in found.stderr


def test_projects_can_be_named_or_given_by_id(small: FakeOpenAI, client: Client) -> None:
    for wanted in ("SEARCH", project_of(small)):
        small.spend(project=wanted, usd=1)
    start = {"start_time": small.org.clock.seconds() // 86_400 * 86_400, "group_by": "project_id"}
    rows = client(small).get("organization/costs", params=start).json()["data"][0]["results"]
    assert [(row["project_id"], row["amount"]["value"]) for row in rows] == [(project_of(small), 2)]
