"""The clock stands still before the world is made, or the world would lie in the future of its tests."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.fakes.openai import FakeOpenAI, WorldSpec
from govern.fakes.openai.admin_keys import make
from govern.fakes.openai.tables import Assignment, FederationRule, Group, IdentityProvider, ProjectGroup
from tests.given import ADA, EVE, MAX, World


@pytest.fixture
def openai(clock: FrozenDateTimeFactory) -> FakeOpenAI:
    return FakeOpenAI(WorldSpec(people=4, projects=3, months=0, seed=7))


def user_id(openai: FakeOpenAI, email: str) -> str:
    return next(member.id for member in openai.oracle().members() if member.email == email)


@pytest.fixture
def rich(clock: FrozenDateTimeFactory, openai: FakeOpenAI, world: World) -> World:
    """A group with a role in a project, a federation rule, a second admin key."""
    org, now = openai.org, openai.org.clock.seconds()
    project = world.synced().project().remote_id
    account = next(account.id for account in openai.oracle().service_accounts(project))
    org.tables.groups["group_x"] = Group(
        "group_x", "Platform", now, members={user_id(openai, EVE): now, user_id(openai, MAX): now}
    )
    org.tables.project_groups.append(ProjectGroup(project, "group_x", now))
    owner = next(role for role in org.tables.roles.values() if role.name == "owner" and role.resource_type == "api.organization")
    org.tables.assignments.append(Assignment("group", "group_x", None, owner.id, now))
    org.tables.providers["idp_x"] = IdentityProvider(
        "idp_x", "CI", "https://ci.example", "openai", {"type": "discovery", "discovery_url": None}, [], None, True, now, now
    )
    org.tables.rules["rule_x"] = FederationRule(
        "rule_x", "idp_x", project, account, {"sub": "main"}, {"type": "restricted", "scopes": ["api.model.request"]}, "deploy",
        None, True, now, now,
    )  # fmt: skip
    make(org, "terraform", [], user_id(openai, ADA))
    for what in ("group_x", "idp_x", "rule_x"):
        org.tables.born[what] = now
    return world
