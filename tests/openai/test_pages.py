"""Listings: complete, or an error."""

from __future__ import annotations

import pytest

from govern.core.errors import Unavailable
from govern.openai.client import OpenAIClient
from govern.openai.directory import OpenAIDirectory
from govern.openai.fields import Fields
from govern.openai.pages import MOST_PAGES, Paging, collect
from govern.openai.paths import path
from tests.openai.conftest import Peer, PeerMaker


def names(client: OpenAIClient) -> int:
    return len(OpenAIDirectory(client).members())


def test_a_listing_goes_over_every_page(make_peer: PeerMaker) -> None:
    peer = make_peer(people=230)
    found = OpenAIDirectory(peer.client()).members()
    assert {m.id for m in found if not m.is_service_account} == {m.id for m in peer.fake.oracle().members()}
    assert peer.served("GET", "/users") == -(-len(found) // 100)


@pytest.mark.parametrize("kind", ["dup_page", "reorder", "stuck_cursor", "cursor_400"])
def test_pages_that_come_in_disorder_once_still_make_a_complete_listing(make_peer: PeerMaker, kind: str) -> None:
    peer = make_peer(people=230)
    peer.fake.fault("users.list", kind=kind, nth=1 if kind in {"stuck_cursor", "cursor_400"} else 2)
    found = [m.id for m in OpenAIDirectory(peer.client()).members() if not m.is_service_account]
    assert sorted(found) == sorted(m.id for m in peer.fake.oracle().members())


@pytest.mark.parametrize("kind", ["stuck_cursor", "cursor_400"])
def test_a_listing_that_cannot_be_completed_is_an_error_and_ends(make_peer: PeerMaker, kind: str) -> None:
    peer = make_peer(people=230)
    peer.fake.fault("users.list", kind=kind, times=0)
    with pytest.raises(Unavailable):
        names(peer.client())
    assert peer.served("GET", "/users") <= 6


def test_a_row_that_is_left_out_cannot_be_seen_in_one_listing(peer: Peer) -> None:
    """Why a removal is proven by two listings some time apart, not by one."""
    peer.fake.fault("users.list", kind="skip_item")
    client = peer.client()
    assert (names(client), names(client)) == (3, 4)


@pytest.mark.parametrize("kind", ["missing:id", "null:id", "missing:added_at"])
def test_a_row_without_what_it_must_have_fails_the_whole_listing(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind, times=0)
    with pytest.raises(Unavailable, match="lacks a usable field"):
        names(peer.client())


@pytest.mark.parametrize(
    "kind", ["missing:name", "null:email", "null:role", "missing:is_scim_managed", "extra:shoe_size", "set:role:emperor"]
)
def test_optional_and_unknown_fields_and_words_are_borne(peer: Peer, kind: str) -> None:
    peer.fake.fault("users.list", kind=kind)
    assert names(peer.client()) == 4


@pytest.mark.parametrize(
    ("where", "paging", "most"),
    [
        ("/organization/roles", Paging.NEXT, 1000),
        ("/organization/groups", Paging.NEXT, 1000),
        ("/organization/projects", Paging.LAST_ID, 100),
        ("/organization/admin_api_keys", Paging.LAST_ITEM, 100),
        ("/organization/audit_logs", Paging.LAST_ID, 100),
    ],
)
def test_small_pages_give_the_same_as_large_ones(make_peer: PeerMaker, where: str, paging: Paging, most: int) -> None:
    peer = make_peer(people=30, projects=5)
    peer.fake.make_admin_key()
    client = peer.client()
    whole = client.listing(path(where), paging=paging, size=most)
    assert len(whole) >= 2
    assert client.listing(path(where), paging=paging, size=1) == whole


def test_a_list_without_end_is_given_up() -> None:
    asked = 0

    def fetch(cursor: str | None) -> dict[str, object]:
        nonlocal asked
        asked += 1
        return {"data": [{"id": f"user_{asked}"}], "last_id": f"user_{asked}", "has_more": True}

    with pytest.raises(Unavailable, match="did not end"):
        collect(fetch, Paging.LAST_ID)
    assert asked == MOST_PAGES


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [], "has_more": True, "last_id": None},
        {"data": [{"id": "user_1"}]},
        {"data": [{"id": "user_1"}], "has_more": "false"},
        {"data": {"id": "user_1"}, "has_more": False},
        {"data": ["user_1"], "has_more": False},
        {"has_more": False},
    ],
)
def test_a_page_that_does_not_say_whether_it_is_the_last_proves_nothing(answer: Fields) -> None:
    with pytest.raises(Unavailable):
        collect(lambda _: dict(answer), Paging.LAST_ID)


def test_a_page_without_last_id_goes_on_after_its_last_item() -> None:
    pages = {None: ("user_1", True), "user_1": ("user_2", True), "user_2": ("user_3", False)}

    def fetch(cursor: str | None) -> dict[str, object]:
        found, more = pages[cursor]
        return {"data": [{"id": found}], "has_more": more}

    assert [item["id"] for item in collect(fetch, Paging.LAST_ID)] == ["user_1", "user_2", "user_3"]
