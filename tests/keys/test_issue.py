"""Issuing: a promise, a service account at OpenAI, and one live recorded key, whatever goes wrong on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import InvalidInput, NotFound, PolicyViolation
from govern.core.outbox import LEASE
from govern.keys import queries, service
from govern.keys.models import KeyState
from govern.people.models import PersonState
from tests.given import ADMIN, EVE, PROJECT, World, claimed

CREATE = "projects.service_accounts.create"


@pytest.mark.one_database
class TestAsking:
    def test_promises_and_calls_nobody(self, known: World) -> None:
        before = len(known.calls())
        key = known.requested_key()
        assert key.state is KeyState.REQUESTED
        assert len(known.calls()) == before
        version = known.version(key)
        assert (version.number, version.state, version.sealed) == (1, KeyState.REQUESTED, None)
        assert [(effect.kind, effect.subject_id) for effect in known.owed()] == [("key.issue", version.id)]
        assert known.audited("key.") == ["key.requested"]

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"name": " "}, InvalidInput), ({"lifetime": timedelta(days=400)}, InvalidInput), ({"person": "per_x"}, NotFound),
            ({"project": "prj_x"}, NotFound), ({"most_per_person": 0}, PolicyViolation),
        ],
    )  # fmt: skip
    def test_what_breaks_a_rule_leaves_nothing(self, known: World, change: dict[str, object], error: type[Exception]) -> None:
        wanted: dict[str, object] = {"name": "x", "lifetime": timedelta(days=1), "most_per_person": 5}
        wanted |= {"person": known.person(EVE).id, "project": known.project().id} | change
        with pytest.raises(error), known.govern.unit_of_work(ADMIN) as uow:
            service.request_key(uow, wanted.pop("person"), wanted.pop("project"), **wanted)  # type: ignore[arg-type]
        assert known.owed() == []
        assert known.audited("key.") == []

    def test_keys_that_have_ended_do_not_count(self, known: World, clock: FrozenDateTimeFactory) -> None:
        keys = [known.key(name=f"key {number}") for number in range(5)]
        with pytest.raises(PolicyViolation):
            known.requested_key(name="one too many")
        known.revoke(keys[0])
        known.finish(clock)
        assert known.key(name="fits again").state is KeyState.LIVE


class TestMaking:
    @pytest.mark.one_database
    def test_makes_one_account_with_one_key_that_works(self, known: World) -> None:
        key = known.key(project=PROJECT)
        version = known.version(key)
        [account] = [a for a in known.openai.oracle().service_accounts() if a.name == f"govern:{version.id}"]
        assert (version.service_account_remote_id, key.state, version.state) == (account.id, KeyState.LIVE, KeyState.LIVE)
        [native] = [k for k in known.native_keys() if k.owner_id == account.id]
        assert (version.remote_id, native.project_id) == (native.id, known.project(PROJECT).remote_id)
        value = known.peek(key)
        assert known.openai.oracle().authenticates(value)
        assert version.redacted is not None
        assert value not in version.redacted
        assert version.fingerprint == known.govern.box.fingerprint("key", value)
        assert known.audited("key.") == ["key.requested", "key.issued"]
        assert known.owed() == []

    def test_the_value_is_nowhere_in_the_database_in_clear(self, known: World) -> None:
        value = known.peek(known.key())
        with known.govern.engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"'):
                    assert value not in repr(row), table
                    assert value[-24:] not in repr(row), table

    @pytest.mark.one_database
    def test_an_expiry_is_always_set_at_openai(self, known: World) -> None:
        version = known.version(known.key())
        [native] = [k for k in known.native_keys() if k.id == version.remote_id]
        ends = datetime(2026, 3, 10, 12, tzinfo=UTC) + timedelta(days=30)
        assert native.expires_at == ends.timestamp()
        assert version.expires_at == ends

    @pytest.mark.one_database
    @pytest.mark.parametrize("generation", ["2026-08"])
    def test_where_openai_knows_no_expiry_ours_holds(self, known: World, generation: str) -> None:
        known.openai.behaviour.generation = generation
        version = known.version(known.key())
        assert version.expires_at == datetime(2026, 3, 10, 12, tzinfo=UTC) + timedelta(days=30)
        assert len(known.our_accounts()) == 1

    @pytest.mark.one_database
    def test_loading_a_key_does_not_load_its_secret(self, known: World) -> None:
        key = known.key()
        with known.govern.unit_of_work.reading() as session:
            version = queries.newest_version(session, key.id)
            with pytest.raises(sa.exc.InvalidRequestError, match="sealed"):
                _ = version.sealed


@pytest.mark.one_database
class TestRefusal:
    @pytest.mark.parametrize("status", [400, 404, 409, 422])
    def test_a_refused_key_is_aborted_with_the_reason_and_counts_no_more(
        self, known: World, clock: FrozenDateTimeFactory, status: int
    ) -> None:
        known.openai.fault(CREATE, kind=f"status:{status}")
        key = known.key()
        known.finish(clock)
        key = known.reload(key)
        assert key.state is KeyState.ABORTED
        assert key.problem
        assert known.our_accounts() == []
        assert known.audited("key.") == ["key.requested", "key.refused", "key.aborted"]
        with known.govern.unit_of_work.reading() as session:
            assert queries.held(session, key.person_id) == 0
        assert known.dead() == []

    @pytest.mark.parametrize("kind", ["status:401", "bare_403"])
    def test_our_own_lost_access_does_not_abort_it(self, known: World, clock: FrozenDateTimeFactory, kind: str) -> None:
        """The admin key was revoked or lacks a scope: an admin mends that, and what was promised is made."""
        known.openai.fault(CREATE, kind=kind, times=3)
        key = known.key()
        assert key.state is KeyState.REQUESTED
        assert known.owed()[0].last_error
        known.finish(clock)
        assert known.reload(key).state is KeyState.LIVE


class TestTrouble:
    """The creation fails in every way in which the outcome is unknown. Afterwards: one live account, the recorded one."""

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("kind", "times"),
        [
            ("status:500", 1), ("drop_before", 1), ("html", 1), ("500_after", 1), ("500_after", 3), ("drop_after", 2),
            ("truncate", 1), ("bad_json", 2), ("missing:api_key", 2),
        ],
    )  # fmt: skip
    def test_never_leaves_a_second_account(self, known: World, clock: FrozenDateTimeFactory, kind: str, times: int) -> None:
        known.openai.fault(CREATE, kind=kind, times=times)
        key = known.key()
        known.finish(clock)
        assert known.reload(key).state is KeyState.LIVE
        assert known.our_accounts() == [known.version(key).service_account_remote_id]
        assert known.openai.oracle().authenticates(known.peek(key))
        assert known.audited("key.issued") == ["key.issued"]

    @pytest.mark.one_database
    def test_finds_what_is_on_a_later_page_of_the_listing(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """What the lost attempt left must be found among many: an unpaged listing would be a false proof."""
        for number in range(130):
            known.govern.need_outside().issuer.create(known.project(PROJECT).remote_id, f"other {number}", 3600)
        known.openai.fault(CREATE, kind="drop_after")
        key = known.key(project=PROJECT)
        known.finish(clock)
        assert known.our_accounts() == [known.version(key).service_account_remote_id]

    def test_a_throttled_creation_is_made_once(self, known: World, clock: FrozenDateTimeFactory) -> None:
        known.openai.fault(CREATE, kind="status:429:7")
        key = known.key()
        known.finish(clock)
        assert known.reload(key).state is KeyState.LIVE
        assert len(known.our_accounts()) == 1

    @pytest.mark.one_database
    def test_a_sweep_touches_only_the_own_name(self, known: World, clock: FrozenDateTimeFactory) -> None:
        other = known.key(name="other")
        foreign = {a.id for a in known.openai.oracle().service_accounts()} - set(known.our_accounts())
        known.openai.fault(CREATE, kind="500_after")
        key = known.key(name="troubled")
        known.finish(clock)
        ours = {known.version(key).service_account_remote_id, known.version(other).service_account_remote_id}
        assert {a.id for a in known.openai.oracle().service_accounts()} == foreign | ours


@pytest.mark.one_database
class TestRevokedWhileBeingMade:
    def test_before_the_worker_begins_nothing_is_made(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.requested_key()
        known.revoke(key)
        assert known.reload(key).state is KeyState.ABORTING
        known.finish(clock)
        assert known.reload(key).state is KeyState.ABORTED
        assert not any("service_accounts" in call for call in known.calls("POST"))

    def test_what_is_made_meanwhile_is_taken_back(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.requested_key()
        outside = known.govern.need_outside()
        claim = claimed(known, "key.issue")
        version = known.version(key)
        credential = outside.issuer.create(known.project().remote_id, version.remote_name, 3600)
        known.revoke(key)
        with pytest.raises(service.NoLongerWanted), known.govern.unit_of_work(claim.actor) as uow:
            service.record_issued(uow, version.id, credential)
        clock.tick(LEASE)
        known.finish(clock)
        assert known.reload(key).state is KeyState.ABORTED
        assert known.our_accounts() == []
        assert not known.openai.oracle().authenticates(credential.value.reveal())

    def test_the_end_waits_for_the_attempt_under_way(self, known: World, clock: FrozenDateTimeFactory) -> None:
        """An attempt may be between creation and record: only when it has settled does a listing show all it made."""
        key = known.requested_key()
        claimed(known, "key.issue")
        known.revoke(key)
        known.drain()
        assert known.reload(key).state is KeyState.ABORTING
        assert {effect.kind for effect in known.owed()} == {"key.issue", "key.revoke"}
        clock.tick(LEASE)
        known.finish(clock)
        assert known.reload(key).state is KeyState.ABORTED

    def test_a_key_of_somebody_who_begins_to_leave_is_not_recorded(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.requested_key()
        known.remove(EVE)
        known.finish(clock)
        assert known.reload(key).state is KeyState.ABORTED
        assert known.our_accounts() == []
        assert known.person(EVE).state is PersonState.LEFT
