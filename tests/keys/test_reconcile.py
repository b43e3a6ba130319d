"""Comparing what we recorded with what OpenAI lists: ends what provably should not be there, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import ProviderError
from govern.keys import sync
from govern.keys.models import KeyState
from govern.ports import IssuedCredential
from tests.given import PROJECT, World

APART = timedelta(seconds=30)


def reconcile(world: World, second_look: timedelta = timedelta(0)) -> dict[str, int]:
    outside = world.govern.need_outside()
    return sync.reconcile(world.govern.unit_of_work, outside.directory, outside.issuer, second_look=second_look)


def create(world: World, name: str) -> IssuedCredential:
    """An account made past the rows, as a dead attempt or somebody else leaves it."""
    return world.govern.need_outside().issuer.create(world.project(PROJECT).remote_id, name, 3600)


@pytest.fixture
def known(known: World, clock: FrozenDateTimeFactory) -> World:
    clock.tick(1)
    return known


@pytest.mark.one_database
def test_changes_nothing_where_everything_is_in_order(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key(project=PROJECT)
    clock.tick(1)
    before, log = known.openai.oracle().service_accounts(), known.audited()
    report = reconcile(known)
    assert (report["strays_deleted"], report["vanished"], report["unknown"], report["stopped"]) == (0, 0, 0, 0)
    assert known.openai.oracle().service_accounts() == before
    assert known.audited() == log
    assert known.reload(key).state is KeyState.LIVE


@pytest.mark.one_database
@pytest.mark.parametrize("ended", [KeyState.REVOKED, KeyState.ABORTED])
def test_a_late_account_of_an_ended_key_is_deleted(known: World, clock: FrozenDateTimeFactory, ended: KeyState) -> None:
    """A creation that OpenAI carried out long after we gave up."""
    key = known.key(project=PROJECT) if ended is KeyState.REVOKED else known.requested_key(project=PROJECT)
    known.revoke(key)
    known.finish(clock)
    assert known.reload(key).state is ended
    late = create(known, known.version(key).remote_name)
    assert reconcile(known)["strays_deleted"] == 1
    assert not known.openai.oracle().authenticates(late.value.reveal())
    assert known.audited("key.stray") == ["key.stray_deleted"]
    assert reconcile(known)["strays_deleted"] == 0


@pytest.mark.one_database
def test_a_second_account_beside_the_recorded_one_is_deleted(known: World) -> None:
    key = known.key(project=PROJECT)
    create(known, known.version(key).remote_name)
    assert reconcile(known)["strays_deleted"] == 1
    assert known.our_accounts() == [known.version(key).service_account_remote_id]
    assert known.openai.oracle().authenticates(known.peek(key))


@pytest.mark.one_database
@pytest.mark.parametrize("name", ["govern:kv_from_a_restored_backup", "govern:", "ci-runner", "somebody's", "GOVERN:x"])
def test_what_we_do_not_know_is_left_alone(known: World, name: str) -> None:
    foreign = create(known, name)
    report = reconcile(known)
    assert report["strays_deleted"] == 0
    assert report["unknown"] == int(name.startswith("govern:"))
    assert known.openai.oracle().authenticates(foreign.value.reveal())


@pytest.mark.one_database
@pytest.mark.parametrize("moment", ["requested", "revoking"])
def test_what_is_under_way_is_skipped(known: World, moment: str) -> None:
    """The effect that is open will settle it; interfering would take away what it is about to record."""
    key = known.requested_key(project=PROJECT) if moment == "requested" else known.key(project=PROJECT)
    if moment == "revoking":
        known.revoke(key)
    create(known, known.version(key).remote_name)
    before = known.our_accounts()
    report = reconcile(known)
    assert (report["strays_deleted"], report["vanished"]) == (0, 0)
    assert known.our_accounts() == before


def test_a_key_that_openai_lists_no_more_has_vanished(known: World, clock: FrozenDateTimeFactory) -> None:
    key, other = known.key(project=PROJECT), known.key(name="other", project=PROJECT)
    version = known.version(key)
    assert version.service_account_remote_id is not None
    known.govern.need_outside().issuer.delete(known.project(PROJECT).remote_id, version.service_account_remote_id)
    clock.tick(1)
    assert reconcile(known)["vanished"] == 1
    assert (known.reload(key).state, known.version(key).sealed) == (KeyState.REVOKED, None)
    assert known.reload(key).problem == "It was ended at OpenAI, not through this service."
    assert known.reload(other).state is KeyState.LIVE
    assert known.audited("key.vanished") == ["key.vanished"]
    assert reconcile(known)["vanished"] == 0


def test_missing_once_is_not_gone_and_twice_is(known: World, clock: FrozenDateTimeFactory) -> None:
    """A listing may lag. A false "gone" would destroy the value of a key that works."""
    known.openai.fault("projects.service_accounts.list", kind="stale_list:60")
    key = known.key(project=PROJECT)
    clock.tick(1)
    assert reconcile(known, APART)["vanished"] == 0
    clock.tick(60)
    assert reconcile(known, APART)["vanished"] == 0
    assert (known.reload(key).state, known.version(key).absent_since) == (KeyState.LIVE, None)
    account = known.version(key).service_account_remote_id
    assert account is not None
    known.govern.need_outside().issuer.delete(known.project(PROJECT).remote_id, account)
    assert reconcile(known, APART)["vanished"] == 0
    clock.tick(APART)
    assert reconcile(known, APART)["vanished"] == 1
    assert known.audited("key.not") + known.audited("key.listed") == ["key.not_listed"] * 2 + ["key.listed_again"]


@pytest.mark.one_database
def test_a_key_that_openai_ended_is_gone_though_its_account_stands(known: World, clock: FrozenDateTimeFactory) -> None:
    """OpenAI ends a key that it finds in public; the account stays."""
    key = known.key(project=PROJECT)
    known.synced()
    known.openai.disable_key(known.version(key).remote_id or "")
    clock.tick(1)
    known.synced()
    assert reconcile(known)["vanished"] == 1
    assert (known.reload(key).state, known.version(key).sealed) == (KeyState.REVOKED, None)
    assert reconcile(known)["strays_deleted"] == 1
    assert known.our_accounts() == []


@pytest.mark.one_database
def test_a_key_issued_while_it_listed_has_not_vanished(known: World, clock: FrozenDateTimeFactory) -> None:
    """The listing is older than the key: its absence there says nothing."""
    known.openai.fault("projects.service_accounts.list", kind="stale_list:60")
    key = known.key(project=PROJECT)
    assert reconcile(known)["vanished"] == 0
    assert known.reload(key).state is KeyState.LIVE


@pytest.mark.one_database
def test_an_unreadable_listing_ends_nothing(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key(project=PROJECT)
    clock.tick(1)
    known.openai.fault("projects.service_accounts.list", kind="bad_json", times=0)
    with pytest.raises(ProviderError):
        reconcile(known)
    assert known.reload(key).state is KeyState.LIVE


@pytest.mark.one_database
class TestBreaker:
    """A sweep that would delete much is more likely a mistake of ours than a real mess."""

    def leave(self, world: World, clock: FrozenDateTimeFactory, strays: int) -> None:
        for number in range(strays):
            key = world.requested_key(name=f"key {number}", project=PROJECT)
            world.revoke(key)
            world.finish(clock)
            create(world, world.version(key).remote_name)

    def test_five_are_deleted(self, known: World, clock: FrozenDateTimeFactory) -> None:
        self.leave(known, clock, 5)
        report = reconcile(known)
        assert (report["strays_deleted"], report["stopped"]) == (5, 0)

    def test_six_of_a_few_are_not(self, known: World, clock: FrozenDateTimeFactory) -> None:
        self.leave(known, clock, 6)
        report = reconcile(known)
        assert (report["strays_deleted"], report["stopped"]) == (0, 1)
        assert len(known.our_accounts()) == 6
