"""A removal ends everything that lets somebody in, in the order that is safe, and one stubborn key holds up nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.fakes.openai.tables import Assignment, FederationRule, IdentityProvider, Role
from govern.inventory import sync as inventory
from govern.keys.models import KeyState
from govern.offboarding.models import Holding, Kind, Offboarding, OffboardingState
from govern.people.service import link_identity
from tests.given import ADMIN, EVE, MAX, PROJECT, World

ISSUER = "https://login.acme.example"


class Furnished:
    """Eve with one of everything, and Max with the same, who stays."""

    def __init__(self, world: World) -> None:
        self.world, self.tables = world, world.openai.org.tables
        self.place = world.project(PROJECT).remote_id
        self.values: list[str] = []
        with world.govern.unit_of_work(ADMIN) as uow:
            link_identity(uow, world.person(EVE), ISSUER, "sub-eve")
        for number, email in enumerate((EVE, MAX)):
            self.give(email, number)

    def give(self, email: str, number: int) -> None:
        world, tables, now = self.world, self.tables, self.world.openai.org.clock.seconds()
        user = world.member(email).remote_id
        key = world.key(email, project=PROJECT)
        world.openai.make_personal_key(email, PROJECT)
        self.values.append(world.peek(key))
        account = world.version(key).service_account_remote_id or ""
        role = Role(f"role-{number}", "Analyst", ["api.usage.read"], "api.project", self.place, False, now)
        tables.roles[role.id] = role
        tables.assignments.append(Assignment("user", user, self.place, role.id, now))
        tables.groups["group-all"].members[user] = now
        provider = tables.providers["idp-1"]
        for id_, matchers, to in (
            (f"rule-{number}-account", {"sub": "robot"}, account),
            (f"rule-{number}-mail", {"email": email.title()}, "acct-shared"),
            (f"rule-{number}-subject", {"sub": f"sub-{email.partition('@')[0]}"}, "acct-shared"),
        ):
            tables.rules[id_] = FederationRule(
                id_, provider.id, self.place, to, matchers, {"type": "service_account_default"}, id_, None, True, now, now
            )
        before = set(tables.admin_keys)
        world.openai.make_admin_key()
        [made] = set(tables.admin_keys) - before
        tables.admin_keys[made].owner_user_id = user


@pytest.fixture
def furnished(known: World) -> Furnished:
    from govern.fakes.openai.tables import Group, ServiceAccount

    tables, now = known.openai.org.tables, known.openai.org.clock.seconds()
    tables.groups["group-all"] = Group("group-all", "Everybody", now)
    tables.providers["idp-1"] = IdentityProvider(
        "idp-1",
        "Acme",
        ISSUER,
        "https://api.openai.com/v1",
        {"type": "discovery", "discovery_url": None},
        [],
        None,
        True,
        now,
        now,
    )
    tables.service_accounts["acct-shared"] = ServiceAccount(
        "acct-shared", known.project(PROJECT).remote_id, "shared", "member", now
    )
    return Furnished(known)


def held(world: World, removal: Offboarding) -> dict[Kind, list[Holding]]:
    with world.govern.unit_of_work.reading() as session:
        rows = session.scalars(sa.select(Holding).where(Holding.offboarding_id == removal.id).order_by(Holding.id)).all()
    return {kind: [row for row in rows if row.kind is kind] for kind in Kind}


@pytest.mark.one_database
@pytest.mark.parametrize("is_known", [True, False])
def test_everything_of_theirs_ends_and_nothing_else(furnished: Furnished, clock: FrozenDateTimeFactory, is_known: bool) -> None:
    """Whether the inventory had seen it before or not."""
    world, tables = furnished.world, furnished.tables
    eve, other = world.member(EVE).remote_id, world.member(MAX).remote_id
    if is_known:
        outside = world.govern.need_outside()
        world.synced()
        inventory.run(world.govern.unit_of_work, outside.directory, outside.access, roles_per_run=10)
    begun = len(world.calls())
    removal = world.remove(EVE)
    assert len(world.calls()) == begun
    world.finish(clock)
    removal = world.reload(removal)
    assert removal.state is OffboardingState.DONE
    assert tables.groups["group-all"].members.keys() == {other}
    assert {a.principal_id for a in tables.assignments if a.role_id.startswith("role-")} == {other}
    assert sorted(rule for rule in tables.rules) == ["rule-1-account", "rule-1-mail", "rule-1-subject"]
    assert [key.owner_user_id for key in tables.admin_keys.values() if key.owner_user_id in (eve, other)] == [other]
    assert [world.openai.oracle().authenticates(value) for value in furnished.values] == [False, True]
    # A rule that nobody knew of may have gone with its service account before it was listed.
    found = {kind: len(rows) for kind, rows in held(world, removal).items() if rows}
    every = (Kind.KEYS, Kind.ADMIN_KEYS, Kind.PERSONAL_KEYS, Kind.ROLES, Kind.GROUPS, Kind.MEMBERSHIPS, Kind.SEAT)
    assert found == dict.fromkeys(every, 1) | {Kind.FEDERATION_RULES: 3 if is_known else 2}
    assert all(row.proven_at == removal.done_at for rows in held(world, removal).values() for row in rows)
    deletions = world.calls("DELETE")
    assert deletions[-1] == f"DELETE /v1/organization/users/{eve}"
    credentials = [i for i, call in enumerate(deletions) if any(w in call for w in ("api_key", "service_accounts", "_rules"))]
    places = [i for i, call in enumerate(deletions) if "/groups/" in call or "/roles/" in call or call.endswith(f"/users/{eve}")]
    assert max(credentials) < min(places), deletions
    if is_known:  # what is known dies before anything is read
        calls = world.calls()[begun:]
        assert all(call.startswith(("DELETE", "GET /v1/organization/admin_api_keys/key")) for call in calls[: len(credentials)])
    # Every listing that could show any of it was read twice, and the evidence says when.
    assert {"members", "invites", "admin_keys", "rules:idp-1", "group:group-all", "roles:", f"roles:{furnished.place}"} <= set(
        removal.listings
    )
    assert all({"first", "second"} <= marks.keys() for marks in removal.listings.values())


@pytest.mark.one_database
def test_a_group_of_the_identity_provider_goes_with_the_seat(furnished: Furnished, clock: FrozenDateTimeFactory) -> None:
    furnished.tables.groups["group-all"].is_scim_managed = True
    removal = furnished.world.remove(EVE)
    furnished.world.finish(clock)
    assert furnished.world.reload(removal).state is OffboardingState.DONE
    [place] = held(furnished.world, removal)[Kind.GROUPS]
    assert (place.asked_at, "identity provider" in (place.refusal or "")) == (None, True)
    assert place.proven_at is not None


@pytest.mark.one_database
def test_keys_in_an_archived_project_are_ended_or_dead(known: World, clock: FrozenDateTimeFactory) -> None:
    """OpenAI answers 400 to most questions about an archived project, but it goes on listing its keys."""
    tables = known.openai.org.tables
    key = known.key(EVE, project=PROJECT)
    own, value = known.openai.make_personal_key(EVE, PROJECT)
    place = tables.projects[known.project(PROJECT).remote_id]
    place.archived_at = known.openai.org.clock.seconds()
    removal = known.remove(EVE)
    known.finish(clock)
    assert known.reload(removal).state is OffboardingState.DONE
    assert known.reload(key).state is KeyState.REVOKED
    assert own in {row.remote_id for row in held(known, removal)[Kind.PERSONAL_KEYS]}
    assert not known.openai.oracle().authenticates(value)


@pytest.mark.one_database
def test_a_key_that_openai_will_not_end_holds_up_nothing_else(known: World, clock: FrozenDateTimeFactory) -> None:
    """Until the patience is over places and the seat wait for it. Then they go, and it stays shown as unproven."""
    run = known.govern.need_outside().effects["offboarding.run"]
    known.govern.need_outside().effects["offboarding.run"] = replace(run, key_patience=timedelta(minutes=10))  # type: ignore[index]
    known.key(EVE, project=PROJECT)
    known.openai.fault("projects.service_accounts.delete", kind="lie_200", times=0)
    removal = known.remove(EVE)
    known.finish(clock, within=timedelta(minutes=9))
    seats = {member.email for member in known.openai.oracle().members()}
    assert EVE in seats
    assert known.reload(removal).waiting_for == "2 of 3 ended. OpenAI still lists a key that we issued."
    known.finish(clock, within=timedelta(minutes=20))
    later = known.reload(removal)
    assert EVE not in {member.email for member in known.openai.oracle().members()}
    assert (later.state, later.evidence_id) == (OffboardingState.CONTAINED, None)
    assert later.waiting_for == "2 of 3 ended. OpenAI still lists a key that we issued."
    proven = {kind: [row.proven_at is not None for row in rows] for kind, rows in held(known, removal).items() if rows}
    assert proven == {Kind.KEYS: [False], Kind.MEMBERSHIPS: [True], Kind.SEAT: [True]}
    known.openai.clear_faults()
    known.finish(clock)
    assert known.reload(removal).state is OffboardingState.DONE
    assert known.dead() == []


@pytest.mark.one_database
def test_one_listing_of_a_project_proves_all_of_its_keys(known: World, clock: FrozenDateTimeFactory) -> None:
    keys = [known.key(EVE, name=f"key {n}", project=PROJECT) for n in range(4)]
    place = f"/v1/organization/projects/{known.project(PROJECT).remote_id}"
    before = known.calls()
    known.remove(EVE)
    known.finish(clock)
    asked = known.calls()[len(before) :]
    assert [known.reload(key).state for key in keys] == [KeyState.REVOKED] * 4
    assert sum(f"DELETE {place}/service_accounts/" in call for call in asked) == 4
    assert asked.count(f"GET {place}/service_accounts") == asked.count(f"GET {place}/api_keys") == 3
    assert known.owed() == []
