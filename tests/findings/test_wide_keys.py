"""A key that may do more than the policy allows is found, unless somebody approved exactly that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import service as approvals
from govern.approvals.models import Approval
from govern.bootstrap import Govern
from govern.core.uow import Actor, ActorKind
from govern.policies import asking, service
from govern.policies.models import PolicyScope
from govern.policies.rules import Limits
from govern.worker.runner import run_job
from tests.findings.test_planted_drift import found
from tests.given import ADMIN, EVE, MAX, PROJECT, World

WRITE, FILES = "api.responses.write", "api.files.read"


@pytest.mark.one_database
def test_what_is_wider_than_the_policy_is_found(govern: Govern, world: World, clock: FrozenDateTimeFactory) -> None:
    world.synced()
    wide = world.key(EVE, name="wide")
    world.key(EVE, name="narrow", scopes=(WRITE,))
    world.key(MAX, name="other", scopes=(WRITE, FILES))
    clock.tick(timedelta(minutes=1))
    run_job(govern, "directory.sync")
    run_job(govern, "findings.evaluate")
    assert found(govern, "too_wide") == {}, "no policy says anything"
    with govern.unit_of_work(ADMIN) as uow:
        service.set_policy(uow, world.project(PROJECT).id, Limits(PolicyScope.PROJECT, "", scopes=(FILES,)))
        policy = service.set_policy(uow, "", Limits(PolicyScope.ORGANIZATION, "", scopes=(WRITE,), approvers=(MAX,)))
    eve = world.person(EVE)
    wish = asking.Wish(eve.id, world.project().id, "approved", scopes="all")
    defaults = asking.Defaults(days=30, most_keys=9, generation="auto", waits=timedelta(days=7))
    with govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, "Eve")) as uow:
        row = asking.ask_for_key(uow, wish, defaults, administers=False, reason="it needs all of it")
        assert isinstance(row, Approval)
    decider = world.person(MAX)
    with govern.unit_of_work(Actor(ActorKind.PERSON, decider.id, "Max")) as uow:
        approvals.decide(uow, row.id, by=decider.id, approve=True, reason="it does", acts=govern.acts)
    world.drain()
    clock.tick(timedelta(minutes=1))
    run_job(govern, "directory.sync")
    run_job(govern, "findings.evaluate")
    rows = found(govern, "too_wide")
    assert {label.partition(" ")[0] for label in rows} == {"wide", "other"}
    wide_one = next(finding for label, finding in rows.items() if label.startswith("wide"))
    assert wide_one.sentence.startswith(f"It may do everything; the policy allows {WRITE}")
    assert (wide_one.fix, wide_one.target_id, wide_one.owner_id) == ("revoke_key", wide.id, eve.id)
    world.revoke(wide)
    world.finish(clock)
    with govern.unit_of_work(ADMIN) as uow:
        service.remove_policy(uow, policy.id)
    clock.tick(timedelta(minutes=1))
    run_job(govern, "directory.sync")
    run_job(govern, "findings.evaluate")
    assert found(govern, "too_wide") == {}
