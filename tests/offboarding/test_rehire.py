"""Somebody who comes back begins anew: whatever they could do before stays ended, whoever gave it to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import service as approvals
from govern.approvals.models import ApprovalState
from govern.core.clock import utcnow
from govern.core.crypto import Secret, new_token
from govern.core.errors import Conflict, NotAllowed
from govern.core.uow import Actor, ActorKind, UnitOfWork
from govern.evidence import queries as evidence
from govern.evidence import rules as signatures
from govern.identity import devices, service, tokens
from govern.identity import queries as identity
from govern.identity.permissions import Role
from govern.identity.rules import DeviceLimits, ProvenIdentity, SignInPolicy
from govern.keys import queries as keys
from govern.keys import reveals, sharing
from govern.keys import service as key_service
from govern.keys.models import KeyKind, KeyState
from govern.members import service as members
from govern.members import sync
from govern.members.models import InviteState
from govern.offboarding.models import Offboarding
from govern.people.models import PersonState
from tests.given import ADMIN, EVE, MAX, PROJECT, World

LIMITS = DeviceLimits(*(timedelta(days=days) for days in (200, 0, 200, 200, 300)))
POLICY = SignInPolicy("groups", {Role.EMPLOYEE: ["*"]}, ["acme.example"])


def sign_in(world: World) -> Secret:
    proven = ProvenIdentity("https://idp.example", "sub-eve", None, EVE, True, "Eve", ("",))
    with world.govern.unit_of_work(ADMIN) as uow:
        return service.sign_in(uow, proven, POLICY)


def evidence_of(world: World, removal: Offboarding) -> bytes:
    """The signed file of a removal, whose signature holds."""
    with world.govern.unit_of_work.reading() as session:
        file = evidence.get(session, removal.evidence_id).file.encode()
        signatures.check(file, signatures.read_public(evidence.public_key(session).public_pem.encode()))
    return file


def session_is_good(world: World, cookie: Secret) -> bool:
    with world.govern.unit_of_work.reading() as session:
        return identity.principal_of_session(session, world.govern.box, cookie.reveal(), utcnow()) is not None


def device(uow: UnitOfWork, person_id: str) -> tuple[Secret, Secret]:
    """A device of theirs, and the code of another one that was approved and not collected: (access token, device code)."""
    access, codes = new_token(identity.ACCESS_PREFIX), []
    for name in ("laptop", "server"):
        typed, polled = devices.new_user_code(uow), devices.new_device_code()
        codes.append(polled)
        code = devices.begin(
            uow, LIMITS, client_id="govern", name=name, permissions=["keys:read"], device_code=polled, user_code=typed
        )
        devices.decide(uow, person_id, typed, approve=True)
        if name == "laptop":
            devices.establish(uow, LIMITS, code, access=access, refresh=new_token(identity.REFRESH_PREFIX))
    assert identity.principal_of_device(uow.session, uow.box, access.reveal(), uow.now) is not None
    return access, codes[1]


def test_no_old_right_revives(known: World, clock: FrozenDateTimeFactory) -> None:
    eve, max_ = known.person(EVE), known.person(MAX)
    old_cookie = sign_in(known)
    with known.govern.unit_of_work.reading() as session:
        found = identity.principal_of_session(session, known.govern.box, old_cookie.reveal(), utcnow())
    assert found is not None
    with known.govern.unit_of_work(ADMIN) as uow:
        _, old_token = tokens.create_token(
            uow, found[0], name="script", permissions=["self:read"], lifetime=timedelta(days=300), person_id=eve.id
        )
        shared = key_service.request_key(
            uow, max_.id, known.project(PROJECT).id, name="backend", lifetime=timedelta(days=300), most_per_person=5,
            kind=KeyKind.SHARED,
        )  # fmt: skip
        sharing.entitle(uow, shared.id, eve.id)
    known.drain()
    with known.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, "Eve")) as uow:
        waiting = approvals.ask(
            uow, "key.request", ("keys", "key_1"), summary="a key", facts={}, reason="for the search",
            lifetime=timedelta(days=200), approvers=[max_.id],
        )  # fmt: skip
        access, uncollected = device(uow, eve.id)
    old_key = known.key(project=PROJECT)
    old_value = known.peek(old_key)

    before = known.remove(EVE)
    known.finish(clock)
    assert known.person(EVE).state is PersonState.LEFT
    before = known.reload(before)
    proof = evidence_of(known, before)
    with pytest.raises(NotAllowed):
        sign_in(known)
    clock.tick(timedelta(days=1))
    invite = known.invite(EVE, "reader", (PROJECT, "member"))
    known.drain()
    known.openai.accept_invite(EVE)
    sync.run(known.govern.unit_of_work, known.govern.need_outside().directory)

    back = known.person(EVE)
    assert (back.id, back.state, back.generation) == (eve.id, PersonState.ACTIVE, eve.generation + 1)
    new_cookie = sign_in(known)
    assert (session_is_good(known, new_cookie), session_is_good(known, old_cookie)) == (True, False)
    with known.govern.unit_of_work.reading() as session:
        assert identity.principal_of_token(session, known.govern.box, old_token.reveal(), utcnow()) is None
        assert back.id not in keys.entitled_people(session, shared.id)
        assert [version.number for version in keys.versions_of(session, shared.id)] == [1]  # never opened, so never rotated
    with pytest.raises((NotAllowed, Conflict)), known.govern.unit_of_work(Actor(ActorKind.PERSON, back.id, "Eve")) as uow:
        reveals.reveal(uow, shared.id, repeat_key=None, window=timedelta(0))
    with pytest.raises(Conflict, match="frozen"), known.govern.unit_of_work(ADMIN) as uow:
        approvals.decide(uow, waiting.id, by=max_.id, approve=True, reason="", acts={})
    assert known.reload(waiting).state is ApprovalState.FROZEN
    with known.govern.unit_of_work(ADMIN) as uow:
        assert identity.principal_of_device(uow.session, known.govern.box, access.reveal(), utcnow()) is None
        code = devices.code_of(uow, uncollected.reveal())
        assert code is None or not code.approved
    assert known.reload(old_key).state is KeyState.REVOKED
    assert not known.openai.oracle().authenticates(old_value)
    assert known.reload(invite).state is InviteState.ACCEPTED
    # A new removal is one of its own, with evidence of its own.
    later = known.remove(EVE, "left again")
    known.finish(clock)
    later = known.reload(later)
    assert later.id != before.id
    assert later.evidence_id not in (None, before.evidence_id)
    # The proof of the removal before stays what it was.
    assert known.reload(before).evidence_id == before.evidence_id
    assert evidence_of(known, before) == proof
    assert evidence_of(known, later) != proof


@pytest.mark.one_database
def test_an_offer_made_before_they_left_is_not_taken_up_after(known: World, clock: FrozenDateTimeFactory) -> None:
    offered = known.invite("nina@acme.example", "owner")
    known.drain()
    known.remove("nina@acme.example")
    known.finish(clock)
    with pytest.raises(LookupError):
        known.openai.accept_invite("nina@acme.example")
    assert known.reload(offered).state is InviteState.CANCELLED
    with known.govern.unit_of_work(ADMIN) as uow:
        again = members.invite(uow, "nina@acme.example", "reader", [])
    known.drain()
    assert (again.id != offered.id, known.reload(again).role) == (True, "reader")
