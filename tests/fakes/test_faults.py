"""Each fault, in process and where it matters over a real connection."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.server import serve
from tests.fakes.conftest import Client, issue, project_of

CREATE = "projects.service_accounts.create"


def accounts(fake: FakeOpenAI) -> set[str]:
    return {row.name for row in fake.oracle().service_accounts()}


@pytest.mark.parametrize(
    ("kind", "status", "made"),
    [
        ("status:503", 503, False),
        ("status:429:7", 429, False),
        ("html", 502, False),
        ("500_after", 500, True),
        ("bad_json", 200, True),
    ],
)
def test_the_change_is_made_or_not(small: FakeOpenAI, client: Client, kind: str, status: int, made: bool) -> None:
    small.fault(CREATE, kind=kind)
    answer = client(small).post(f"organization/projects/{project_of(small)}/service_accounts", json={"name": "struck"})
    assert answer.status_code == status
    assert ("struck" in accounts(small)) is made
    assert answer.headers["x-request-id"] == small.oracle().requests[-1].request_id
    if kind.endswith(":7"):
        assert answer.headers["retry-after"] == "7"
    if kind in {"html", "bad_json"}:
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    issue(small, client(small), "afterwards")  # once only


@pytest.mark.parametrize(("kind", "made"), [("drop_before", False), ("drop_after", True), ("truncate", True)])
@pytest.mark.parametrize("over_the_wire", [False, True])
def test_a_cut_connection_looks_the_same_in_process(small: FakeOpenAI, kind: str, made: bool, over_the_wire: bool) -> None:
    small.fault(CREATE, kind=kind)
    path, header = (
        f"/v1/organization/projects/{project_of(small)}/service_accounts",
        {"Authorization": f"Bearer {small.admin_key}"},
    )
    with serve(small.app) as server:
        transport = None if over_the_wire else httpx.WSGITransport(app=small.app)
        base = server.url if over_the_wire else "http://openai.test"
        with httpx.Client(transport=transport, base_url=base, headers=header) as http:
            with pytest.raises(httpx.RemoteProtocolError):
                http.post(path, json={"name": "struck"})
            assert ("struck" in accounts(small)) is made
            assert http.post(path, json={"name": "afterwards"}).status_code == 200
    assert [line.status for line in small.oracle().requests] == ([200, 200] if kind == "truncate" else [0, 200])


def test_nth_times_and_path_choose_the_requests(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    small.fault("users.*", nth=2, times=2, kind="status:500")
    assert [http.get("organization/users").status_code for _ in range(4)] == [200, 500, 500, 200]
    small.fault("GET /v1/organization/projects/*", kind="status:418", path=f"*/{project_of(small)}/*", times=0)
    assert http.get(f"organization/projects/{project_of(small)}/users").status_code == 418
    assert http.get(f"organization/projects/{project_of(small, 'Support bot')}/users").status_code == 200
    small.clear_faults()
    assert http.get(f"organization/projects/{project_of(small)}/users").status_code == 200


def test_a_throttle_with_and_without_retry_after(client: Client) -> None:
    clock = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    fake = FakeOpenAI(WorldSpec(), now=lambda: clock[0])
    fake.fault("users.list", kind="throttle:6:retry-after")
    fake.fault("projects.list", kind="throttle:2")
    http = client(fake)
    answers = [http.get("organization/users") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert answers[-1].headers["retry-after"] == "10"
    assert [http.get("organization/projects").status_code for _ in range(3)] == [200, 200, 429]
    assert "retry-after" not in http.get("organization/projects").headers
    clock[0] += timedelta(seconds=30)
    assert [http.get("organization/projects").status_code for _ in range(2)] == [200, 429]


def test_a_lie_says_deleted_and_deletes_nothing(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    made = issue(small, http)
    path = f"organization/projects/{project_of(small)}/service_accounts/{made['id']}"
    small.fault("projects.service_accounts.delete", kind="lie_200")
    events = len(small.org.tables.events)
    assert http.delete(path).json() == {
        "object": "organization.project.service_account.deleted",
        "id": made["id"],
        "deleted": True,
    }
    assert small.oracle().authenticates(made["api_key"]["value"])
    assert len(small.org.tables.events) == events
    assert http.get(path).status_code == 200


def test_a_stale_list_shows_the_past_for_a_while(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    made = issue(small, http)
    path = f"organization/projects/{project_of(small)}/service_accounts"
    small.fault("projects.service_accounts.list", kind="stale_list:30")
    http.delete(f"{path}/{made['id']}")
    assert made["id"] in {row["id"] for row in http.get(path).json()["data"]}
    assert not small.oracle().authenticates(made["api_key"]["value"])
    small.advance(timedelta(seconds=31))
    assert made["id"] not in {row["id"] for row in http.get(path).json()["data"]}


def test_a_late_change_happens_after_the_answer(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    small.fault(CREATE, kind="late:90")
    answer = http.post(f"organization/projects/{project_of(small)}/service_accounts", json={"name": "late"})
    assert answer.status_code == 504
    http.get("organization/users")
    assert "late" not in accounts(small)
    small.advance(timedelta(seconds=91))
    http.get("organization/users")
    assert "late" in accounts(small)


def test_pages_come_twice_or_for_ever_and_cursors_expire(small: FakeOpenAI, client: Client) -> None:
    http = client(small)

    def page(**query: object) -> dict[str, object]:
        return dict(http.get("organization/users", params={"limit": 1, **query}).json())

    small.fault("users.list", kind="dup_page", nth=2)
    first = page()
    second = page(after=first["last_id"])
    assert [row["id"] for row in second["data"]] == [first["last_id"], second["last_id"]]
    small.fault("users.list", kind="stuck_cursor")
    first = page()
    stuck = page(after=first["last_id"])
    assert (stuck["last_id"], stuck["has_more"]) == (first["last_id"], True)
    small.fault("users.list", kind="cursor_400")
    assert http.get("organization/users").status_code == 200
    assert http.get("organization/users", params={"after": first["last_id"]}).status_code == 400


def test_rows_are_skipped_turned_round_and_changed(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    right = http.get("organization/users").json()["data"]

    def struck(kind: str) -> list[dict[str, object]]:
        small.fault("users.list", kind=kind)
        return list(http.get("organization/users").json()["data"])

    assert struck("skip_item") == right[1:]
    assert struck("reorder") == right[::-1]
    assert all("email" not in row for row in struck("missing:email"))
    assert {row["role"] for row in struck("null:role")} == {None}
    assert {row["surprise"] for row in struck("extra:surprise")} == {"unexpected"}
    assert {row["role"] for row in struck("set:role:emperor")} == {"emperor"}
    assert http.get("organization/users").json()["data"] == right


def test_amounts_as_strings_and_the_bare_403(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    small.spend(project="search", usd="1.25")
    day = {"start_time": small.org.clock.seconds() // 86_400 * 86_400}
    small.fault("usage.costs", kind="string_amounts")
    assert http.get("organization/costs", params=day).json()["data"][0]["results"][0]["amount"]["value"] == "1.25"
    small.fault("usage.costs", kind="bare_403")
    answer = http.get("organization/costs", params=day)
    assert answer.status_code == 403
    assert isinstance(answer.json()["error"], str)


def test_slow_heavy_and_redirected_answers(small: FakeOpenAI, client: Client) -> None:
    http = client(small)
    small.fault("users.list", kind="delay:0.2")
    began = time.monotonic()
    assert http.get("organization/users").status_code == 200
    assert time.monotonic() - began >= 0.2
    small.fault("users.retrieve", kind="redirect:http://elsewhere.test:81/x")
    answer = http.get(f"organization/users/{small.oracle().members()[0].id}")
    assert (answer.status_code, answer.headers["location"]) == (307, "http://elsewhere.test:81/x")
    small.fault("users.list", kind="gzip_bomb:8")
    with http.stream("GET", "organization/users") as heavy:
        raw = b"".join(heavy.iter_raw())
    assert len(raw) < 100_000
    assert len(gzip.decompress(raw)) > 8_000_000
    with serve(small.app) as server, httpx.Client(headers=http.headers, timeout=5) as real:
        small.fault("users.list", kind="endless")
        with real.stream("GET", f"{server.url}/v1/organization/users") as endless:
            got = 0
            for chunk in endless.iter_raw():
                got += len(chunk)
                if got > 500_000:
                    break
        small.fault("users.list", kind="slow:50")
        began = time.monotonic()
        with real.stream("GET", f"{server.url}/v1/organization/users") as slow:
            for _, _chunk in zip(range(5), slow.iter_raw(1), strict=False):
                pass
        assert time.monotonic() - began >= 0.08


def test_an_unknown_fault_is_refused(small: FakeOpenAI) -> None:
    with pytest.raises(ValueError, match="explode"):
        small.fault("users.list", kind="explode")
