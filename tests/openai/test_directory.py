"""Members, invites, projects and keys as the fake organization tells of them."""

from __future__ import annotations

import pytest

from govern.core.errors import Missing, Rejected
from govern.openai.directory import OpenAIDirectory
from govern.openai.keys import OpenAIKeys
from govern.openai.paths import path
from govern.ports import Directory, ProjectGrant
from tests.openai.conftest import Peer, PeerMaker


@pytest.fixture
def directory(peer: Peer) -> Directory:
    return OpenAIDirectory(peer.client())


def user_id(peer: Peer, email: str) -> str:
    return next(m.id for m in peer.fake.oracle().members() if m.email == email)


def default_project(peer: Peer) -> str:
    return next(p.id for p in peer.fake.oracle().projects() if p.is_default)


def archive(peer: Peer, project_id: str) -> None:
    """As an admin does in the dashboard: through the API, for there is no other way into the fake."""
    peer.client().create(path("/organization/projects/{}/archive", project_id), {})


def test_members_have_their_seat_and_role(peer: Peer, directory: Directory) -> None:
    members = {m.email: m for m in directory.members()}
    assert members["ada@acme.example"].role == "owner"
    assert members["eve@acme.example"].role == "reader"
    assert members["ada@acme.example"].added_at.tzinfo is not None


@pytest.mark.parametrize("spelling", ["eve@acme.example", "Eve@Acme.Example", "EVE@ACME.EXAMPLE"])
def test_a_member_is_found_whatever_the_case(peer: Peer, directory: Directory, spelling: str) -> None:
    found = directory.find_member(spelling)
    assert found is not None
    assert found.id == user_id(peer, "eve@acme.example")


def test_nobody_is_found_where_nobody_is(directory: Directory) -> None:
    assert directory.find_member("nobody@acme.example") is None


def test_removing_a_member_twice_is_removing_once(peer: Peer, directory: Directory) -> None:
    eve = user_id(peer, "eve@acme.example")
    directory.remove_member(eve)
    directory.remove_member(eve)
    assert directory.find_member("eve@acme.example") is None


def test_the_last_owner_is_not_removed(peer: Peer, directory: Directory) -> None:
    with pytest.raises(Rejected):
        directory.remove_member(user_id(peer, "ada@acme.example"))


def test_an_invite_always_says_which_projects(peer: Peer, directory: Directory) -> None:
    none = directory.invite("new@acme.example", "reader", [])
    some = directory.invite("other@acme.example", "owner", [ProjectGrant(peer.open_project(), "member")])
    invites = {i.id: i for i in directory.invites()}
    assert invites[none.id].projects == ()  # not the default project, where an invite that names none would lead
    assert invites[some.id].projects == (ProjectGrant(peer.open_project(), "member"),)
    assert (invites[some.id].role, invites[some.id].status) == ("owner", "pending")
    assert invites[some.id].expires_at is not None


def test_an_invite_is_cancelled_once_and_not_when_accepted(peer: Peer, directory: Directory) -> None:
    first = directory.invite("new@acme.example", "reader", [])
    directory.cancel_invite(first.id)
    directory.cancel_invite(first.id)
    second = directory.invite("new@acme.example", "reader", [])
    peer.fake.accept_invite("new@acme.example")
    with pytest.raises(Rejected):
        directory.cancel_invite(second.id)
    assert {i.id: (i.status, i.accepted_at is None) for i in directory.invites()}[second.id] == ("accepted", False)


def test_all_projects_are_listed_archived_ones_too(peer: Peer, directory: Directory) -> None:
    archive(peer, peer.open_project())
    projects = directory.projects()
    assert {p.id for p in projects} == {p.id for p in peer.fake.oracle().projects()}
    assert {p.id for p in projects if p.archived_at} == {p.id for p in peer.fake.oracle().projects() if p.archived}
    assert [p.id for p in projects if p.is_default] == [default_project(peer)]


def test_project_members_come_and_go(peer: Peer, directory: Directory) -> None:
    place = next(p for p in peer.fake.oracle().project_users() if p.email == "eve@acme.example")
    assert place.user_id in {m.user_id for m in directory.project_members(place.project_id)}
    directory.remove_project_member(place.project_id, place.user_id)
    directory.remove_project_member(place.project_id, place.user_id)
    assert place.user_id not in {m.user_id for m in directory.project_members(place.project_id)}


def test_a_key_whose_owner_lost_the_project_is_still_listed(peer: Peer, directory: Directory) -> None:
    place = next(p for p in peer.fake.oracle().project_users() if p.email == "eve@acme.example")
    key_id, _ = peer.fake.make_personal_key("eve@acme.example", place.project_id)
    directory.remove_project_member(place.project_id, place.user_id)
    key = next(k for k in directory.keys(place.project_id) if k.id == key_id)
    assert (key.access, key.owner_kind, key.owner_id) == ("inactive", "user", place.user_id)
    assert key.owner_email == "eve@acme.example"


def test_a_personal_key_is_deleted_and_stops_working(peer: Peer, directory: Directory) -> None:
    place = next(p for p in peer.fake.oracle().project_users() if p.email == "eve@acme.example")
    key_id, value = peer.fake.make_personal_key("eve@acme.example", place.project_id)
    assert peer.fake.oracle().authenticates(value)
    directory.delete_key(place.project_id, key_id)
    directory.delete_key(place.project_id, key_id)
    assert not peer.fake.oracle().authenticates(value)


@pytest.mark.parametrize(("generation", "allowed"), [("2026-08", False), ("2026-11", True)])
def test_a_service_accounts_key_is_deleted_where_the_api_allows_it(make_peer: PeerMaker, generation: str, allowed: bool) -> None:
    peer = make_peer(generation=generation)
    client, project = peer.client(), peer.open_project()
    issued = OpenAIKeys(client).create(project, "govern:one", 3600)
    directory = OpenAIDirectory(client)
    listed = next(k for k in directory.keys(project) if k.id == issued.key_id)
    assert (listed.owner_kind, listed.owner_id) == ("service_account", issued.service_account_id)
    if allowed:
        directory.delete_key(project, issued.key_id)
    else:
        with pytest.raises(Rejected) as refused:
            directory.delete_key(project, issued.key_id)
        assert refused.value.status == 400
    assert peer.fake.oracle().authenticates(issued.value.reveal()) is not allowed


def test_an_archived_project_has_nobody_in_it(peer: Peer, directory: Directory) -> None:
    project = peer.open_project()
    account = OpenAIKeys(peer.client()).create(project, "govern:one", 3600)
    archive(peer, project)
    assert directory.project_members(project) == ()
    assert directory.service_accounts(project) == ()
    OpenAIKeys(peer.client()).delete(project, account.service_account_id)
    directory.remove_project_member(project, user_id(peer, "eve@acme.example"))


def test_any_other_400_is_not_taken_for_an_archived_project(peer: Peer, directory: Directory) -> None:
    peer.fake.fault("projects.service_accounts.list", kind="status:400")
    with pytest.raises(Rejected):
        directory.service_accounts(peer.open_project())
    with pytest.raises(Missing):
        directory.service_accounts("proj_none")


def test_admin_keys_are_listed_with_their_owner_and_deleted_but_not_our_own(peer: Peer, directory: Directory) -> None:
    made = [peer.fake.make_admin_key() for _ in range(3)]
    keys = directory.admin_keys()
    assert len(keys) >= 4
    assert all(key.owner_id for key in keys)
    ours = [key for key in keys if key.redacted.endswith(peer.fake.admin_key[-4:])]
    others = [key for key in keys if key.redacted[-4:] in {value[-4:] for value in made}]
    assert (len(ours), len(others)) == (1, 3)
    for key in [*others, *others]:
        directory.delete_admin_key(key.id)
    with pytest.raises(Rejected, match="uses itself"):
        directory.delete_admin_key(ours[0].id)
    assert {key.id for key in directory.admin_keys()} == {key.id for key in keys} - {key.id for key in others}


def test_more_admin_keys_than_a_page_are_all_listed(peer: Peer, directory: Directory) -> None:
    for _ in range(120):
        peer.fake.make_admin_key(["api.usage.read"])
    assert len({key.id for key in directory.admin_keys()}) >= 121
