"""OpenAI's audit log joined with our own calls: every change is ours, or made around us, or made by somebody who has our key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.access_ports import RemoteEvent
from govern.bootstrap import Govern
from govern.core.calls import ProviderCall
from govern.core.clock import utcnow
from govern.fakes.openai import FakeOpenAI
from govern.fakes.openai.admin_keys import make
from govern.findings import queries as findings
from govern.findings.models import Severity
from govern.inventory import queries
from govern.inventory.models import ProviderEvent, Verdict
from govern.inventory.queries import LogState
from govern.inventory.rules import Calls, JoinedBy, should_show
from govern.keys import freezing
from govern.members import service as members
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, MAX, World

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
US = frozenset({"key_ours"})


def call(method: str, path: str, *, status: int | None = 200, touched: list[str] | None = None, minutes: int = 0,
         request: str | None = None) -> ProviderCall:  # fmt: skip
    at = NOON + timedelta(minutes=minutes)
    return ProviderCall(id="call_1", method=method, path=path, status=status, touched=touched, at=at, request_id=request)


def event(type_: str, resource: str | None = "svc_1", *, key: str | None = "key_ours", how: str | None = "api_key",
          request: str | None = None, **details: object) -> RemoteEvent:  # fmt: skip
    return RemoteEvent("e", type_, NOON, None, resource, how, None, None, key, request, details)


ACCOUNTS = "/organization/projects/p/service_accounts"
DELETED = call("DELETE", f"{ACCOUNTS}/svc_1")
MADE = call("POST", ACCOUNTS, touched=["svc_1", "key_1"])
LOST = call("POST", ACCOUNTS, status=None)
ROLE = call("POST", "/organization/users/user_1/roles", touched=["role_owner"])
CASES = {
    "the end of what a call ended": (DELETED, event("service_account.deleted"), None, JoinedBy.SUBJECT),
    "a key goes with its account": (DELETED, event("api_key.deleted", "key_1"), "svc_1", JoinedBy.SUBJECT),
    "a key of another account does not": (DELETED, event("api_key.deleted", "key_2"), "svc_2", None),
    "an end does not explain a beginning": (DELETED, event("service_account.updated"), None, None),
    "what the answer named": (MADE, event("api_key.created", "key_1"), None, JoinedBy.SUBJECT),
    "what the answer did not name": (MADE, event("service_account.created", "svc_2"), None, None),
    "at the dashboard": (DELETED, event("service_account.deleted", key=None, how="session"), None, None),
    "with another admin key": (DELETED, event("service_account.deleted", key="key_theirs"), None, None),
    "by an actor that is not told": (DELETED, event("service_account.deleted", key=None, how=None), None, JoinedBy.SUBJECT),
    "long after": (call("DELETE", f"{ACCOUNTS}/svc_1", minutes=-16), event("service_account.deleted"), None, None),
    "refused": (call("DELETE", f"{ACCOUNTS}/svc_1", status=404), event("service_account.deleted"), None, None),
    "an answer that was lost": (LOST, event("service_account.created", "svc_9"), None, JoinedBy.KIND),
    "a lost answer of another kind": (LOST, event("invite.sent", "inv_9"), None, None),
    "a role for the one who was named": (
        ROLE, event("role.assignment.created", "role_owner", principal_id="user_1"), None, JoinedBy.SUBJECT
    ),
    "the same role for somebody else": (
        ROLE, event("role.assignment.created", "role_owner", principal_id="user_2"), None, None
    ),
    "the request id decides": (
        call("POST", "/elsewhere", request="req_7", minutes=-90), event("user.updated", "u", request="req_7"), None,
        JoinedBy.REQUEST,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_which_call_explains_which_event(case: str) -> None:
    made, told, owner, by = CASES[case]
    found = Calls([made]).explain(told, owner, US)
    assert (found and found.by) == by


def test_a_lost_creation_explains_one_event_of_its_kind_and_no_more() -> None:
    calls = Calls([LOST])
    kinds = [calls.explain(event("service_account.created", f"svc_{number}"), None, US) for number in range(3)]
    assert [found is not None for found in kinds] == [True, False, False]
    assert calls.explain(event("api_key.created", "key_x"), None, US) is not None, "an account is made with a key"


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"{ACCOUNTS}/svc_1", 200, True), ("/organization/projects/p/archive", 200, True), (f"{ACCOUNTS}/svc_1", 404, False),
        ("/organization/projects/p/spend_limit", 200, False), ("/organization/groups/g/users/u", 200, False),
        (f"{ACCOUNTS}/svc_1", None, False),
    ],
)  # fmt: skip
def test_which_calls_the_log_should_show(path: str, status: int | None, told: bool) -> None:
    assert should_show(call("DELETE", path, status=status), NOON, NOON) is told


def pulled(govern: Govern) -> dict[Verdict, list[ProviderEvent]]:
    run_job(govern, "events.pull")
    with govern.unit_of_work.reading() as session:
        rows = queries.find_events(session, limit=500)
        return {verdict: [row for row in rows if row.verdict is verdict] for verdict in Verdict}


@pytest.fixture
def watched(govern: Govern, world: World, clock: FrozenDateTimeFactory) -> World:
    """The log was read once, so that what comes is news."""
    world.synced()
    run_job(govern, "inventory.sync")
    run_job(govern, "events.pull")
    clock.tick(timedelta(minutes=5))
    return world


@pytest.mark.one_database
def test_everything_that_we_do_is_ours_also_what_we_got_no_answer_for(
    govern: Govern, openai: FakeOpenAI, watched: World, clock: FrozenDateTimeFactory
) -> None:
    openai.fault("projects.service_accounts.create", kind="drop_after")
    lost, key = watched.key(EVE), watched.key(MAX)
    watched.finish(clock)
    openai.make_personal_key(EVE, "Search", "eve's own")
    watched.synced()
    with govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_key(uow, key.id, reason="a look at it", generation="2026-11")
    watched.drain()
    with govern.unit_of_work(ADMIN) as uow:
        freezing.thaw_key(uow, key.id, reason="all is well")
    invite = watched.invite("new@acme.example")
    watched.drain()
    with govern.unit_of_work(ADMIN) as uow:
        members.cancel_invite(uow, invite.id)
    watched.revoke(lost)
    watched.finish(clock)
    watched.remove(EVE)
    watched.finish(clock)
    seen = pulled(govern)
    assert not seen[Verdict.OUR_KEY]
    assert [row.type for row in seen[Verdict.AROUND_US] if not row.is_history] == ["api_key.created"]
    kinds = {row.type for row in seen[Verdict.OURS]}
    assert {"service_account.created", "service_account.deleted", "api_key.updated", "api_key.deleted", "user.deleted"} <= kinds
    assert {row.joined_by for row in seen[Verdict.OURS]} == {"subject", "kind"}
    with govern.unit_of_work.reading() as session:
        version, seat = watched.version(lost), watched.member(EVE).remote_id
        ended = queries.ends_of(session, [version.service_account_remote_id, seat, "svc_never"])
        assert set(ended) == {version.service_account_remote_id, seat}
    clock.tick(timedelta(minutes=20))
    run_job(govern, "events.pull")
    with govern.unit_of_work.reading() as session:
        missing = [(call.method, call.path, call.status) for call in queries.calls_not_shown(session, utcnow())]
        assert missing == []


def test_somebody_else_who_uses_our_admin_key_is_told_apart(govern: Govern, openai: FakeOpenAI, watched: World) -> None:
    place = watched.project("Search").remote_id
    stolen = httpx.Client(
        transport=httpx.WSGITransport(app=openai.app), base_url="http://openai.test/v1/organization",
        headers={"authorization": f"Bearer {openai.admin_key}"},
    )  # fmt: skip
    ours = watched.key(EVE, project="Search")
    theirs = stolen.post(f"/projects/{place}/service_accounts", json={"name": "app", "expires_in_seconds": 3600}).json()
    account = watched.version(ours).service_account_remote_id
    assert stolen.delete(f"/projects/{place}/service_accounts/{account}").status_code == 200
    seen = pulled(govern)
    told = {(row.type, row.resource_remote_id) for row in seen[Verdict.OUR_KEY]}
    assert told == {
        ("service_account.created", theirs["id"]), ("api_key.created", theirs["api_key"]["id"]),
        ("service_account.deleted", account),
    }  # fmt: skip
    watched.synced()
    run_job(govern, "findings.evaluate")
    with govern.unit_of_work.reading() as session:
        found = [row for row in findings.find(session, type_="changed_around_us") if row.severity is Severity.HIGH]
        assert len(found) == 3
        assert all("somebody else uses that key" in row.sentence for row in found)


@pytest.mark.one_database
def test_changes_by_other_keys_and_at_the_dashboard_are_around_us_but_not_a_seat_that_we_offered(
    govern: Govern, openai: FakeOpenAI, watched: World
) -> None:
    other, _ = make(openai.org, "terraform", [], next(m.id for m in openai.oracle().members() if m.role == "owner"))
    watched.invite("new@acme.example")
    watched.drain()
    openai.accept_invite("new@acme.example")
    key_id, _ = openai.make_personal_key(MAX, "Search")
    watched.synced()
    seen = pulled(govern)
    news = {row.type for row in seen[Verdict.AROUND_US] if not row.is_history}
    assert news == {"invite.accepted", "user.added", "api_key.created"}
    run_job(govern, "findings.evaluate")
    with govern.unit_of_work.reading() as session:
        labels = [row.label for row in findings.find(session, type_="changed_around_us")]
        assert labels == [f"api_key.created: {key_id}"], other.id


def test_a_log_that_is_off_stale_delayed_or_cut_short_says_so(
    govern: Govern, openai: FakeOpenAI, world: World, clock: FrozenDateTimeFactory
) -> None:
    def standing() -> queries.LogStanding:
        with govern.unit_of_work.reading() as session:
            return queries.log_standing(session, utcnow())

    world.synced()
    run_job(govern, "inventory.sync")
    assert standing().state is LogState.NEVER_READ
    openai.fault("audit_logs.list", kind="status:403", times=10)
    run_job(govern, "events.pull")
    assert (standing().state, standing().known_from) == (LogState.OFF, None)
    openai.clear_faults()
    clock.tick(timedelta(minutes=5))
    began = utcnow()
    run_job(govern, "events.pull")
    assert (standing().state, standing().known_from) == (LogState.READ, began), "what was not written down is not known"

    openai.fault("audit_logs.list", kind="stale_list:7200")
    clock.tick(timedelta(minutes=1))
    key = world.key(EVE)
    account = world.version(key).service_account_remote_id
    clock.tick(timedelta(minutes=20))
    run_job(govern, "events.pull")
    assert standing().not_shown == 1
    assert not standing().covers(began, began + timedelta(minutes=1)), "a missing event means nothing now"
    clock.tick(timedelta(hours=3))
    assert standing().state is LogState.STALE
    run_job(govern, "events.pull")
    assert (standing().state, standing().not_shown) == (LogState.READ, 0), "the log was asked for that time again"
    assert standing().covers(began, utcnow() - timedelta(minutes=15))
    with govern.unit_of_work.reading() as session:
        assert [row.verdict for row in queries.events_about(session, [account])] == [Verdict.OURS]
