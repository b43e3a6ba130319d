"""Asking and deciding: the yes and the act are one, nobody says yes to themselves, what a leaver asked for freezes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import queries, service
from govern.approvals.effects import Tell
from govern.approvals.models import Approval, ApprovalState
from govern.core.errors import Conflict, InvalidInput, NotAllowed, PolicyViolation
from govern.core.outbox import Effect
from govern.core.uow import Actor, ActorKind, UnitOfWork
from govern.notify.email import Email
from govern.people.models import Person
from govern.worker.runner import run_job
from tests.given import ADA, EVE, MAX, OLA, claimed
from tests.peers.mail import mail_sink
from tests.web.conftest import CLI, Door

WEEK = timedelta(days=7)


@pytest.fixture
def acted() -> list[str]:
    return []


@pytest.fixture
def acts(acted: list[str]) -> dict[str, service.Act]:
    def rename(uow: UnitOfWork, row: Approval) -> str:
        person = uow.session.get_one(Person, row.facts["person"])
        person.name = str(row.facts["name"])
        acted.append(row.id)
        return person.id

    def fail(uow: UnitOfWork, row: Approval) -> str:
        rename(uow, row)
        raise PolicyViolation("No longer possible.", "a_rule")

    return {"person.rename": rename, "person.fail": fail}


Ask = Callable[..., Approval]


@pytest.fixture
def ask(door: Door) -> Ask:
    def asking(email: str = EVE, *, kind: str = "person.rename", by: Actor | None = None, **more) -> Approval:
        person = door.world.person(email)
        actor = by or Actor(ActorKind.PERSON, person.id, person.name)
        asked = {"for_person_id": person.id, "lifetime": WEEK, "reason": "because I need it"} | more
        with door.govern.unit_of_work(actor) as uow:
            return service.ask(
                uow, kind, ("people", person.id), summary="A new name", facts={"person": person.id, "name": "Renamed"}, **asked
            )

    return asking


def decide(door: Door, row: Approval, email: str, acts: dict[str, service.Act], *, approve: bool = True) -> Approval:
    person = door.world.person(email)
    with door.govern.unit_of_work(Actor(ActorKind.PERSON, person.id, person.name)) as uow:
        return service.decide(uow, row.id, by=person.id, approve=approve, reason="seen and checked", acts=acts)


@pytest.mark.one_database
def test_a_yes_carries_it_out_in_the_same_transaction(door: Door, ask: Ask, acts, acted) -> None:
    row = ask()
    done = decide(door, row, ADA, acts)
    assert (done.state, done.result_id, done.decided_person_id) == (
        ApprovalState.APPROVED, door.world.person(EVE).id, door.world.person(ADA).id,
    )  # fmt: skip
    assert door.world.person(EVE).name == "Renamed"
    with pytest.raises(Conflict, match="approved already"):
        decide(door, row, ADA, acts)
    assert acted == [row.id]
    assert door.world.audited("approval.") == ["approval.asked", "approval.approved"]
    assert door.world.audit_holds()


@pytest.mark.one_database
def test_an_act_that_fails_takes_the_yes_back_with_it(door: Door, ask: Ask, acts) -> None:
    row, name = ask(kind="person.fail"), door.world.person(EVE).name
    with pytest.raises(PolicyViolation):
        decide(door, row, ADA, acts)
    assert door.world.reload(row).state is ApprovalState.PENDING
    assert door.world.person(EVE).name == name
    assert decide(door, row, ADA, acts, approve=False).state is ApprovalState.DENIED
    assert door.world.person(EVE).name == name
    with pytest.raises(Conflict, match="knows nothing called"):
        decide(door, ask(kind="person.unknown"), ADA, acts)


@pytest.mark.one_database
def test_nobody_decides_for_themselves_not_even_through_a_token(door: Door, ask: Ask, acts, acted) -> None:
    """Ada is an administrator. What she asks for, herself or through a token that she made for another, is not hers to decide."""
    ada, ola = door.world.person(ADA), door.world.person(OLA)
    mine = ask(ADA)
    with pytest.raises(NotAllowed, match="asked for this yourself"):
        decide(door, mine, ADA, acts)
    admin = door.api("admin")
    system = admin.post(
        "/tokens", {"name": "robot", "permissions": ["approvals:write"], "expires_in_days": 1, "system": True}
    ).get_json()
    made = admin.post(
        "/tokens", {"name": "for Ola", "permissions": ["approvals:read"], "expires_in_days": 1, "person": OLA}
    ).get_json()
    for actor in (
        Actor(ActorKind.TOKEN, system["id"], "robot", through=system["id"]),
        Actor(ActorKind.TOKEN, ola.id, "Ola's", through=made["id"]),
    ):
        asked = ask(EVE, by=actor, for_person_id=None)
        with pytest.raises(NotAllowed, match="asked for this yourself"):
            decide(door, asked, ADA, acts)
    # Deciding as Ola, named to decide, by the token that Ada made for her.
    named = ask(ADA, for_person_id=None, approvers=[ola.id])
    with (
        pytest.raises(NotAllowed, match="asked for this yourself"),
        door.govern.unit_of_work(Actor(ActorKind.TOKEN, ola.id, "Ola's", through=made["id"])) as uow,
    ):
        service.decide(uow, named.id, by=ola.id, approve=True, reason="yes yes", acts=acts)
    assert named.requested_person_id == ada.id
    assert acted == []
    decide(door, named, OLA, acts)
    assert acted == [named.id]


def test_the_same_asking_is_one(door: Door, ask: Ask) -> None:
    first = ask(mark="eve/name")
    assert ask(mark="eve/name").id == first.id
    with door.govern.unit_of_work(Actor(ActorKind.PERSON, first.requested_by, "Eve")) as uow:
        assert service.withdraw(uow, first.id).state is ApprovalState.WITHDRAWN
        assert service.withdraw(uow, first.id).state is ApprovalState.WITHDRAWN
    assert ask(mark="eve/name").id != first.id
    with pytest.raises(InvalidInput):
        ask(reason="  ")
    facts = {"value": "sk-proj-" + "a" * 40}
    with pytest.raises(ValueError, match="secret"), door.govern.unit_of_work(CLI) as uow:
        service.ask(uow, "person.rename", ("people", "x"), summary="x", facts=facts, reason="because", lifetime=WEEK)


@pytest.mark.one_database
def test_what_waits_too_long_expires(clock: FrozenDateTimeFactory, door: Door, ask: Ask, acts) -> None:
    row = ask(mark="once")
    clock.tick(WEEK)
    with pytest.raises(Conflict, match="expired"):
        decide(door, row, ADA, acts)
    again = ask(mark="once")
    assert door.world.reload(row).state is ApprovalState.EXPIRED
    clock.tick(WEEK)
    assert run_job(door.govern, "approvals.expire")
    assert door.world.reload(again).state is ApprovalState.EXPIRED


def test_a_removal_freezes_what_the_leaver_asked_for_and_what_is_for_them(door: Door, ask: Ask, acts) -> None:
    eve, max_ = door.world.person(EVE), door.world.person(MAX)
    own, for_eve = ask(EVE), ask(MAX, for_person_id=eve.id)
    named, others = ask(MAX, approvers=[eve.id], permission=None), ask(MAX)
    door.world.remove(EVE)
    states = [door.world.reload(row).state for row in (own, for_eve, named, others)]
    assert states == [ApprovalState.FROZEN, ApprovalState.FROZEN, ApprovalState.PENDING, ApprovalState.PENDING]
    with pytest.raises(Conflict, match="frozen already"):
        decide(door, own, ADA, acts)
    with pytest.raises(NotAllowed, match="with the company"):
        decide(door, named, EVE, acts)
    decide(door, named, ADA, acts)  # the only one who was named has left, so an administrator decides
    assert door.world.reload(max_).name == "Renamed"


def test_those_who_decide_are_told_and_so_is_the_asker(door: Door, ask: Ask, acts) -> None:
    with mail_sink() as mails:
        mail = Email(mails.host, mails.port, "none", "govern@acme.example", None, None)
        tell = Tell(door.govern.unit_of_work, mail, "http://govern.test", (ADA,))
        row = ask(EVE, approvers=[door.world.person(MAX).id])
        tell(claimed(door.world, "approval.tell"))
        decide(door, row, MAX, acts)
        tell(claimed(door.world, "approval.tell"))
        other = ask(OLA)
        tell(claimed(door.world, "approval.tell"))
        got = [(mail["To"], mail["Subject"]) for mail in mails.messages]
    assert got == [
        (MAX, "Eve Employee asks for your approval"), (EVE, "What you asked for is approved"),
        (ADA, "Ola Auditor asks for your approval"),
    ]  # fmt: skip
    with door.govern.unit_of_work.reading() as session:
        open_ones = session.scalars(sa.select(Effect).where(Effect.kind == "approval.tell", Effect.state == "ready")).all()
        assert open_ones == []
        assert queries.waiting_for(
            session, door.world.person(ADA).id, queries.held_by(session, door.world.person(ADA).id), other.asked_at
        )
