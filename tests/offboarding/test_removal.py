"""Removing somebody: cut off here at once, everything at OpenAI ended in the order that is safe, and proven."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.clock import utcnow
from govern.core.errors import GovernError, InvalidInput, NotFound, PolicyViolation
from govern.inventory import sync as inventory
from govern.keys.models import KeyState
from govern.members import sync
from govern.members.models import InviteState
from govern.offboarding import preview as previews
from govern.offboarding import queries, rules
from govern.offboarding.models import Offboarding, OffboardingState, Stage
from govern.people.models import PersonState
from tests.given import ADA, EVE, MAX, PROJECT, World

NEW = "nina@acme.example"
STEPS = [name for name, _ in rules.STEPS]


def pull(world: World) -> None:
    sync.run(world.govern.unit_of_work, world.govern.need_outside().directory)


def left_of(world: World, email: str) -> list[str]:
    """Everything that OpenAI still has of the person."""
    oracle = world.openai.oracle()
    members = [member.id for member in oracle.members() if (member.email or "").casefold() == email]
    invites = [invite.id for invite in oracle.invites() if invite.email.casefold() == email and invite.status == "pending"]
    places = [place.user_id for place in oracle.project_users() if (place.email or "").casefold() == email]
    return members + invites + places


def steps(removal: Offboarding) -> dict[str, tuple[str, int, int]]:
    return {step["name"]: (step["state"], step["found"], step["ended"]) for step in removal.steps}


@pytest.mark.one_database
class TestContainment:
    def test_is_one_transaction_and_calls_nobody(self, known: World) -> None:
        key, asked = known.key(), known.requested_key(name="second")
        before = len(known.calls())
        removal = known.remove(EVE, "has left the company")
        assert len(known.calls()) == before
        assert removal.state is OffboardingState.CONTAINED
        assert known.person(EVE).state is PersonState.LEAVING
        assert known.reload(key).state is KeyState.REVOKING
        assert known.version(key).sealed is None
        assert known.reload(asked).state is KeyState.ABORTING
        with pytest.raises(PolicyViolation):
            known.requested_key(name="another")
        assert [name for name, (state, _, _) in steps(removal).items() if state == "waiting"] == STEPS
        assert known.audited("member.") == ["member.contained"]

    def test_ends_sessions_and_tokens(self, known: World) -> None:
        known.remove(EVE)
        assert known.audited("person.access_ended") == ["person.access_ended"]

    @pytest.mark.parametrize("how", ["id", "remote id", "person", "address", "shouted address"])
    def test_finds_whom_is_meant(self, known: World, how: str) -> None:
        member = known.member(EVE)
        names = {"id": member.id, "remote id": member.remote_id, "person": member.person_id or "", "address": EVE,
                 "shouted address": EVE.upper()}  # fmt: skip
        removal = known.remove(names[how])
        assert (removal.email, removal.member_remote_id, removal.person_id) == (EVE, member.remote_id, member.person_id)

    @pytest.mark.parametrize("reason", ["", "  ", "ab", "x" * 501])
    def test_needs_a_reason(self, known: World, reason: str) -> None:
        with pytest.raises(InvalidInput):
            known.remove(EVE, reason)
        assert known.person(EVE).state is PersonState.ACTIVE

    def test_of_nobody_is_not_found(self, known: World) -> None:
        with pytest.raises(NotFound):
            known.remove("nobody@acme.example")

    def test_of_the_last_owner_is_refused(self, known: World) -> None:
        with pytest.raises(PolicyViolation) as caught:
            known.remove(ADA)
        assert caught.value.rule == "last_owner"
        assert known.person(ADA).state is PersonState.ACTIVE
        assert known.owed() == []


@pytest.mark.one_database
class TestOrder:
    def test_keys_then_invites_then_own_keys_then_places_then_the_seat_then_the_proof(
        self, known: World, clock: FrozenDateTimeFactory
    ) -> None:
        issued = known.key(project=PROJECT)
        own, own_value = known.openai.make_personal_key(EVE, PROJECT)
        value, account = known.peek(issued), known.version(issued).service_account_remote_id
        member = known.member(EVE).remote_id
        done = len(known.calls())
        removal = known.remove(EVE)
        known.finish(clock)
        place = f"/v1/organization/projects/{known.project(PROJECT).remote_id}"
        assert known.calls("DELETE") == [
            f"DELETE {place}/service_accounts/{account}",
            f"DELETE {place}/api_keys/{own}",
            f"DELETE {place}/users/{member}",
            f"DELETE /v1/organization/users/{member}",
        ]
        after = known.calls()[known.calls().index(f"DELETE /v1/organization/users/{member}") + 1 :]
        for listing in ("/v1/organization/users", "/v1/organization/invites", f"{place}/api_keys", f"{place}/service_accounts"):
            assert f"GET {listing}" in after, listing
        assert len(known.calls()) > done
        removal = known.reload(removal)
        assert removal.state is OffboardingState.DONE
        assert [name for name, (state, _, _) in steps(removal).items() if state == "done"] == STEPS
        assert steps(removal)["personal_keys"][1:] == (1, 1)
        assert not known.openai.oracle().authenticates(value)
        assert not known.openai.oracle().authenticates(own_value)
        assert left_of(known, EVE) == []
        assert known.person(EVE).state is PersonState.LEFT
        assert known.audited("member.")[-1] == "member.revoked"
        assert known.audit_holds()

    def test_a_pending_invite_goes_before_anything_that_it_could_bring_back(
        self, known: World, clock: FrozenDateTimeFactory
    ) -> None:
        known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        removal = known.remove(NEW)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, NEW) == []

    @pytest.mark.parametrize("generation", ["2026-08", "2026-11"])
    def test_keys_of_both_generations(self, known: World, clock: FrozenDateTimeFactory, generation: str) -> None:
        known.openai.behaviour.generation = generation
        values = [known.peek(known.key(name=name, project=PROJECT)) for name in ("a", "b")]
        values.append(known.openai.make_personal_key(EVE, PROJECT)[1])
        removal = known.remove(EVE)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert [known.openai.oracle().authenticates(value) for value in values] == [False, False, False]
        assert known.our_accounts() == []

    def test_a_key_whose_owner_lost_the_project_already(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """The default listing hides such keys, though they are still enabled."""
        own, _ = known.openai.make_personal_key(EVE, PROJECT)
        directory = known.govern.need_outside().directory
        directory.remove_project_member(known.project(PROJECT).remote_id, known.member(EVE).remote_id)
        known.remove(EVE)
        known.finish(clock)
        assert any(call.endswith(f"/api_keys/{own}") for call in known.calls("DELETE"))
        assert left_of(known, EVE) == []


class TestProof:
    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "operation",
        [
            "projects.service_accounts.delete", "projects.api_keys.delete", "projects.users.delete", "users.delete",
            "invites.delete",
        ],
    )  # fmt: skip
    def test_a_deletion_that_only_says_so_is_not_believed(
        self, known: World, clock: FrozenDateTimeFactory, operation: str
    ) -> None:
        known.key(project=PROJECT)
        _, value = known.openai.make_personal_key(EVE, PROJECT)
        email = EVE
        if operation == "invites.delete":
            email = NEW
            known.invite(NEW)
            known.drain()
        known.openai.fault(operation, kind="lie_200", times=6)
        removal = known.remove(email)
        known.drain()
        if operation not in ("projects.users.delete", "projects.api_keys.delete"):  # the seat takes those along
            assert known.reload(removal).state is OffboardingState.CONTAINED
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, email) == []
        if email == EVE:
            assert not known.openai.oracle().authenticates(value)

    @pytest.mark.one_database
    @pytest.mark.parametrize("kind", ["status:500", "500_after", "drop_after", "truncate", "status:409", "status:429:2"])
    def test_trouble_at_any_call_ends_well(self, known: World, clock: FrozenDateTimeFactory, kind: str) -> None:
        known.key(project=PROJECT)
        known.openai.make_personal_key(EVE, PROJECT)
        removal = known.remove(EVE)
        for nth in (2, 5, 9, 14, 20):
            known.openai.fault("*", nth=nth, kind=kind)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, EVE) == []
        assert known.our_accounts() == []
        assert known.audited("member.revoked") == ["member.revoked"]
        assert known.dead() == []

    @pytest.mark.one_database
    def test_says_what_it_waits_for(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.key(project=PROJECT)
        known.openai.fault("projects.service_accounts.delete", kind="lie_200", times=0)
        removal = known.remove(EVE)
        known.drain()
        assert known.reload(removal).waiting_for == "2 of 3 ended. OpenAI still lists a key that we issued."
        known.openai.clear_faults()
        known.openai.fault("users.delete", kind="lie_200", times=1)
        known.finish(clock, within=timedelta(seconds=1))
        assert known.reload(removal).waiting_for == "2 of 3 ended. OpenAI still lists the seat."
        known.finish(clock)
        assert known.reload(removal).waiting_for is None

    def test_what_was_found_stays_on_record_when_it_is_walked_again(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.openai.make_personal_key(EVE, PROJECT)
        known.openai.fault("users.delete", kind="lie_200")
        removal = known.remove(EVE)
        known.finish(clock)
        found = steps(known.reload(removal))
        assert found["personal_keys"][1:] == (1, 1)
        assert found["memberships"][1:] == (1, 1)
        assert known.audited("member.proof_failed") == ["member.proof_failed"]

    @pytest.mark.one_database
    def test_an_owner_who_became_the_last_one_is_shown_and_tried_again(self, known: World, clock: FrozenDateTimeFactory) -> None:
        org = known.openai.org.tables
        org.users[known.member(MAX).remote_id].role = "owner"
        pull(known)
        removal = known.remove(MAX)
        org.users[known.member(ADA).remote_id].role = "reader"  # somebody demotes Ada at the dashboard meanwhile
        known.finish(clock)
        assert "last owner" in (known.reload(removal).waiting_for or "")
        assert known.dead() == []
        org.users[known.member(ADA).remote_id].role = "owner"
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE


class TestSecondLook:
    def test_the_word_revoked_waits_for_it(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.govern.need_outside().effects["offboarding.run"] = replace(  # type: ignore[index]
            known.govern.need_outside().effects["offboarding.run"], second_look=timedelta(seconds=30)
        )
        removal = known.remove(EVE)
        assert removal.stage is Stage.CONTAINED
        known.drain()
        looked = known.reload(removal)
        assert (looked.stage, looked.state, looked.evidence_id) == (Stage.PROVING, OffboardingState.CONTAINED, None)
        known.remove(EVE, "asked again, which does not shorten the wait")
        known.drain()
        assert known.reload(removal).stage is Stage.PROVING
        # Between the looks somebody invites them again, at OpenAI's own dashboard.
        known.govern.need_outside().directory.invite(EVE, "reader", [])
        clock.tick(31)
        known.drain()
        again = known.reload(removal)
        assert (again.stage is Stage.REVOKED, again.waiting_for) == (False, "2 of 3 ended. OpenAI still lists an invite.")
        known.finish(clock)
        assert known.reload(removal).stage is Stage.REVOKED
        assert left_of(known, EVE) == []


class TestAdminKeys:
    def owned_by(self, known: World, email: str) -> str:
        """An admin key of this member; its id."""
        tables = known.openai.org.tables
        before = set(tables.admin_keys)
        known.openai.make_admin_key()
        [made] = set(tables.admin_keys) - before
        tables.admin_keys[made].owner_user_id = known.member(email).remote_id
        return made

    @pytest.mark.one_database
    def test_theirs_end_and_no_other(self, known: World, clock: FrozenDateTimeFactory) -> None:
        mine, other = self.owned_by(known, MAX), self.owned_by(known, ADA)
        known.openai.fault("admin_api_keys.delete", kind="lie_200")
        removal = known.remove(MAX)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert mine not in known.openai.org.tables.admin_keys
        assert other in known.openai.org.tables.admin_keys
        assert known.calls("DELETE").count(f"DELETE /v1/organization/admin_api_keys/{mine}") == 2

    @pytest.mark.one_database
    def test_the_one_in_use_is_not_sawn_off(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """Nobody knew when it began: everything else ends, and the seat waits for another owner's key."""
        tables = known.openai.org.tables
        ours = next(key for key in tables.admin_keys.values() if key.name == "govern")
        owner, ours.owner_user_id = ours.owner_user_id, known.member(MAX).remote_id
        _, value = known.openai.make_personal_key(MAX, PROJECT)
        removal = known.remove(MAX)
        known.finish(clock)
        assert "GOVERN_OPENAI_ADMIN_KEY_FILE" in (known.reload(removal).waiting_for or "")
        assert ours.id in tables.admin_keys
        assert ours.owner_user_id in tables.users
        assert not known.openai.oracle().authenticates(value)
        ours.owner_user_id = owner  # another owner's key does the work now
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE

    @pytest.mark.one_database
    def test_where_it_is_known_it_is_refused_beforehand(self, known: World) -> None:
        ours = next(key for key in known.openai.org.tables.admin_keys.values() if key.name == "govern")
        ours.owner_user_id = known.member(MAX).remote_id
        outside = known.govern.need_outside()
        inventory.run(known.govern.unit_of_work, outside.directory, outside.access, roles_per_run=10)
        with pytest.raises(PolicyViolation) as caught:
            known.remove(MAX)
        assert caught.value.rule == "own_branch"
        with known.govern.unit_of_work.reading() as session:
            assert "another owner" in (previews.preview(session, MAX, utcnow()).refused or "")
        assert known.person(MAX).state is PersonState.ACTIVE


class TestRaces:
    @pytest.mark.one_database
    def test_an_invite_accepted_before_it_is_cancelled(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        removal = known.remove(NEW)
        known.openai.accept_invite(NEW)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, NEW) == []

    @pytest.mark.one_database
    def test_an_invite_accepted_in_the_middle(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """The cancellation is swallowed, the person signs in, and there is a seat that nobody knew of."""
        invite = known.invite(NEW, "reader", (PROJECT, "member"))
        known.drain()
        known.openai.fault("invites.delete", kind="lie_200", times=6)
        removal = known.remove(NEW)
        known.drain()
        known.openai.clear_faults()
        known.openai.accept_invite(NEW)
        known.openai.make_personal_key(NEW, PROJECT)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert known.reload(invite).state is InviteState.ACCEPTED
        assert left_of(known, NEW) == []
        assert steps(known.reload(removal))["seat"][1:] == (1, 1)

    @pytest.mark.one_database
    def test_an_invite_that_somebody_else_makes_meanwhile(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """No row of ours knows it, so no cancellation of ours is owed: the removal itself has to look."""
        directory = known.govern.need_outside().directory
        directory.remove_member(known.member(EVE).remote_id)
        pull(known)
        removal = known.remove(EVE)
        directory.invite(EVE.title(), "reader", [])
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, EVE) == []
        assert steps(known.reload(removal))["invites"][1:] == (1, 1)

    @pytest.mark.one_database
    def test_a_seat_taken_again_under_a_new_id(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """Eve lost her seat at the dashboard and was invited anew; the id that we know is the old one."""
        org = known.openai.org
        known.govern.need_outside().directory.remove_member(known.member(EVE).remote_id)
        pull(known)
        known.invite(EVE, "reader", (PROJECT, "member"))
        known.drain()
        removal = known.remove(EVE)
        known.openai.accept_invite(EVE)
        assert org.user_by_email(EVE) is not None
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert left_of(known, EVE) == []

    @pytest.mark.one_database
    def test_of_many_who_ask_at_once_there_is_one_removal(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.key(project=PROJECT)
        start = threading.Barrier(5)

        def ask(_number: int) -> str:
            start.wait()
            return known.remove(EVE).id

        with ThreadPoolExecutor(5) as pool:
            assert len(set(pool.map(ask, range(5)))) == 1
        known.finish(clock)
        assert known.audited("member.contained") == ["member.contained"]
        assert known.audited("member.revoked") == ["member.revoked"]

    def test_of_many_who_ask_for_somebody_with_only_an_invite(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.invite(NEW)
        known.drain()
        start = threading.Barrier(4)

        def ask(_number: int) -> str:
            start.wait()
            try:
                return known.remove(NEW).id
            except GovernError as error:
                return error.code

        with ThreadPoolExecutor(4) as pool:
            answers = set(pool.map(ask, range(4))) - {"conflict"}
        assert len(answers) == 1
        known.finish(clock)
        assert left_of(known, NEW) == []


@pytest.mark.one_database
class TestRepeating:
    def test_while_it_runs_it_is_the_same_one(self, known: World) -> None:
        first = known.remove(EVE)
        before = known.audited()
        assert known.remove(EVE, "asked again").id == first.id
        assert known.audited() == before
        assert known.reload(first).reason == "has left the company"

    def test_when_it_is_done_it_is_answered_and_does_nothing(self, known: World, clock: FrozenDateTimeFactory) -> None:
        first = known.remove(EVE)
        known.finish(clock)
        before, calls = known.audited(), len(known.calls())
        assert known.remove(EVE, "asked again").id == first.id
        known.finish(clock)
        assert known.audited() == before
        assert len(known.calls()) == calls

    def test_who_came_back_is_removed_anew(self, known: World, clock: FrozenDateTimeFactory) -> None:
        first = known.remove(EVE)
        known.finish(clock)
        known.invite(EVE, "reader", (PROJECT, "member"))
        known.drain()
        known.openai.accept_invite(EVE)
        pull(known)
        key = known.key(project=PROJECT)
        assert key.state is KeyState.LIVE
        clock.tick(60)
        second = known.remove(EVE)
        assert second.id != first.id
        known.finish(clock)
        assert known.reload(second).state is OffboardingState.DONE
        assert known.reload(key).state is KeyState.REVOKED
        assert left_of(known, EVE) == []
        with known.govern.unit_of_work.reading() as session:
            assert [row.id for row in queries.find(session)] == [second.id, first.id]


class TestHalves:
    @pytest.mark.one_database
    def test_a_person_without_a_seat(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key(project=PROJECT)
        known.govern.need_outside().directory.remove_member(known.member(EVE).remote_id)
        pull(known)
        removal = known.remove(EVE)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert known.reload(key).state is KeyState.REVOKED

    @pytest.mark.one_database
    def test_a_seat_without_an_address(self, known: World, clock: FrozenDateTimeFactory) -> None:
        user = known.openai.org.tables.users[known.member(EVE).remote_id]
        user.email = None
        known.openai.org.tables.users[user.id] = user
        pull(known)
        removal = known.remove(user.id)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert user.id not in known.openai.org.tables.users

    def test_keys_in_an_archived_project(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key, elsewhere = known.key(project=PROJECT), known.key(name="elsewhere")
        project = known.openai.org.tables.projects[known.project(PROJECT).remote_id]
        project.archived_at = known.openai.org.clock.seconds()
        pull(known)
        removal = known.remove(EVE)
        known.finish(clock)
        assert known.reload(removal).state is OffboardingState.DONE
        assert {known.reload(key).state, known.reload(elsewhere).state} == {KeyState.REVOKED}
        assert left_of(known, EVE) == []


@pytest.mark.one_database
def test_the_preview_shows_what_would_end_and_changes_nothing(known: World) -> None:
    key = known.key(project=PROJECT)
    own, _ = known.openai.make_personal_key(EVE, PROJECT)
    known.openai.org.tables.keys[own].last_used_at = int(utcnow().timestamp()) - 3600
    pull(known)
    before = known.audited()
    with known.govern.unit_of_work.reading() as session:
        preview = previews.preview(session, EVE, utcnow())
        assert [row.id for row in preview.keys] == [key.id]
        assert [(row.remote_id, row.used_lately) for row in preview.personal_keys] == [(own, True)]
        assert [row.used_lately for row in preview.keys] == [False]
        assert (len(preview.breaks), preview.used_lately, preview.refused) == (1, 1, None)
        assert [place.name for place in preview.places] == [PROJECT]
        assert "last owner" in (previews.preview(session, ADA, utcnow()).refused or "")
        with pytest.raises(NotFound):
            previews.preview(session, "nobody@acme.example", utcnow())
    assert known.audited() == before
    assert known.owed() == []
