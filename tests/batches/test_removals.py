"""Many removals: an outcome for each, nobody twice, and beyond a number a second admin."""

from __future__ import annotations

from datetime import timedelta

import pytest

from govern.approvals.models import ApprovalState
from govern.batches.effects import Run
from govern.batches.models import BatchKind, RowState
from govern.core.errors import Conflict, InvalidInput, NotAllowed
from govern.offboarding.models import OffboardingState
from govern.people.models import PersonState
from govern.worker.runner import run_job
from tests.batches.conftest import Lists
from tests.given import ADA, EVE, MAL, MAX, OLA, claimed

THREE = f"{EVE}\n{MAX}\n{MAL}"


@pytest.mark.one_database
def test_an_outcome_for_each_and_the_same_evidence_when_sent_twice(lists: Lists) -> None:
    version = lists.world.version(lists.world.key(EVE))
    earlier = lists.world.remove(MAX)
    lists.world.finish(lists.clock)
    text = f"{EVE}\n{MAX}\nstranger@acme.example\n{ADA}\n{EVE}\nno address@\n{lists.world.person(MAL).id}"
    planned = {each.line.who: (each.state, each.keys) for each in lists.plan(text)}
    assert planned[EVE] == (RowState.REPEATED, 0) or planned[EVE][0] is RowState.REPEATED
    assert [each.keys for each in lists.plan(EVE)] == [1]
    batch = lists.send(text)
    told = {told.row.line: told for told in lists.told(batch)}
    assert [told[line].row.state for line in sorted(told)] == [
        RowState.STARTED, RowState.ALREADY, RowState.UNKNOWN, RowState.REFUSED, RowState.REPEATED, RowState.INVALID,
        RowState.STARTED,
    ]  # fmt: skip
    assert told[2].evidence_id == lists.world.reload(earlier).evidence_id is not None
    assert "yourself" in (told[4].row.sentence or "") or "you" in (told[4].row.sentence or "")
    lists.world.finish(lists.clock)
    assert lists.world.reload(batch).finished_at is not None
    first = lists.told(batch)[0]
    assert (first.progress, first.evidence_id is not None) == ("done", True)
    assert version.remote_id not in [key.id for key in lists.world.native_keys()]
    started = {removal.id: removal.started_by for removal in lists.removals()}
    assert started[first.row.subject_id or ""] == lists.world.person(ADA).id
    again = lists.send(text)
    assert again.id != batch.id
    assert [each.evidence_id for each in lists.told(again)[:2]] == [first.evidence_id, told[2].evidence_id]
    assert lists.outcomes(again)[MAX] is RowState.ALREADY
    assert len(lists.removals()) == 3
    assert lists.world.audit_holds()


@pytest.mark.one_database
def test_the_same_list_sent_while_it_is_open_is_the_same_batch(lists: Lists) -> None:
    batch = lists.send(THREE, drain=False)
    assert lists.send(f"{MAL} {EVE} {MAX}", drain=False).id == batch.id
    assert lists.send(THREE, reason="another one", drain=False).id != batch.id
    lists.world.drain()
    assert len(lists.removals()) == 3
    with pytest.raises(InvalidInput):
        lists.send(THREE, reason="")


@pytest.mark.one_database
def test_beyond_the_number_all_are_contained_and_the_rest_waits_for_somebody_else(lists: Lists) -> None:
    lists.alone = 1
    lists.door.sign_in(OLA, "admins")
    version = lists.world.version(lists.world.key(MAX))
    batch = lists.send(THREE)
    assert lists.outcomes(batch) == {EVE: RowState.STARTED, MAX: RowState.HELD, MAL: RowState.HELD}
    assert lists.world.person(EVE).state is PersonState.LEFT
    assert {lists.world.person(email).state for email in (MAX, MAL)} == {PersonState.LEAVING}
    assert [removal.email for removal in lists.removals()] == [EVE]
    assert version.remote_id in [key.id for key in lists.world.native_keys()]
    # A second list does not get around the number, and the first one's rest is not begun by it.
    assert lists.outcomes(lists.send(f"{OLA}")) == {OLA: RowState.HELD}
    with pytest.raises(NotAllowed):
        lists.decide(batch, ADA, approve=True)
    with pytest.raises(NotAllowed):
        lists.decide(batch, OLA, approve=True)  # held herself by the second list


def test_a_yes_removes_whom_it_held(lists: Lists) -> None:
    lists.alone = 1
    lists.door.sign_in(OLA, "admins")
    batch = lists.send(THREE)
    lists.clock.tick(timedelta(minutes=5))
    lists.decide(batch, OLA, approve=True)
    lists.world.finish(lists.clock)
    assert set(lists.outcomes(batch).values()) == {RowState.STARTED}
    assert {removal.state for removal in lists.removals()} == {OffboardingState.DONE}
    assert {removal.started_by for removal in lists.removals()} == {lists.world.person(ADA).id}, "who asked, not who approved"
    assert lists.world.reload(batch).finished_at is not None
    with pytest.raises(Conflict):
        lists.decide(batch, OLA, approve=True)


@pytest.mark.parametrize("how", ["denied", "expired"])
def test_whom_nobody_approves_may_sign_in_again(lists: Lists, how: str) -> None:
    lists.alone = 0
    lists.door.sign_in(OLA, "admins")
    cookie = lists.door.sign_in(EVE)
    batch, other = lists.send(THREE), lists.send(f"{MAX}\n{EVE}", reason="another list")
    removal = lists.world.remove(MAL)
    if how == "denied":
        lists.decide(batch, OLA, approve=False)
    else:
        lists.clock.tick(timedelta(days=8))
        run_job(lists.door.govern, "approvals.expire")
    run_job(lists.door.govern, "batches.follow")
    assert set(lists.outcomes(batch).values()) == {RowState.REFUSED}
    assert lists.approval(batch).state is ApprovalState(how)
    assert lists.world.person(MAL).state is not PersonState.ACTIVE, "their own removal goes on"
    if how == "denied":
        assert lists.world.person(EVE).state is PersonState.LEAVING, "the other list holds them still"
        lists.decide(other, OLA, approve=False)
        run_job(lists.door.govern, "batches.follow")
    assert {lists.world.person(email).state for email in (EVE, MAX)} == {PersonState.ACTIVE}
    assert lists.door.sign_in(EVE)
    with pytest.raises(AssertionError):
        lists.door.principal(cookie)  # what ended stays ended
    assert [each.id for each in lists.removals()] == [removal.id]


def test_somebody_stays_who_can_manage_the_organization(lists: Lists) -> None:
    """Each owner alone could go; both cannot, also where one of them only waits for an approval."""
    lists.world.openai.org.tables.users[lists.world.member(OLA).remote_id].role = "owner"
    lists.world.synced()
    with lists.door.govern.unit_of_work(lists.actor(MAX)) as uow:
        from govern.batches import rules, service

        lines = rules.read(BatchKind.REMOVE, f"{ADA}\n{OLA}")
        batch = service.begin(uow, BatchKind.REMOVE, lines, reason="both owners", limits=lists.limits())
    lists.world.drain()
    assert lists.outcomes(batch) == {ADA: RowState.STARTED, OLA: RowState.REFUSED}


@pytest.mark.one_database
def test_a_worker_that_comes_back_late_does_nothing_twice(lists: Lists) -> None:
    lists.send(THREE, drain=False)
    claim = claimed(lists.world, "batch.run")
    lists.clock.tick(timedelta(minutes=5))
    lists.world.drain()
    from govern.core.outbox import ClaimLost

    with pytest.raises(ClaimLost):
        Run(lists.door.govern.unit_of_work)(claim)
    assert len(lists.removals()) == 3
