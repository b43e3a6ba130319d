"""What the client makes of everything that can go wrong between it and OpenAI, one fault kind after the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from govern.core.crypto import Secret
from govern.core.errors import CredentialRefused, Missing, Rejected, Throttled, Unavailable
from govern.core.lanes import Lane, in_lane
from govern.fakes.openai.faults import KINDS
from govern.openai.client import OpenAIClient, make_client
from govern.openai.directory import OpenAIDirectory
from govern.openai.failures import Oversized
from govern.openai.keys import OpenAIKeys
from govern.openai.paths import path
from tests.openai.conftest import Peer, PeerMaker

USERS = path("/organization/users")
CREATE, LIST, DELETE = "projects.service_accounts.create", "projects.service_accounts.list", "projects.service_accounts.delete"


def names(client: OpenAIClient) -> int:
    return len(OpenAIDirectory(client).members())


@pytest.mark.parametrize("kind", ["status:500", "status:503", "status:504", "status:408", "html", "drop_before", "drop_after"])
@pytest.mark.parametrize("lane", list(Lane))
def test_a_read_is_tried_again_and_comes_through(peer: Peer, kind: str, lane: Lane) -> None:
    peer.fake.fault("users.list", kind=kind, times=2)
    with in_lane(lane):
        assert names(peer.client()) == 4
    assert peer.served("GET", "/users") == 3
    assert peer.ticker.seconds > 0


@pytest.mark.parametrize("kind", ["truncate", "bad_json", "500_after"])
def test_a_broken_answer_to_a_read_is_asked_for_again(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind)
    assert names(peer.client()) == 4


def test_a_person_is_not_kept_waiting_for_long_and_background_tries_longer(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="status:500", times=0)
    with pytest.raises(Unavailable) as failed:
        names(peer.client())
    assert failed.value.status == 500
    assert failed.value.request_id is not None
    assert peer.served("GET", "/users") == 3
    assert peer.ticker.seconds <= 10
    with in_lane(Lane.BACKGROUND), pytest.raises(Unavailable):
        names(peer.client())
    assert peer.served("GET", "/users") == 3 + 6


def test_retry_after_is_honoured_also_beside_a_503(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="status:503:7")
    assert names(peer.client()) == 4
    assert peer.ticker.naps == [7.0]


def test_a_wait_that_is_too_long_for_a_person_is_passed_on(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="status:429:40")
    with pytest.raises(Throttled) as refused:
        names(peer.client())
    assert refused.value.retry_after == pytest.approx(40)
    assert peer.ticker.seconds == 0
    with in_lane(Lane.BACKGROUND):
        peer.fake.fault("invites.list", kind="status:429:40")
        OpenAIDirectory(peer.client()).invites()
    assert peer.ticker.seconds == pytest.approx(40)


@pytest.mark.parametrize("says_when", [False, True])
def test_a_full_sync_gets_through_a_throttle(make_peer: PeerMaker, says_when: bool) -> None:
    peer = make_peer(people=40, projects=30, requests_per_minute=8, retry_after=says_when)
    client = peer.client()
    directory = OpenAIDirectory(client)
    with in_lane(Lane.BACKGROUND):
        found = [key.id for project in directory.projects() for key in directory.keys(project.id)]
    really = peer.fake.oracle().keys()
    assert sorted(found) == sorted(key.id for key in really)
    family = "/organization/projects/{}/api_keys"
    assert client.pacing.rate(family) == pytest.approx(8, rel=0.5)
    refused = [r for r in peer.fake.oracle().requests if r.status == 429]
    assert len(refused) <= 6
    assert peer.ticker.seconds <= 1.3 * (31 - 8) / 8 * 60 + 60


@pytest.mark.parametrize("kind", ["throttle:6", "throttle:6:retry-after"])
def test_a_scripted_throttle_slows_background_down_and_loses_nothing(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind)
    client = peer.client()
    with in_lane(Lane.BACKGROUND):
        for _ in range(15):
            assert names(client) == 4
    assert peer.ticker.seconds >= 60


@pytest.mark.parametrize(
    "kind", ["status:500", "500_after", "drop_before", "drop_after", "truncate", "bad_json", "html", "late:90"]
)
def test_a_creation_whose_outcome_is_unknown_is_sent_once(peer: Peer, kind: str) -> None:
    project = peer.open_project()
    peer.fake.fault(CREATE, kind=kind)
    before = len(peer.fake.oracle().service_accounts(project))
    keys = OpenAIKeys(peer.client())
    with in_lane(Lane.BACKGROUND), pytest.raises(Unavailable):
        keys.create(project, "govern:one", 3600)
    assert peer.served("POST", "/service_accounts") == 1
    peer.fake.advance(timedelta(seconds=91))
    found = keys.find(project, "govern:one")  # so that a sweep can take it back
    assert len(found) == (0 if kind in {"status:500", "drop_before", "html"} else 1)
    assert len(peer.fake.oracle().service_accounts(project)) - before == len(found)


def test_a_creation_that_was_throttled_is_sent_again_because_nothing_was_done(peer: Peer) -> None:
    project = peer.open_project()
    peer.fake.fault(CREATE, kind="status:429:2")
    issued = OpenAIKeys(peer.client()).create(project, "govern:one", 3600)
    assert peer.fake.oracle().authenticates(issued.value.reveal())
    assert [a.id for a in peer.fake.oracle().service_accounts(project) if a.name == "govern:one"] == [issued.service_account_id]


@pytest.mark.parametrize("kind", ["status:500", "500_after", "drop_after", "drop_before", "truncate", "bad_json"])
def test_a_deletion_is_repeated_until_it_is_certain(peer: Peer, kind: str) -> None:
    project = peer.open_project()
    keys = OpenAIKeys(peer.client())
    issued = keys.create(project, "govern:one", 3600)
    peer.fake.fault(DELETE, kind=kind)
    keys.delete(project, issued.service_account_id)
    assert not peer.fake.oracle().authenticates(issued.value.reveal())


def test_a_deletion_that_lies_is_seen_in_the_listing(peer: Peer) -> None:
    project = peer.open_project()
    keys = OpenAIKeys(peer.client())
    issued = keys.create(project, "govern:one", 3600)
    peer.fake.fault(DELETE, kind="lie_200")
    keys.delete(project, issued.service_account_id)
    assert [account.id for account in keys.find(project, "govern:one")] == [issued.service_account_id]


def test_a_stale_listing_shows_what_was(peer: Peer) -> None:
    project = peer.open_project()
    keys = OpenAIKeys(peer.client())
    peer.fake.fault(LIST, kind="stale_list:30")
    keys.create(project, "govern:one", 3600)
    assert keys.find(project, "govern:one") == ()
    peer.fake.advance(timedelta(seconds=31))
    assert len(keys.find(project, "govern:one")) == 1


def test_a_bare_string_403_is_our_keys_fault_and_not_tried_again(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="bare_403")
    with pytest.raises(CredentialRefused, match=r"api\.management\.read") as refused:
        names(peer.client())
    assert refused.value.status == 403
    assert peer.served("GET", "/users") == 1


def test_a_revoked_admin_key_leaves_owed_what_is_owed(peer: Peer) -> None:
    client = peer.client(admin_key=Secret("sk-admin-" + "x" * 40))
    with pytest.raises(CredentialRefused) as refused:
        OpenAIDirectory(client).remove_member("user_1")
    assert refused.value.status == 401
    assert isinstance(refused.value, Unavailable)  # what the outbox retries


@pytest.mark.parametrize("kind", ["redirect:https://elsewhere.example/v1/organization/users"])
def test_a_redirect_is_not_followed(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind, times=0)
    with pytest.raises(Unavailable) as failed:
        names(peer.client())
    assert failed.value.status == 307


def test_a_word_that_nobody_knows_is_kept_as_it_came(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="set:role:emperor")
    assert {member.role for member in OpenAIDirectory(peer.client()).members()} == {"emperor"}


def test_a_delay_is_waited_for(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="delay:0.05")
    assert names(peer.client()) == 4


def test_an_answer_that_trickles_is_given_up(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="slow:10")
    with pytest.raises(Oversized):
        peer.client(deadline=0.3).get(USERS)


@pytest.mark.parametrize("kind", ["endless", "gzip_bomb:64"])
def test_an_answer_that_never_ends_is_cut(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind)
    with pytest.raises(Oversized, match="8 MiB"):
        peer.client().get(USERS)


def test_every_kind_of_fault_is_met_by_a_test() -> None:
    here = Path(__file__).parent
    files = [*here.glob("test_*.py"), here.parent / "stories" / "test_faults.py"]  # what the effects do about it is tested there
    met = "".join(file.read_text(encoding="utf-8") for file in files)
    assert {kind for kind in KINDS if f'"{kind}' not in met} == set()


def test_an_answer_that_is_packed_is_unpacked(peer: Peer) -> None:
    peer.fake.fault("users.list", kind="gzip_bomb:1")
    assert names(peer.client()) == 4


def test_errors_tell_the_shapes_apart(peer: Peer) -> None:
    client = peer.client()
    with pytest.raises(Missing):
        client.get(path("/organization/users/{}", "user_none"))
    with pytest.raises(Missing):
        client.get(path("/organization/projects/{}/rate_limits", "proj_none"))  # unwrapped, with an integer code
    with pytest.raises(Rejected):
        client.get(path("/organization/nothing_of_that_name"))  # 404 of the address, not of a thing
    with pytest.raises(Rejected) as refused:
        client.get(USERS, [("limit", "1000")])
    assert refused.value.status == 400
    assert refused.value.facts["param"] == "limit"


def test_ids_cannot_leave_their_place_in_the_path(peer: Peer) -> None:
    client = peer.client()
    assert path("/organization/users/{}", "../a?b=c#d").filled() == "/organization/users/..%2Fa%3Fb%3Dc%23d"
    for bad in ("", ".", ".."):
        with pytest.raises(ValueError, match="cannot stand in a path"):
            client.get(path("/organization/users/{}", bad))


def test_requests_are_logged_without_ids_queries_and_secrets(peer: Peer) -> None:
    project = peer.open_project()
    client = peer.client()
    with capture_logs() as logs:
        issued = OpenAIKeys(client).create(project, "govern:one", 3600)
        OpenAIDirectory(client).find_member("eve@acme.example")
        with in_lane(Lane.BACKGROUND):
            names(client)
    requests = [entry for entry in logs if entry["event"] == "openai.request"]
    assert [(r["method"], r["path"], r["status"], r["lane"]) for r in requests] == [
        ("POST", "/organization/projects/{}/service_accounts", 200, "interactive"),
        ("GET", "/organization/users", 200, "interactive"),
        ("GET", "/organization/users", 200, "background"),
    ]
    assert all(r["request_id"].startswith("req_") and r["ms"] >= 0 for r in requests)
    seen = repr(logs) + repr(client)
    for secret in (peer.fake.admin_key, issued.value.reveal(), project, "eve@acme.example"):
        assert secret not in seen
    assert issued.value.reveal() not in repr(issued)


def test_the_http_library_does_not_log_addresses(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    OpenAIDirectory(peer.client()).find_member("eve@acme.example")
    assert [record for record in caplog.records if record.name.startswith("http")] == []


def faults_with_secrets() -> list[Callable[[Peer, OpenAIClient], object]]:
    def truncated(peer: Peer, client: OpenAIClient) -> object:
        peer.fake.fault(CREATE, kind="truncate")
        return OpenAIKeys(client).create(peer.open_project(), "govern:one", 3600)

    def without_id(peer: Peer, client: OpenAIClient) -> object:
        peer.fake.fault(CREATE, kind="missing:id")
        return OpenAIKeys(client).create(peer.open_project(), "govern:one", 3600)

    return [truncated, without_id]


@pytest.mark.parametrize("act", faults_with_secrets(), ids=lambda act: act.__name__)
def test_an_error_after_the_key_was_made_does_not_carry_its_value(
    peer: Peer, act: Callable[[Peer, OpenAIClient], object]
) -> None:
    with capture_logs() as logs, pytest.raises(Unavailable) as failed:
        act(peer, peer.client())
    seen, error = repr(logs), failed.value
    chain: BaseException | None = error
    while chain is not None:
        seen += repr(chain) + repr(chain.args) + repr(getattr(chain, "facts", ""))
        chain = chain.__cause__
    assert "sk-" not in seen


def test_the_key_goes_to_no_address_in_clear_text() -> None:
    with pytest.raises(ValueError, match="https"):
        make_client(base_url="http://api.openai.example/v1", admin_key=Secret("sk-admin-x"))
