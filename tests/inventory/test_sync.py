"""The inventory mirrors what OpenAI lists, goes on where it was interrupted, and tells changes around us from our own."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.bootstrap import Govern
from govern.core.errors import ProviderError
from govern.fakes.openai import FakeOpenAI
from govern.inventory import models
from govern.keys.models import ObservedKey
from govern.worker.runner import run_job
from tests.given import EVE, MAX, World
from tests.inventory.conftest import user_id


def live(govern: Govern, table: type) -> list:
    with govern.unit_of_work.reading() as session:
        return list(session.scalars(sa.select(table).where(table.vanished_at.is_(None))))


def test_it_is_mirrored_and_what_ends_has_vanished(govern: Govern, openai: FakeOpenAI, rich: World) -> None:
    run_job(govern, "inventory.sync")
    assert {key.name: key.is_ours for key in live(govern, models.AdminKey)}["terraform"] is False
    assert sum(key.is_ours for key in live(govern, models.AdminKey)) == 1
    assert len(live(govern, models.GroupMember)) == 2
    assert [rule.scopes for rule in live(govern, models.FederationRule)] == [["api.model.request"]]
    assert [place.group_remote_id for place in live(govern, models.ProjectGroup)] == ["group_x"]
    held = {
        (row.principal_remote_id, row.role): row.through
        for row in live(govern, models.RoleAssignment)
        if not row.project_remote_id
    }
    assert held["group_x", "owner"] == []
    assert held[user_id(openai, EVE), "owner"] == ["group_x"], "it comes through the group"

    tables = openai.org.tables
    tables.groups.clear()
    tables.project_groups.clear()
    tables.assignments.clear()
    tables.rules.clear()
    tables.providers.clear()
    report = run_job(govern, "inventory.sync")
    assert report["vanished"] >= 5
    for table in (models.Group, models.GroupMember, models.ProjectGroup, models.FederationProvider, models.FederationRule):
        assert live(govern, table) == []
    assert not [row for row in live(govern, models.RoleAssignment) if row.through or row.principal_kind == "group"]


@pytest.mark.one_database
def test_an_interrupted_sweep_goes_on_where_it_was(govern: Govern, openai: FakeOpenAI, rich: World) -> None:
    openai.fault("groups.users.list", kind="status:400", times=100)
    with pytest.raises(ProviderError):
        run_job(govern, "inventory.sync")
    openai.clear_faults()
    before = len(rich.calls("GET"))
    run_job(govern, "inventory.sync")
    read = rich.calls("GET")[before:]
    assert "GET /v1/organization/groups/group_x/users" in read
    assert "GET /v1/organization/admin_api_keys" not in read, "that listing was complete"
    run_job(govern, "inventory.sync")
    assert "GET /v1/organization/admin_api_keys" in rich.calls("GET")[before:], "the next sweep reads everything anew"


@pytest.mark.one_database
def test_the_directory_sync_goes_on_where_it_was_too(govern: Govern, openai: FakeOpenAI, world: World) -> None:
    openai.fault("projects.api_keys.list", 3, "status:400", times=100)
    with pytest.raises(ProviderError):
        world.synced()
    openai.clear_faults()
    before = len(world.calls("GET"))
    world.synced()
    assert sum(call.endswith("/api_keys") for call in world.calls("GET")[before:]) == len(openai.oracle().projects()) - 2


def test_a_change_around_us_is_told_from_our_own_and_seen_at_once(
    govern: Govern, openai: FakeOpenAI, rich: World, clock: FrozenDateTimeFactory
) -> None:
    run_job(govern, "inventory.sync")
    assert run_job(govern, "events.pull")["around_us"] == 0, "what was there at the first look is history"
    clock.tick(timedelta(minutes=5))
    rich.key(EVE)
    key_id, _ = openai.make_personal_key(MAX, "Search")
    report = run_job(govern, "events.pull")
    assert report["around_us"] == 1
    with govern.unit_of_work.reading() as session:
        [event] = session.scalars(
            sa.select(models.ProviderEvent).where(~models.ProviderEvent.is_ours, ~models.ProviderEvent.is_history)
        )
        assert (event.type, event.resource_remote_id, event.actor_email) == ("api_key.created", key_id, MAX)
        assert session.scalar(sa.select(sa.func.count()).where(models.ProviderEvent.is_ours)) >= 1
    assert run_job(govern, "events.pull")["added"] == 0
    run_job(govern, "directory.sync")
    assert key_id in {row.remote_id for row in live(govern, ObservedKey)}


@pytest.mark.one_database
def test_a_log_that_is_not_switched_on_is_said_so(govern: Govern, openai: FakeOpenAI, world: World) -> None:
    world.synced()
    run_job(govern, "inventory.sync")
    openai.fault("audit_logs.list", kind="status:403", times=10)
    assert run_job(govern, "events.pull") == {"added": 0, "around_us": 0, "with_our_key": 0, "enabled": 0, "projects": 0}
