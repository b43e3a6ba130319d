"""Revoking: contained at once, "revoked" only when complete listings show nothing any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import NotFound
from govern.core.outbox import LEASE, ClaimLost
from govern.keys import service
from govern.keys.models import KeyState
from tests.given import ADMIN, PROJECT, World, claimed

DELETE, ACCOUNTS, KEYS = "projects.service_accounts.delete", "projects.service_accounts.list", "projects.api_keys.list"


@pytest.mark.one_database
class TestAsking:
    def test_destroys_the_value_at_once_and_calls_nobody(self, known: World) -> None:
        key, before = known.key(), len(known.calls())
        known.revoke(key, "laptop lost")
        assert len(known.calls()) == before
        version = known.version(key)
        assert (known.reload(key).state, version.state, version.sealed) == (KeyState.REVOKING, KeyState.REVOKING, None)
        assert version.shredded_at is not None
        assert (known.reload(key).revoke_reason, known.reload(key).revoked_by) == ("laptop lost", ADMIN.id)

    @pytest.mark.parametrize("when", ["at once", "when it is over"])
    def test_asking_again_changes_nothing(self, known: World, clock: FrozenDateTimeFactory, when: str) -> None:
        key = known.key()
        known.revoke(key, "first")
        if when == "when it is over":
            known.finish(clock)
        before = known.audited()
        known.revoke(key, "second")
        assert known.reload(key).revoke_reason == "first"
        assert known.audited() == before
        assert len(known.owed()) == (1 if when == "at once" else 0)

    def test_an_unknown_key_is_not_found(self, known: World) -> None:
        with pytest.raises(NotFound), known.govern.unit_of_work(ADMIN) as uow:
            service.revoke_key(uow, "key_unknown", reason="x")


class TestEnding:
    @pytest.mark.one_database
    @pytest.mark.parametrize("generation", ["2026-08", "2026-11"])
    def test_ends_the_account_and_proves_it(self, known: World, clock: FrozenDateTimeFactory, generation: str) -> None:
        known.openai.behaviour.generation = generation
        key = known.key()
        value = known.peek(key)
        known.revoke(key)
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED
        assert known.version(key).ended_at is not None
        assert known.our_accounts() == []
        assert not known.openai.oracle().authenticates(value)
        assert known.audited("key.") == ["key.requested", "key.issued", "key.revoke_requested", "key.revoked"]

    @pytest.mark.one_database
    def test_looks_after_it_has_deleted_and_looks_at_all_keys(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        done = len(known.calls())
        known.revoke(key)
        known.finish(clock)
        verbs = [call.split("/")[0] + call.rsplit("/", 1)[1] for call in known.calls()[done:]]
        deleted = next(index for index, verb in enumerate(verbs) if verb.startswith("DELETE"))
        assert verbs.index("GET service_accounts") > deleted
        assert verbs.index("GET api_keys") > deleted

    @pytest.mark.one_database
    def test_a_deletion_that_only_says_so_is_not_believed(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        value = known.peek(key)
        known.openai.fault(DELETE, kind="lie_200", times=3)
        known.revoke(key)
        known.drain()
        assert known.openai.oracle().authenticates(value)
        assert known.reload(key).state is KeyState.REVOKING
        assert known.owed()[0].last_error == "OpenAI still lists the credential."
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED
        assert not known.openai.oracle().authenticates(value)

    @pytest.mark.one_database
    @pytest.mark.parametrize("operation", [ACCOUNTS, KEYS])
    def test_a_listing_of_yesterday_is_not_taken_for_a_proof_of_presence_for_ever(
        self, known: World, clock: FrozenDateTimeFactory, operation: str
    ) -> None:
        key = known.key()
        known.openai.fault(operation, kind="stale_list:60")
        known.revoke(key)
        known.drain()
        assert known.reload(key).state is KeyState.REVOKING
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED

    @pytest.mark.one_database
    @pytest.mark.parametrize("operation", [ACCOUNTS, KEYS])
    @pytest.mark.parametrize("kind", ["status:500", "truncate", "bad_json", "missing:id", "html"])
    def test_a_listing_that_cannot_be_read_proves_nothing(
        self, known: World, clock: FrozenDateTimeFactory, operation: str, kind: str
    ) -> None:
        key = known.key()
        known.openai.fault(DELETE, kind="lie_200")
        known.openai.fault(operation, kind=kind, times=3)
        known.revoke(key)
        known.drain()
        assert known.reload(key).state is KeyState.REVOKING
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED
        assert known.our_accounts() == []

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "kind", ["status:500", "500_after", "drop_after", "drop_before", "status:404", "status:409", "status:403"]
    )
    def test_whatever_the_deletion_answers_the_end_is_reached(
        self, known: World, clock: FrozenDateTimeFactory, kind: str
    ) -> None:
        key = known.key()
        known.openai.fault(DELETE, kind=kind, times=4)
        known.revoke(key)
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED
        assert known.our_accounts() == []
        assert known.dead() == []

    @pytest.mark.one_database
    def test_a_refusal_is_never_final(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """Contained here and alive there, with nobody trying any more, would be the worst outcome."""
        key = known.key()
        known.openai.fault(DELETE, kind="status:409", times=0)
        known.revoke(key)
        known.finish(clock, within=timedelta(hours=6))
        [effect] = known.owed()
        assert effect.attempt > 10
        assert effect.last_error
        assert known.reload(key).state is KeyState.REVOKING
        known.openai.clear_faults()
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED

    @pytest.mark.one_database
    def test_what_somebody_else_deleted_is_ended_too(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        version = known.version(key)
        assert version.service_account_remote_id is not None
        known.govern.need_outside().issuer.delete(known.project().remote_id, version.service_account_remote_id)
        known.revoke(key)
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED

    @pytest.mark.one_database
    def test_a_renamed_account_is_still_ended(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        account = known.openai.org.tables.service_accounts[known.version(key).service_account_remote_id]
        account.name = "renamed at the dashboard"
        value = known.peek(key)
        known.revoke(key)
        known.finish(clock)
        assert account.id not in known.openai.org.tables.service_accounts
        assert not known.openai.oracle().authenticates(value)

    @pytest.mark.one_database
    def test_a_second_account_of_the_same_name_is_swept_with_it(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key(project=PROJECT)
        late = known.govern.need_outside().issuer.create(known.project(PROJECT).remote_id, known.version(key).remote_name, 3600)
        known.revoke(key)
        known.finish(clock)
        assert known.our_accounts() == []
        assert not known.openai.oracle().authenticates(late.value.reveal())

    @pytest.mark.one_database
    def test_an_archived_project_counts_as_ended(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        value = known.peek(key)
        archive(known, known.project().remote_id)
        known.revoke(key)
        known.finish(clock)
        assert known.reload(key).state is KeyState.REVOKED
        assert not known.openai.oracle().authenticates(value)

    @pytest.mark.one_database
    def test_whoever_was_overtaken_records_nothing_twice(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        known.revoke(key)
        slow = claimed(known, "key.revoke")
        clock.tick(LEASE)
        known.finish(clock)
        with pytest.raises(ClaimLost):
            known.govern.need_outside().effects["key.revoke"](slow)
        assert known.audited("key.revoked") == ["key.revoked"]


def archive(world: World, project_id: str) -> None:
    """As somebody does it at OpenAI's dashboard."""
    project = world.openai.org.tables.projects[project_id]
    project.archived_at = world.openai.org.clock.seconds()
