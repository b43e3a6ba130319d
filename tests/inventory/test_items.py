"""Every kind of thing in one shape: where it stands, whose it is, since when, and how fresh that is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.core.errors import NotFound, ProviderError
from govern.fakes.openai import FakeOpenAI
from govern.findings import service as findings
from govern.inventory import freshness, items
from govern.inventory.items import Item, Shown
from govern.inventory.listings import LISTINGS
from govern.keys.models import Key
from govern.projects.models import Project
from govern.worker.runner import run_job
from tests.findings.test_decisions import one
from tests.given import ADA, ADMIN, EVE, MAX, World


@pytest.fixture
def full(govern: Govern, openai: FakeOpenAI, rich: World) -> tuple[World, Key]:
    """Something of every kind: a key of ours, one of Eve's own, an invite, groups, roles, federation, admin keys."""
    key = rich.key(EVE, project="Search")
    openai.make_personal_key(EVE, "Search", "eve's own")
    openai.make_personal_key(ADA, "Search", "batch job")
    rich.invite("new@acme.example")
    rich.drain()
    for job in ("directory.sync", "inventory.sync", "findings.evaluate"):
        run_job(govern, job)
    with govern.unit_of_work(ADMIN) as uow:
        findings.adopt(uow, one(govern, "unmanaged_key", "batch job").id, MAX, reason="his now")
    return rich, key


def listed(govern: Govern, kind: str, **how: object) -> dict[str, Item]:
    with govern.unit_of_work.reading() as session:
        return {item.label: item for item in items.find(session, kind, limit=500, **how)}


def test_whose_and_where_is_told_for_every_kind(govern: Govern, full: tuple[World, Key]) -> None:
    world, key = full
    eve, max_, ada = (world.person(who).id for who in (EVE, MAX, ADA))
    place = world.project("Search")
    keys = listed(govern, "project-keys", project=place)
    own = keys["eve's own"]
    assert (own.owner_id, own.project_name, own.key_id) == (eve, "Search", None)
    with govern.unit_of_work.reading() as session:
        ours = items.get(session, "project-keys", world.version(key).remote_id or "")
        assert (ours.owner_id, ours.key_id) == (eve, key.id)
        assert ours.id in {item.id for item in items.find(session, "project-keys", person_id=eve)}
    assert keys["batch job"].owner_id == max_, "who answers for it, not who made it"
    assert set(listed(govern, "project-keys", person_id=max_)) >= {"batch job"}
    assert "eve's own" in listed(govern, "project-keys", person_id=eve)
    accounts = listed(govern, "service-accounts", person_id=eve)
    assert [item.key_id for item in accounts.values()] == [key.id]
    assert listed(govern, "admin-keys")["terraform"].owner_id == ada
    assert listed(govern, "members")[EVE].owner_id == eve
    assert listed(govern, "invites")["new@acme.example"].facts["from_here"] is True
    assert EVE in listed(govern, "project-members", project=place, search="eve@")
    group = listed(govern, "group-members", search="platform")
    assert (set(group), group[EVE].facts["group"]) == ({EVE, MAX}, "Platform")
    assert [item.label for item in listed(govern, "project-groups").values()] == ["Platform"]
    assert "Platform: owner" in listed(govern, "roles", search="owner")
    assert {item.owner_id for item in listed(govern, "roles", search=MAX).values()} == {max_}
    rule = listed(govern, "federation-rules")["deploy"]
    assert (rule.facts["scopes"], rule.project_id is not None) == (["api.model.request"], True)
    assert listed(govern, "federation-providers")["CI"].facts["issuer"] == "https://ci.example"
    with govern.unit_of_work.reading() as session:
        for kind, (number, _) in items.counts(session).items():
            assert number == len(items.find(session, kind, limit=500)) > 0, kind
            first = items.find(session, kind, limit=1)[0]
            assert items.get(session, kind, first.native or first.id) == items.get(session, kind, first.id)
        with pytest.raises(NotFound):
            items.find(session, "anything")


def test_what_vanished_is_told_apart_and_kept(
    govern: Govern, openai: FakeOpenAI, full: tuple[World, Key], clock: FrozenDateTimeFactory
) -> None:
    clock.tick(timedelta(minutes=10))
    openai.org.tables.groups.clear()
    run_job(govern, "inventory.sync")
    assert not listed(govern, "groups")
    gone = listed(govern, "groups", shown=Shown.VANISHED)["Platform"]
    assert gone.vanished_at == clock().replace(tzinfo=gone.vanished_at.tzinfo) > gone.last_seen_at >= gone.first_seen_at
    assert set(listed(govern, "groups", shown=Shown.ALL)) == {"Platform"}
    with govern.unit_of_work.reading() as session:
        assert items.counts(session)["groups"] == (0, 1)


@pytest.mark.one_database
def test_how_fresh_each_kind_is_and_that_a_sweep_broke_off(
    govern: Govern, openai: FakeOpenAI, full: tuple[World, Key], clock: FrozenDateTimeFactory
) -> None:
    with govern.unit_of_work.reading() as session:
        fresh = freshness.of_all(session)
    assert set(fresh) == set(LISTINGS)
    before = fresh["project-keys"].seen_at
    assert all(each.is_whole for kind, each in fresh.items()), fresh
    clock.tick(timedelta(minutes=40))
    openai.fault("projects.api_keys.list", 2, "status:400", times=100)
    with pytest.raises(ProviderError):
        run_job(govern, "directory.sync")
    with govern.unit_of_work.reading() as session:
        broken = freshness.of_all(session)["project-keys"]
    assert (broken.is_whole, broken.read, broken.seen_at) == (False, 1, before)


def test_keys_of_archived_projects_are_seen_once_a_day_and_are_no_findings(
    govern: Govern, openai: FakeOpenAI, full: tuple[World, Key], clock: FrozenDateTimeFactory
) -> None:
    world, _ = full
    place: Project = world.project("Search")
    openai.org.tables.projects[place.remote_id].archived_at = openai.org.clock.seconds()
    clock.tick(timedelta(minutes=10))
    before = len(world.calls("GET"))
    run_job(govern, "directory.sync")
    run_job(govern, "directory.sync")
    asked = [call for call in world.calls("GET")[before:] if place.remote_id in call]
    assert len(asked) == 1
    assert asked[0].endswith("/api_keys")
    key = listed(govern, "project-keys")["eve's own"]
    assert (key.last_seen_at, key.vanished_at) == (clock().replace(tzinfo=key.last_seen_at.tzinfo), None)
    assert not listed(govern, "project-members", project=place)
    run_job(govern, "findings.evaluate")
    with pytest.raises(StopIteration):
        one(govern, "never_used", "eve's own")
    openai.disable_key(key.native)
    clock.tick(timedelta(days=1, minutes=1))
    run_job(govern, "directory.sync")
    assert listed(govern, "project-keys", shown=Shown.VANISHED)["eve's own"].vanished_at is not None
