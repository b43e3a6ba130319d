"""A key is issued at once within policy; beyond it somebody else is asked, and their yes issues exactly what was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from govern.approvals import service as approvals
from govern.approvals.models import Approval, ApprovalState
from govern.core.errors import Conflict, InvalidInput, NotAllowed, PolicyViolation
from govern.core.uow import Actor, ActorKind
from govern.keys.models import Key, KeyKind, KeyState
from govern.keys.rules import scopes_of
from govern.policies import asking, preview, queries, service
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from govern.worker.runner import run_job
from tests.given import ADA, ADMIN, EVE, MAX, OLA, PROJECT, World
from tests.web.conftest import CLI

DEFAULTS = asking.Defaults(days=30, most_keys=5, generation="auto", waits=timedelta(days=7))
ORG, IN_PROJECT, GROUP = PolicyScope.ORGANIZATION, PolicyScope.PROJECT, PolicyScope.GROUP
WRITE = "api.responses.write"


def actor(world: World, email: str) -> Actor:
    person = world.person(email)
    return Actor(ActorKind.PERSON, person.id, person.name)


def let(world: World, scope: PolicyScope = ORG, scope_id: str = "", **said) -> str:
    with world.govern.unit_of_work(ADMIN) as uow:
        return service.set_policy(uow, scope_id, Limits(scope, "", **said), reason="because").id


def ask(world: World, email: str = EVE, *, by: str | None = None, reason: str | None = None, **more) -> Key | Approval:
    defaults = more.pop("defaults", DEFAULTS)
    wish = asking.Wish(world.person(email).id, world.project(PROJECT).id, more.pop("name", "laptop"), **more)
    with world.govern.unit_of_work(actor(world, by or email)) as uow:
        return asking.ask_for_key(uow, wish, defaults, administers=by == ADA, reason=reason)


def decide(world: World, row: Approval, email: str, *, approve: bool = True) -> Approval:
    with world.govern.unit_of_work(actor(world, email)) as uow:
        by = world.person(email).id
        return approvals.decide(uow, row.id, by=by, approve=approve, reason="it is all right", acts=world.govern.acts)


def asked(world: World, **more) -> Approval:
    row = ask(world, **{"reason": "a long project"} | more)
    assert isinstance(row, Approval)
    return row


@pytest.mark.one_database
def test_within_policy_it_is_issued_at_once_as_the_policy_has_it(standing: World) -> None:
    let(standing, longest_days=10, scopes=(WRITE,))
    key = ask(standing)
    standing.drain()
    assert isinstance(key, Key)
    version = standing.version(key)
    assert (standing.reload(key).state, version.lifetime_seconds, scopes_of(version)) == (KeyState.LIVE, 10 * 86400, (WRITE,))
    assert next(row.scopes for row in standing.native_keys() if row.id == version.remote_id) == (WRITE,)


@pytest.mark.one_database
def test_beyond_it_a_manager_is_asked_and_a_yes_issues_what_was_asked_for(standing: World) -> None:
    let(standing, longest_days=10)
    with pytest.raises(PolicyViolation, match=r"at most 10 days \(the organization\)\. Somebody else") as refusal:
        ask(standing, days=60)
    assert refusal.value.rule == "longest_days"
    row = asked(standing, days=60, kind=KeyKind.SHARED, rotate_every_days=30, scopes=(WRITE,))
    again = asked(standing, days=60, kind=KeyKind.SHARED, rotate_every_days=30, scopes=(WRITE,))
    assert again.id == row.id, "asking again changes nothing"
    with pytest.raises(Conflict, match="with other limits"):
        asked(standing, days=61, kind=KeyKind.SHARED)
    with pytest.raises(NotAllowed):
        decide(standing, row, EVE)
    with pytest.raises(NotAllowed):
        decide(standing, row, OLA)
    done = decide(standing, row, MAX)
    standing.drain()
    with standing.govern.unit_of_work.reading() as session:
        key = session.get_one(Key, done.result_id)
    eve = standing.person(EVE)
    assert (key.person_id, key.requested_by, key.kind, key.state) == (eve.id, eve.id, KeyKind.SHARED, KeyState.LIVE)
    assert (key.rotate_every_days, scopes_of(standing.version(key))) == (30, (WRITE,))
    assert standing.version(key).lifetime_seconds == 60 * 86400
    with pytest.raises(NotAllowed):
        standing.value(key, actor(standing, MAX))  # whoever approved it does not see it
    assert standing.value(key).startswith("sk-")
    assert standing.audit_holds()


@pytest.mark.one_database
def test_a_no_issues_nothing_and_what_cannot_be_is_not_asked_for(standing: World) -> None:
    let(standing, self_service=False)
    row = decide(standing, asked(standing), ADA, approve=False)
    assert row.state is ApprovalState.DENIED
    assert standing.owed() == [] or {effect.kind for effect in standing.owed()} == {"approval.tell"}
    for more, error in (({"name": " "}, InvalidInput), ({"days": 400}, InvalidInput), ({"rotate_every_days": 90}, InvalidInput)):
        with pytest.raises(error):
            asked(standing, **more)
    old = replace(DEFAULTS, generation="2026-08")
    with pytest.raises(Conflict, match="cannot narrow"):
        asked(standing, scopes=(WRITE,), defaults=old)
    standing.remove(EVE)
    with pytest.raises(PolicyViolation, match="has left"):
        ask(standing, EVE, by=ADA, reason="for a friend")


@pytest.mark.one_database
def test_a_yes_for_somebody_who_leaves_meanwhile_is_not_possible(standing: World) -> None:
    let(standing, self_service=False)
    row = asked(standing, by=MAX)
    standing.remove(EVE)
    with pytest.raises(Conflict, match="frozen"):
        decide(standing, row, ADA)
    standing.drain()
    assert standing.our_accounts() == []


@pytest.mark.one_database
def test_an_administrator_gives_but_does_not_serve_themself(standing: World) -> None:
    let(standing, self_service=False)
    assert isinstance(ask(standing, EVE, by=ADA), Key)
    with pytest.raises(PolicyViolation, match="without approval"):
        ask(standing, ADA, by=ADA)
    mine = asked(standing, email=ADA, by=ADA)
    with pytest.raises(NotAllowed):
        decide(standing, mine, ADA)
    let(standing, IN_PROJECT, standing.project(PROJECT).id, longest_days=7)
    with pytest.raises(PolicyViolation, match="at most 7 days"):
        ask(standing, EVE, by=ADA, name="long", days=8)


@pytest.mark.one_database
def test_shared_keys_are_no_way_around(standing: World) -> None:
    let(standing, most_keys=1)
    assert isinstance(ask(standing, kind=KeyKind.SHARED), Key)
    assert isinstance(ask(standing), Key), "kinds are counted apart"
    for kind in KeyKind:
        with pytest.raises(PolicyViolation, match="the most per person is 1"):
            ask(standing, name="more", kind=kind)
    assert isinstance(ask(standing, by=ADA, name="an application's", kind=KeyKind.SHARED), Key)


def test_the_policy_names_who_approves(standing: World) -> None:
    project = standing.project(PROJECT).id
    let(standing, self_service=False, approvers=("manager",))
    let(standing, IN_PROJECT, project, approvers=(OLA,))
    row = asked(standing)
    for nobody in (ADA, MAX):
        with pytest.raises(NotAllowed):
            decide(standing, row, nobody)
    assert decide(standing, row, OLA).state is ApprovalState.APPROVED
    with standing.govern.unit_of_work(ADMIN) as uow:
        service.remove_policy(uow, queries.in_force(uow.session, IN_PROJECT)[0].id)
        service.remove_policy(uow, queries.in_force(uow.session)[0].id)
        service.remove_policy(uow, service.set_policy(uow, "", Limits(ORG, "", most_keys=1)).id)
    with standing.govern.unit_of_work.reading() as session:
        assert queries.in_force(session) == []
    assert standing.audited("policy.") == ["policy.set"] * 2 + ["policy.removed"] * 2 + ["policy.set", "policy.removed"]
    # A manager who asks for a report: not themself, so where only the manager is named, an administrator.
    let(standing, self_service=False, approvers=("manager",))
    own = asked(standing, by=MAX, name="for a report")
    with pytest.raises(NotAllowed):
        decide(standing, own, MAX)
    assert decide(standing, own, ADA).state is ApprovalState.APPROVED


@pytest.mark.one_database
def test_a_group_is_who_openai_lists_in_it(standing: World) -> None:
    seat = standing.member(EVE).remote_id
    group_id = make_group(standing, "Contractors", seat)
    run_job(standing.govern, "inventory.sync")
    let(standing, GROUP, group_id, most_keys=1, longest_days=5)
    assert isinstance(ask(standing, days=5), Key)
    with pytest.raises(PolicyViolation, match=r"the most per person is 1 \(the group Contractors\)"):
        ask(standing, name="another")
    assert isinstance(ask(standing, MAX, name="his", days=90), Key), "who is not in it is not concerned"
    with pytest.raises(InvalidInput, match="no such group"):
        let(standing, GROUP, "grp_none", most_keys=1)


def make_group(world: World, name: str, *seats: str) -> str:
    """A group at OpenAI with these members; its id there."""
    headers = {"Authorization": f"Bearer {world.openai.admin_key}"}
    with httpx.Client(
        transport=httpx.WSGITransport(app=world.openai.app), base_url="http://openai.test/v1", headers=headers
    ) as client:
        group_id = str(client.post("/organization/groups", json={"name": name}).json()["id"])
        for seat in seats:
            client.post(f"/organization/groups/{group_id}/users", json={"user_id": seat}).raise_for_status()
    return group_id


@pytest.mark.one_database
def test_a_preview_says_which_keys_a_change_leaves_beyond(standing: World) -> None:
    for number, email in enumerate((EVE, EVE, MAX)):
        ask(standing, email, name=f"key {number}", days=30)
    ask(standing, MAX, name="an application's", kind=KeyKind.SHARED, days=30)
    before = standing.audited()
    with standing.govern.unit_of_work.reading() as session:
        found = preview.of_setting(session, "", Limits(ORG, "the organization", most_keys=1), usual_most_keys=5)
        assert (found.keys, found.before, found.after) == (4, 0, 1)
        assert [each.person for each in found.affected] == ["Eve Employee"]
        life = preview.of_setting(session, "", Limits(ORG, "the organization", longest_days=29), usual_most_keys=5)
        assert (life.before, life.after, len(life.affected)) == (0, 4, 4)
    policy = let(standing, scopes=(WRITE,))
    with standing.govern.unit_of_work.reading() as session:
        ended = preview.of_removal(session, policy, usual_most_keys=5)
        assert (ended.before, ended.after, ended.affected) == (4, 0, ())
    assert standing.audited() == [*before, "policy.set"]
    with standing.govern.unit_of_work(CLI) as uow, pytest.raises(InvalidInput, match="Nobody here"):
        service.set_policy(uow, "", Limits(ORG, "", approvers=("nobody@acme.example",)))
