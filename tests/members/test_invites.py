"""Inviting: a seat offered once, adopted when it is there already, and never two pending for one address."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core import outbox
from govern.core.errors import Conflict, GovernError, InvalidInput, NotFound
from govern.members import queries, service, sync
from govern.members.models import Invite, InviteState
from govern.people.models import PersonState
from govern.ports import ProjectGrant
from tests.given import ADMIN, EVE, PROJECT, World, claimed

NEW = "nina@acme.example"
CREATE, LIST, DELETE = "invites.create", "invites.list", "invites.delete"


def cancel(world: World, invite: Invite) -> Invite:
    with world.govern.unit_of_work(ADMIN) as uow:
        return service.cancel_invite(uow, invite.id)


def resend(world: World, invite: Invite) -> Invite:
    with world.govern.unit_of_work(ADMIN) as uow:
        return service.resend_invite(uow, invite.id)


def pending(world: World) -> list[str]:
    return [invite.id for invite in world.openai.oracle().invites() if invite.status == "pending"]


def pull(world: World) -> dict[str, int]:
    return sync.run(world.govern.unit_of_work, world.govern.need_outside().directory)


class TestAsking:
    @pytest.mark.one_database
    def test_promises_and_calls_nobody(self, known: World) -> None:
        before = len(known.calls())
        invite = known.invite("  Nina@ACME.example ", "reader", (PROJECT, "member"))
        assert len(known.calls()) == before
        assert (invite.email, invite.state) == (NEW, InviteState.REQUESTED)
        assert invite.projects == [{"id": known.project(PROJECT).remote_id, "role": "member"}]
        assert [effect.kind for effect in known.owed()] == ["invite.send"]
        assert known.audited("invite.") == ["invite.requested"]

    @pytest.mark.one_database
    @pytest.mark.parametrize("email", ["", "nina", "nina@", "@acme.example", "nina@acme", "a b@acme.example", "a\n@acme.example",
                                       "<nina@acme.example>", f"{'n' * 320}@acme.example"])  # fmt: skip
    def test_what_is_no_address_is_refused(self, known: World, email: str) -> None:
        with pytest.raises(InvalidInput):
            known.invite(email)
        assert known.owed() == []

    @pytest.mark.one_database
    def test_a_member_a_second_invite_and_an_unknown_project_are_refused(self, known: World) -> None:
        with pytest.raises(Conflict, match="member already"):
            known.invite(EVE.upper())
        known.invite(NEW)
        with pytest.raises(Conflict, match="open invite"):
            known.invite(NEW.upper())
        with pytest.raises(NotFound), known.govern.unit_of_work(ADMIN) as uow:
            service.invite(uow, "other@acme.example", "reader", [("prj_x", "member")])
        assert known.audited("invite.") == ["invite.requested"]

    def test_of_many_who_invite_the_same_address_one_wins(self, known: World) -> None:
        start = threading.Barrier(5)

        def ask(_number: int) -> str:
            start.wait()
            try:
                return known.invite(NEW).id
            except GovernError as error:
                return error.code

        with ThreadPoolExecutor(5) as pool:
            answers = sorted(pool.map(ask, range(5)))
        assert answers[:4] == ["conflict"] * 4
        assert answers[4].startswith("inv_")
        known.drain()
        assert len(pending(known)) == 1


@pytest.mark.one_database
class TestSending:
    def test_offers_the_seat_with_exactly_these_projects(self, known: World) -> None:
        invite = known.invite(NEW, "owner", (PROJECT, "owner"))
        known.drain()
        [remote] = known.openai.oracle().invites()
        assert (remote.email, remote.role) == (NEW, "owner")
        assert remote.projects == ((known.project(PROJECT).remote_id, "owner"),)
        invite = known.reload(invite)
        assert (invite.state, invite.remote_id) == (InviteState.PENDING, remote.id)
        assert invite.expires_at is not None
        assert known.audited("invite.") == ["invite.requested", "invite.sent"]

    def test_no_project_is_said_outright(self, known: World) -> None:
        """Left out, OpenAI would put the person into the default project."""
        known.invite(NEW)
        known.drain()
        assert known.openai.oracle().invites()[0].projects == ()

    @pytest.mark.parametrize(
        ("kind", "times"),
        [
            ("status:500", 1), ("drop_before", 2), ("500_after", 1), ("drop_after", 2), ("truncate", 1), ("bad_json", 1),
            ("html", 1), ("status:429:3", 1), ("missing:id", 1),
        ],
    )  # fmt: skip
    def test_trouble_never_sends_two(self, known: World, clock: FrozenDateTimeFactory, kind: str, times: int) -> None:
        known.openai.fault(CREATE, kind=kind, times=times)
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.finish(clock)
        assert pending(known) == [known.reload(invite).remote_id]
        assert known.reload(invite).state is InviteState.PENDING
        assert known.audited("invite.sent") == ["invite.sent"]

    @pytest.mark.parametrize("status", [400, 404, 409])
    def test_a_refusal_is_kept_and_blocks_nobody(self, known: World, clock: FrozenDateTimeFactory, status: int) -> None:
        known.openai.fault(CREATE, kind=f"status:{status}")
        invite = known.invite(NEW)
        known.finish(clock)
        assert known.reload(invite).state is InviteState.REFUSED
        assert known.reload(invite).problem
        assert known.dead() == []
        known.finish(clock)
        again = known.invite(NEW)
        known.drain()
        assert known.reload(again).state is InviteState.PENDING

    def test_the_same_offer_made_elsewhere_is_adopted(self, known: World) -> None:
        grant = ProjectGrant(known.project(PROJECT).remote_id, "member")
        elsewhere = known.govern.need_outside().directory.invite(NEW.title(), "reader", [grant])
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        assert known.reload(invite).remote_id == elsewhere.id
        assert pending(known) == [elsewhere.id]

    @pytest.mark.parametrize(
        ("role", "places"), [("owner", ((PROJECT, "member"),)), ("reader", ()), ("reader", ((PROJECT, "owner"),))]
    )
    def test_another_offer_made_elsewhere_is_not(self, known: World, role: str, places: tuple[tuple[str, str], ...]) -> None:
        """Adopting it would give other rights than were asked for."""
        grants = [ProjectGrant(known.project(name).remote_id, word) for name, word in places]
        elsewhere = known.govern.need_outside().directory.invite(NEW, role, grants)
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        assert known.reload(invite).state is InviteState.REFUSED
        assert "another pending invite" in (known.reload(invite).problem or "")
        assert pending(known) == [elsewhere.id]


class TestCancelling:
    @pytest.mark.one_database
    def test_takes_the_offer_back_and_proves_it(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        assert cancel(known, invite).state is InviteState.CANCELLING
        known.finish(clock)
        assert known.reload(invite).state is InviteState.CANCELLED
        assert known.openai.oracle().invites() == []
        assert known.audited("invite.") == ["invite.requested", "invite.sent", "invite.cancel_requested", "invite.cancelled"]

    @pytest.mark.one_database
    def test_before_it_was_sent(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        cancel(known, invite)
        known.finish(clock)
        assert known.reload(invite).state is InviteState.CANCELLED
        assert not any(call.endswith("/invites") for call in known.calls("POST"))

    def test_while_it_is_being_sent(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        sending = claimed(known, "invite.send")
        cancel(known, invite)
        known.drain()
        assert known.reload(invite).state is InviteState.CANCELLING  # waits for the sender
        offered = known.govern.need_outside().directory.invite(NEW, "reader", [])
        with known.govern.unit_of_work(sending.actor) as uow:
            outbox.settle(uow, sending)
            service.record_sent(uow, invite.id, offered)
        known.finish(clock)
        assert known.reload(invite).state is InviteState.CANCELLED
        assert pending(known) == []

    @pytest.mark.one_database
    def test_accepted_a_moment_before_it_is_a_member(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        cancel(known, invite)
        known.openai.accept_invite(NEW)
        known.finish(clock)
        assert known.reload(invite).state is InviteState.ACCEPTED
        pull(known)
        assert known.member(NEW).role == "reader"

    @pytest.mark.one_database
    def test_a_deletion_that_only_says_so_is_not_believed(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        known.openai.fault(DELETE, kind="lie_200", times=2)
        cancel(known, invite)
        known.drain()
        assert known.reload(invite).state is InviteState.CANCELLING
        known.finish(clock)
        assert known.reload(invite).state is InviteState.CANCELLED
        assert pending(known) == []

    @pytest.mark.one_database
    def test_repeating_it_changes_nothing_and_settled_ones_stay(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        cancel(known, invite)
        cancel(known, invite)
        known.finish(clock)
        cancel(known, invite)
        assert known.audited("invite.cancel_requested") == ["invite.cancel_requested"]
        other = known.invite("otto@acme.example")
        known.drain()
        known.openai.accept_invite("otto@acme.example")
        pull(known)
        with pytest.raises(Conflict):
            cancel(known, other)

    @pytest.mark.one_database
    def test_of_many_who_cancel_at_once_nobody_fails(self, known: World) -> None:
        invite = known.invite(NEW)
        known.drain()
        start = threading.Barrier(4)

        def ask(_number: int) -> InviteState:
            start.wait()
            return cancel(known, invite).state

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(4))) == {InviteState.CANCELLING}
        assert known.audited("invite.cancel_requested") == ["invite.cancel_requested"]


class TestSendingAgain:
    @pytest.mark.one_database
    def test_replaces_the_pending_one(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        first = known.reload(invite).remote_id
        clock.tick(60)
        resend(known, invite)
        known.finish(clock)
        [only] = pending(known)
        assert only != first
        assert (known.reload(invite).remote_id, known.reload(invite).state) == (only, InviteState.PENDING)

    @pytest.mark.parametrize("kind", ["500_after", "drop_before", "drop_after"])
    def test_trouble_leaves_one(self, known: World, clock: FrozenDateTimeFactory, kind: str) -> None:
        invite = known.invite(NEW)
        known.drain()
        known.openai.fault(CREATE, kind=kind)
        resend(known, invite)
        known.finish(clock)
        assert pending(known) == [known.reload(invite).remote_id]

    @pytest.mark.one_database
    def test_an_expired_one(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        clock.tick(timedelta(days=8))
        pull(known)
        assert known.reload(invite).state is InviteState.EXPIRED
        resend(known, invite)
        known.finish(clock)
        assert pending(known) == [known.reload(invite).remote_id]

    def test_one_that_was_accepted_meanwhile_is_not_sent_twice(self, known: World, clock: FrozenDateTimeFactory) -> None:
        invite = known.invite(NEW)
        known.drain()
        known.openai.accept_invite(NEW)
        resend(known, invite)  # the sync has not seen the acceptance yet
        known.finish(clock)
        pull(known)
        assert pending(known) == []
        assert known.member(NEW).role == "reader"
        assert known.reload(invite).state in (InviteState.ACCEPTED, InviteState.REFUSED)


class TestComingBack:
    def test_who_left_can_be_invited_and_starts_anew(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.remove(EVE)
        with pytest.raises(Conflict):  # the seat is still there
            known.invite(EVE)
        known.finish(clock)
        assert known.person(EVE).state is PersonState.LEFT
        known.invite(EVE)
        known.drain()
        returned = known.person(EVE)
        assert (returned.state, returned.generation) == (PersonState.ACTIVE, 2)
        assert known.audited("person.returned") == ["person.returned"]


def test_invites_are_listed_newest_first(known: World, clock: FrozenDateTimeFactory) -> None:
    made = []
    for number in range(3):
        made.append(known.invite(f"n{number}@acme.example").id)
        clock.tick(1)
    with known.govern.unit_of_work.reading() as session:
        assert [row.id for row in queries.find_invites(session)] == made[::-1]
        assert [row.id for row in queries.find_invites(session, limit=1, before=made[2])] == [made[1]]
        assert queries.find_invites(session, state=InviteState.PENDING) == []
        with pytest.raises(NotFound):
            queries.get_invite(session, "inv_unknown")
