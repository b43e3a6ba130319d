"""A key's credential is replaced without a gap, and never by more than two at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.clock import utcnow
from govern.core.errors import Conflict
from govern.keys import queries, rotation, service
from govern.keys.models import Key, KeyState, KeyVersion
from tests.given import ADMIN, World

HOUR = timedelta(hours=1)


def rotated(world: World, key: Key, *, overlap: timedelta = HOUR) -> Key:
    """A key whose new version exists."""
    with world.govern.unit_of_work(ADMIN) as uow:
        rotation.rotate(uow, key.id, reason="it was time", overlap=overlap)
    world.drain()
    return world.reload(key)


def versions(world: World, key: Key) -> list[KeyVersion]:
    with world.govern.unit_of_work.reading() as session:
        return sorted(session.query(KeyVersion).filter_by(key_id=key.id), key=lambda version: version.number)


def retire(world: World) -> int:
    with world.govern.unit_of_work(ADMIN) as uow:
        rotation.note_use(uow, {})
        return rotation.retire_due(uow)["retired"]


@pytest.mark.one_database
def test_the_new_version_works_before_the_old_one_ends(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    old = known.value(key)
    key = rotated(known, key)
    new = known.value(key)
    alive = known.openai.oracle().authenticates
    assert new != old
    assert alive(old), "the overlap has begun"
    assert alive(new)
    assert retire(known) == 0
    clock.tick(HOUR + timedelta(seconds=1))
    assert retire(known) == 1
    known.finish(clock)
    assert not alive(old)
    assert alive(new)
    assert [version.state for version in versions(known, key)] == [KeyState.REVOKED, KeyState.LIVE]
    assert known.reload(key).state is KeyState.LIVE


def test_the_old_version_ends_as_soon_as_the_new_one_is_seen_in_use(known: World) -> None:
    key = rotated(known, known.key(), overlap=30 * 24 * HOUR)
    new = versions(known, key)[1]
    with known.govern.unit_of_work(ADMIN) as uow:
        assert rotation.waiting_for_use(uow) == [new.remote_id]
        rotation.note_use(uow, {new.remote_id or "": utcnow()})
        assert rotation.retire_due(uow) == {"retired": 1}
    known.drain()
    assert [version.state for version in versions(known, key)] == [KeyState.REVOKED, KeyState.LIVE]


@pytest.mark.one_database
def test_never_more_than_two(known: World) -> None:
    key = rotated(known, known.key())
    with pytest.raises(Conflict, match="being rotated already"), known.govern.unit_of_work(ADMIN) as uow:
        rotation.rotate(uow, key.id, reason="again", overlap=HOUR)


def test_a_refused_new_version_leaves_the_old_one_as_it_was(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    value = known.value(key)
    known.openai.fault(operation="projects.service_accounts.create", nth=1, kind="status:400")
    key = rotated(known, key)
    assert key.state is KeyState.LIVE
    assert key.problem
    clock.tick(2 * HOUR)
    assert retire(known) == 0
    assert known.openai.oracle().authenticates(value)
    assert [version.state for version in versions(known, key)] == [KeyState.LIVE, KeyState.ABORTED]


@pytest.mark.one_database
def test_revoking_in_the_middle_ends_both(known: World, clock: FrozenDateTimeFactory) -> None:
    key = rotated(known, known.key())
    known.revoke(key)
    known.finish(clock)
    assert {version.state for version in versions(known, key)} == {KeyState.REVOKED}
    assert known.reload(key).state is KeyState.REVOKED
    assert [account for account in known.openai.oracle().service_accounts() if account[2].startswith("govern:")] == []


@pytest.mark.one_database
def test_many_at_once_with_an_outcome_each(known: World) -> None:
    live, promised = known.key(name="one"), known.requested_key(name="two")
    with known.govern.unit_of_work(ADMIN) as uow:
        outcomes = rotation.rotate_many(uow, [live.id, promised.id, "key_unknown", live.id], reason="all", overlap=HOUR)
    assert outcomes[live.id] is None
    assert "only a live key" in (outcomes[promised.id] or "")
    assert "no key" in (outcomes["key_unknown"] or "")


def test_by_schedule(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    with known.govern.unit_of_work(ADMIN) as uow:
        queries.get(uow.session, key.id).rotate_every_days = 7
    for days, expected in ((6, 0), (2, 1), (0, 0)):
        clock.tick(timedelta(days=days))
        with known.govern.unit_of_work(ADMIN) as uow:
            assert rotation.rotate_due(uow, overlap=HOUR) == {"rotating": expected}


@pytest.mark.one_database
def test_an_expired_old_version_does_not_take_the_key_with_it(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.requested_key(days=30)
    known.drain()
    clock.tick(timedelta(days=29))
    rotated(known, known.reload(key), overlap=30 * 24 * HOUR)
    known.value(key)
    clock.tick(timedelta(days=1, seconds=1))
    with known.govern.unit_of_work(ADMIN) as uow:
        assert service.expire_due(uow, unseen=timedelta(days=365)) == {"ended": 1}
    known.finish(clock)
    assert known.reload(key).state is KeyState.LIVE
    assert [version.state for version in versions(known, key)] == [KeyState.REVOKED, KeyState.LIVE]
