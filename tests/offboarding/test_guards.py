"""Which owners there are to go on with: the same answer for a removal, a suspension and a list."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from govern.core.errors import PolicyViolation
from govern.members.models import Member
from govern.offboarding import guards, queries, service, suspending
from tests.given import ADA, ADMIN, OLA, World


def owner(world: World, remote_id: str, email: str | None) -> Member:
    """Another owner's seat, of nobody whom we know."""
    with world.govern.unit_of_work(ADMIN) as uow:
        seat = Member(
            id=uow.new_id("mem"), remote_id=remote_id, email=email, name="Owner", role="owner", is_service_account=False,
            added_at=uow.now, first_seen_at=uow.now, last_seen_at=uow.now,
        )  # fmt: skip
        uow.session.add(seat)
    return seat


def stays(world: World, *going: Member) -> bool:
    """Whether somebody would be left if Ada went, and these with her."""
    with world.govern.unit_of_work.reading() as session:
        try:
            guards.check_may_go(session, queries.subject_of(session, ADA), {seat.id for seat in going})
        except PolicyViolation as refusal:
            return refusal.rule != "last_owner"
    return True


def test_who_counts_as_an_owner_to_go_on_with(known: World) -> None:
    assert not stays(known)
    nameless = owner(known, "user_nameless", None)  # OpenAI need not tell an address
    assert stays(known)
    assert not stays(known, nameless)
    with known.govern.unit_of_work(ADMIN) as uow:
        service.start(uow, "user_nameless", reason="a seat that nobody knows")
    assert not stays(known), "it is being removed, though its seat is still there"
    early = owner(known, "user_early", "back@acme.example")
    assert stays(known)
    with known.govern.unit_of_work(ADMIN) as uow:
        service.start(uow, early.id, reason="they leave as well")
    assert not stays(known)
    owner(known, "user_late", "back@acme.example")  # an invite to the same address was accepted meanwhile
    assert not stays(known)
    with pytest.raises(PolicyViolation):
        known.remove(ADA)


def test_of_two_owners_who_go_at_the_same_moment_one_stays(known: World) -> None:
    """Each alone could go: the one who is second has to see that the first is going."""
    known.openai.org.tables.users[known.member(OLA).remote_id].role = "owner"
    known.synced()
    start = threading.Barrier(2)

    def go(email: str) -> str:
        start.wait()
        try:
            if email == ADA:
                return known.remove(email).state.value
            with known.govern.unit_of_work(ADMIN) as uow:
                return suspending.suspend(uow, email, reason="a long holiday", generation="auto").state.value
        except PolicyViolation as refusal:
            return refusal.rule

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(go, (ADA, OLA))) & {"last_owner"}) == 1
