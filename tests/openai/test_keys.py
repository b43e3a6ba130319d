"""Making and ending credentials, on both generations of the API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from govern.core.errors import Rejected
from govern.openai.keys import OpenAIKeys
from tests.openai.conftest import Peer, PeerMaker


def test_a_credential_works_expires_and_ends_with_its_account(peer: Peer) -> None:
    project, keys = peer.open_project(), OpenAIKeys(peer.client())
    issued = keys.create(project, "govern:kv_1", 3600)
    assert issued.expires_at == peer.ticker.wall() + timedelta(hours=1)
    assert peer.fake.oracle().authenticates(issued.value.reveal())
    assert issued.value.reveal() not in issued.redacted
    assert issued.value.reveal() not in repr(issued)
    assert [k.id for k in peer.fake.oracle().keys(project) if k.owner_id == issued.service_account_id] == [issued.key_id]
    keys.delete(project, issued.service_account_id)
    assert not peer.fake.oracle().authenticates(issued.value.reveal())


@pytest.mark.parametrize("said", ["auto", "2026-08"])
def test_on_the_older_api_a_key_is_made_without_expiry_and_only_once(make_peer: PeerMaker, said: str) -> None:
    peer = make_peer(generation="2026-08")
    project, keys = peer.open_project(), OpenAIKeys(peer.client(generation=said))
    for name in ("govern:kv_1", "govern:kv_2"):
        assert keys.create(project, name, 3600).expires_at is None
        assert len(keys.find(project, name)) == 1
    # `auto` found out with the first, which was refused and made nothing, and asked no more.
    assert peer.served("POST", "/service_accounts") == (3 if said == "auto" else 2)


def test_the_newest_api_said_and_the_older_found_is_an_error_and_not_a_key_without_expiry(make_peer: PeerMaker) -> None:
    peer = make_peer(generation="2026-08")
    with pytest.raises(Rejected):
        OpenAIKeys(peer.client(generation="2026-11")).create(peer.open_project(), "govern:kv_1", 3600)


@pytest.mark.parametrize("seconds", [0, 31_536_001])
def test_an_expiry_that_is_refused_never_becomes_a_key_without_one(peer: Peer, seconds: int) -> None:
    project = peer.open_project()
    before = len(peer.fake.oracle().service_accounts(project))
    with pytest.raises(Rejected):
        OpenAIKeys(peer.client()).create(project, "govern:kv_1", seconds)
    assert len(peer.fake.oracle().service_accounts(project)) == before


def test_the_default_project_is_left_to_openai_to_refuse(peer: Peer) -> None:
    default = next(p.id for p in peer.fake.oracle().projects() if p.is_default)
    with pytest.raises(Rejected):
        OpenAIKeys(peer.client()).create(default, "govern:kv_1", 3600)


def test_find_gives_every_account_of_exactly_that_name(peer: Peer) -> None:
    project, keys = peer.open_project(), OpenAIKeys(peer.client())
    same = {keys.create(project, "govern:kv_1", 3600).service_account_id for _ in range(2)}
    keys.create(project, "govern:kv_10", 3600)
    assert {account.id for account in keys.find(project, "govern:kv_1")} == same
    assert keys.find(project, "govern:kv") == ()


def test_find_looks_past_the_first_page(peer: Peer) -> None:
    project, keys = peer.open_project(), OpenAIKeys(peer.client())
    for number in range(105):
        keys.create(project, f"govern:kv_{number}", 3600)
    assert all(len(keys.find(project, f"govern:kv_{number}")) == 1 for number in (0, 52, 104))


def test_deleting_what_is_gone_is_success(peer: Peer) -> None:
    project, keys = peer.open_project(), OpenAIKeys(peer.client())
    keys.delete(project, "svc_acct_none")
    issued = keys.create(project, "govern:kv_1", 3600)
    keys.delete(project, issued.service_account_id)
    keys.delete(project, issued.service_account_id)
    assert keys.find(project, "govern:kv_1") == ()
