"""Suspending is the gentler verb: everything stops that can, nothing ends, and all of it is given back exactly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.approvals import service as approvals
from govern.approvals.models import ApprovalState
from govern.core.errors import Conflict, InvalidInput, NotAllowed, NotFound, PolicyViolation
from govern.core.uow import Actor, ActorKind
from govern.identity import service as identity
from govern.identity.permissions import Role
from govern.identity.rules import ProvenIdentity, SignInPolicy
from govern.keys import freezing
from govern.keys.freezing import FROZEN_SCOPES
from govern.keys.models import KeyState
from govern.offboarding import preview as previews
from govern.offboarding import queries, suspending
from govern.offboarding.models import KeyFate, OffboardingState, Suspension, SuspensionState
from govern.people.models import PersonState
from tests.given import ADA, ADMIN, EVE, MAX, OLA, PROJECT, World

POLICY = SignInPolicy("groups", {Role.EMPLOYEE: ["*"], Role.ADMIN: ["admins"]}, ["acme.example"])


def suspend(world: World, who: str = EVE, *, fate: KeyFate = KeyFate.FREEZE, generation: str = "auto") -> Suspension:
    with world.govern.unit_of_work(ADMIN) as uow:
        return suspending.suspend(uow, who, reason="on leave until June", generation=generation, fate=fate)


def resume(world: World, who: str = EVE) -> Suspension:
    with world.govern.unit_of_work(ADMIN) as uow:
        return suspending.resume(uow, who, reason="back from leave")


def sign_in(world: World, email: str = EVE) -> None:
    proven = ProvenIdentity("https://idp.example", f"sub-{email}", None, email, True, email, ("",))
    with world.govern.unit_of_work(ADMIN) as uow:
        identity.sign_in(uow, proven, POLICY)


def scopes(world: World) -> dict[str, tuple[str, ...]]:
    return {key.id: key.scopes for key in world.native_keys()}


def test_everything_stops_and_comes_back_as_it_was(known: World, clock: FrozenDateTimeFactory) -> None:
    sign_in(known)
    key = known.key(project=PROJECT)
    own, _ = known.openai.make_personal_key(EVE, PROJECT)
    narrow, _ = known.openai.make_personal_key(EVE, PROJECT)
    known.govern.need_outside().scopes.put(known.project(PROJECT).remote_id, narrow, ("api.responses.write",))
    other = known.key(MAX, project=PROJECT)
    stopped = known.key(name="stopped before", project=PROJECT)
    known.synced()
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_key(uow, stopped.id, reason="a scare", generation="auto")
    known.finish(clock)
    before, mine = scopes(known), {known.version(key).remote_id, own}
    row = suspend(known)
    assert known.person(EVE).state is PersonState.SUSPENDED
    assert suspend(known).id == row.id
    with pytest.raises(NotAllowed, match="suspended"):
        sign_in(known)
    with pytest.raises(PolicyViolation, match="suspended"):
        known.requested_key(name="another")
    known.finish(clock)
    after = scopes(known)
    assert {id_ for id_ in before if before[id_] != after[id_]} == {*mine, narrow} - {None}
    assert all(after[id_ or ""] == FROZEN_SCOPES for id_ in (*mine, narrow))
    assert known.openai.oracle().members() != []
    assert EVE in {place.email for place in known.openai.oracle().project_users()}
    assert known.reload(key).state is known.reload(other).state is KeyState.LIVE
    row = resume(known)
    assert (row.state, row.remains) == (SuspensionState.RESUMED, [])
    known.finish(clock)
    assert scopes(known) == before
    assert before[known.version(stopped).remote_id or ""] == FROZEN_SCOPES, "a freeze of somebody else's stays"
    assert known.person(EVE).state is PersonState.ACTIVE
    sign_in(known)
    assert resume(known).id == row.id
    assert known.key(name="after").state is KeyState.LIVE
    assert [action for action in known.audited("member.") if "susp" in action or "resum" in action] == [
        "member.suspended", "member.resumed",
    ]  # fmt: skip
    assert known.audit_holds()


@pytest.mark.one_database
def test_a_suspended_person_is_removed_straight_away(known: World, clock: FrozenDateTimeFactory) -> None:
    value = known.peek(known.key(project=PROJECT))
    row = suspend(known)
    known.finish(clock)
    removal = known.remove(EVE)
    assert known.reload(row).state is SuspensionState.REMOVED
    known.finish(clock)
    assert known.reload(removal).state is OffboardingState.DONE
    assert not known.openai.oracle().authenticates(value)
    assert known.person(EVE).state is PersonState.LEFT
    with pytest.raises(Conflict):
        resume(known)
    with pytest.raises(Conflict, match="has left"):
        suspend(known)


def test_where_keys_cannot_be_frozen_it_says_so_and_offers_what_it_can(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key(project=PROJECT)
    with pytest.raises(Conflict, match="cannot be frozen"):
        suspend(known, generation="2026-08")
    assert known.person(EVE).state is PersonState.ACTIVE
    with known.govern.unit_of_work.reading() as session:
        would = suspending.preview(session, EVE, actor_id=ADMIN.id, generation="2026-08")
    assert suspending.CANNOT in would.remains
    row = suspend(known, fate=KeyFate.LEAVE, generation="2026-08")
    assert "1 keys go on working, as was chosen." in row.remains
    known.finish(clock)
    assert known.reload(key).state is KeyState.LIVE
    resume(known)
    row = suspend(known, fate=KeyFate.REVOKE, generation="2026-08")
    known.finish(clock)
    assert (row.revoked, known.reload(key).state) == ([key.id], KeyState.REVOKED)


@pytest.mark.one_database
def test_a_promise_is_taken_back(known: World, clock: FrozenDateTimeFactory) -> None:
    asked = known.requested_key()
    suspend(known)
    known.finish(clock)
    assert known.reload(asked).state is KeyState.ABORTED
    assert known.our_accounts() == []
    assert known.owed() == []


def test_sessions_end_and_what_waits_stands_still(known: World, clock: FrozenDateTimeFactory) -> None:
    eve = known.person(EVE)
    with known.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, "Eve")) as uow:
        asked = approvals.ask(
            uow, "key.request", ("keys", "key_1"), summary="a key for Eve", facts={}, reason="for the search",
            lifetime=timedelta(days=2), approvers=[known.person(MAX).id],
        )  # fmt: skip
    suspend(known)
    assert known.audited("person.access_ended") == ["person.access_ended"]
    clock.tick(timedelta(days=3))
    with known.govern.unit_of_work(ADMIN) as uow:
        assert approvals.expire_due(uow) == {"expired": 0}
    with pytest.raises(Conflict, match="suspended"), known.govern.unit_of_work(ADMIN) as uow:
        approvals.decide(uow, asked.id, by=known.person(MAX).id, approve=True, reason="", acts={})
    resume(known)
    again = known.reload(asked)
    assert (again.state, again.expires_at - asked.expires_at) == (ApprovalState.PENDING, timedelta(days=3))


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("who", "error"), [(ADA, PolicyViolation), ("nobody@acme.example", NotFound), ("guest@acme.example", Conflict)]
)
def test_who_cannot_be_suspended(known: World, who: str, error: type[Exception]) -> None:
    """The last owner, nobody, and an invite with nobody behind it yet."""
    known.invite("guest@acme.example")
    with pytest.raises(error):
        suspend(known, who)
    with pytest.raises(InvalidInput), known.govern.unit_of_work(ADMIN) as uow:
        suspending.suspend(uow, EVE, reason="", generation="auto")
    eve = known.person(EVE)
    with (
        pytest.raises(PolicyViolation, match="themselves"),
        known.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, "Eve")) as uow,
    ):
        suspending.suspend(uow, EVE, reason="holiday", generation="auto")
    with pytest.raises(Conflict, match="is not suspended"):
        resume(known)


def test_an_owner_who_is_suspended_or_leaving_does_not_count_as_one_to_go_on_with(known: World) -> None:
    """Otherwise the last owner at work could be removed while the other one cannot even sign in."""
    for email in (MAX, OLA):
        known.openai.org.tables.users[known.member(email).remote_id].role = "owner"
    known.synced()
    suspend(known, MAX)
    known.remove(OLA)
    with pytest.raises(PolicyViolation) as caught:
        known.remove(ADA)
    assert caught.value.rule == "last_owner"
    with known.govern.unit_of_work.reading() as session:
        assert "Make somebody else an owner" in (previews.preview(session, ADA, known.person(ADA).created_at).refused or "")
        assert previews.preview(session, MAX, known.person(ADA).created_at).refused is None
        assert queries.open_suspension(session, known.person(MAX).id) is not None
    known.remove(MAX)
