"""The value is shown once, to whom it belongs, and is nowhere afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.crypto import CannotOpen, Secret
from govern.core.errors import Conflict, Gone, GovernError, NotAllowed, NotFound
from govern.core.uow import Actor, ActorKind
from govern.keys import queries, service
from govern.keys import reveals as revealing
from tests.given import ADMIN, MAX, World

STRANGER = Actor(ActorKind.PERSON, "per_mal", "Mal")


def reveals(world: World, key_id: str) -> list[str]:
    with world.govern.unit_of_work.reading() as session:
        return [row.actor_id for row in queries.reveals_of(session, key_id)]


@pytest.mark.one_database
def test_shows_the_value_that_works_and_keeps_no_copy(known: World) -> None:
    key = known.key()
    value = known.value(key)
    assert known.openai.oracle().authenticates(value)
    version = known.version(key)
    assert (version.sealed, version.revealed_at, version.shredded_at) == (None, version.issued_at, version.issued_at)
    assert reveals(known, key.id) == [key.person_id]
    assert known.audited("key.revealed") == ["key.revealed"]


@pytest.mark.one_database
def test_not_a_second_time(known: World) -> None:
    key = known.key()
    known.value(key)
    with pytest.raises(Gone, match="once"):
        known.value(key)
    assert len(reveals(known, key.id)) == 1


@pytest.mark.one_database
def test_of_many_at_the_same_moment_one_sees_it(known: World) -> None:
    key, start = known.key(), threading.Barrier(6)

    def look(_number: int) -> str | None:
        start.wait()
        try:
            return known.value(key)
        except GovernError:
            return None

    with ThreadPoolExecutor(6) as pool:
        seen = [value for value in pool.map(look, range(6)) if value]
    assert len(seen) == 1
    assert len(reveals(known, key.id)) == 1


@pytest.mark.one_database
@pytest.mark.parametrize("generation", ["2026-08", "2026-11"])
def test_whoever_asked_for_it_may_see_it_and_a_stranger_may_not(known: World, generation: str) -> None:
    known.openai.behaviour.generation = generation
    key = known.key()
    with pytest.raises(NotAllowed):
        known.value(key, STRANGER)
    with pytest.raises(NotAllowed):
        known.value(key, Actor(ActorKind.PERSON, known.person(MAX).id, "Max"))
    assert reveals(known, key.id) == []
    assert known.value(key, ADMIN)


@pytest.mark.one_database
class TestTheSameRequestAgain:
    """The answer may be lost on the way: the same request may be repeated for a while."""

    def test_shows_it_again_within_the_window_and_then_not(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        first = known.value(key, repeat_key="idem-1")
        clock.tick(timedelta(minutes=10))
        assert known.value(key, repeat_key="idem-1") == first
        assert len(reveals(known, key.id)) == 2
        clock.tick(timedelta(seconds=1))
        with pytest.raises(Gone):
            known.value(key, repeat_key="idem-1")

    @pytest.mark.parametrize("repeat_key", ["idem-2", None])
    def test_another_request_does_not_see_it(self, known: World, repeat_key: str | None) -> None:
        key = known.key()
        known.value(key, repeat_key="idem-1")
        with pytest.raises(Gone):
            known.value(key, repeat_key=repeat_key)

    def test_the_same_name_from_somebody_else_is_another_request(self, known: World) -> None:
        key = known.key()
        known.value(key, repeat_key="idem-1")
        with pytest.raises(Gone):
            known.value(key, ADMIN, repeat_key="idem-1")

    def test_without_a_window_it_is_destroyed_at_once(self, known: World) -> None:
        key = known.key()
        with known.govern.unit_of_work(ADMIN) as uow:
            revealing.reveal(uow, key.id, repeat_key="idem-1", window=timedelta(0))
        assert known.version(key).sealed is None

    def test_what_may_be_repeated_no_more_is_destroyed(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key, unseen = known.key(), known.key(name="unseen")
        known.value(key, repeat_key="idem-1")

        def shred() -> int:
            with known.govern.unit_of_work(ADMIN) as uow:
                return revealing.shred_due(uow, window=timedelta(minutes=10), unseen=timedelta(hours=24))["destroyed"]

        clock.tick(timedelta(minutes=9, seconds=59))
        assert shred() == 0
        clock.tick(timedelta(seconds=1))
        assert shred() == 1
        assert known.version(key).sealed is None
        assert shred() == 0
        assert known.version(unseen).sealed is not None
        assert known.audited("key.value_destroyed") == ["key.value_destroyed"]


class TestWhatCannotBeShown:
    @pytest.mark.one_database
    def test_a_key_that_is_still_being_made(self, known: World) -> None:
        with pytest.raises(Conflict, match="still being made"):
            known.value(known.requested_key())

    @pytest.mark.one_database
    @pytest.mark.parametrize("finished", [False, True])
    def test_a_revoked_key(self, known: World, clock: FrozenDateTimeFactory, finished: bool) -> None:
        key = known.key()
        known.revoke(key)
        if finished:
            known.finish(clock)
        with pytest.raises(Gone, match="revoked"):
            known.value(key)

    @pytest.mark.one_database
    def test_an_unknown_key(self, known: World) -> None:
        with pytest.raises(NotFound), known.govern.unit_of_work(ADMIN) as uow:
            revealing.reveal(uow, "key_unknown", repeat_key=None, window=timedelta(0))

    def test_a_sealed_value_moved_from_another_row(self, known: World) -> None:
        """Whoever may write to the database still cannot hand one person's value to another."""
        import sqlalchemy as sa

        from govern.keys.models import KeyVersion

        mine, theirs = known.key(name="mine"), known.key(MAX, name="theirs")
        stolen = known.version(theirs).sealed
        with known.govern.unit_of_work(ADMIN) as uow:
            uow.session.execute(sa.update(KeyVersion).where(KeyVersion.key_id == mine.id).values(sealed=stolen))
        with pytest.raises(CannotOpen):
            known.value(mine)
        assert isinstance(known.govern.box, type(known.govern.unit_of_work.box))


@pytest.mark.one_database
class TestTime:
    def expire(self, world: World) -> int:
        with world.govern.unit_of_work(ADMIN) as uow:
            return service.expire_due(uow, unseen=timedelta(hours=24))["ended"]

    def test_an_expired_key_is_ended(self, known: World, clock: FrozenDateTimeFactory) -> None:
        key = known.key()
        known.value(key)
        clock.tick(timedelta(days=30) - timedelta(seconds=1))
        assert self.expire(known) == 0
        clock.tick(timedelta(seconds=1))
        assert self.expire(known) == 1
        assert self.expire(known) == 0
        known.finish(clock)
        assert known.reload(key).revoke_reason == "It expired."
        assert known.our_accounts() == []

    def test_a_key_that_nobody_opens_is_ended_and_an_opened_one_is_not(self, known: World, clock: FrozenDateTimeFactory) -> None:
        unseen, seen = known.key(name="unseen"), known.key(name="seen")
        known.value(seen)
        clock.tick(timedelta(hours=23, minutes=59))
        assert self.expire(known) == 0
        clock.tick(timedelta(minutes=1))
        assert self.expire(known) == 1
        assert known.reload(unseen).revoke_reason == "Nobody opened it in time."
        known.finish(clock)
        assert known.our_accounts() == [known.version(seen).service_account_remote_id]


@pytest.mark.one_database
def test_a_secret_is_never_shown_by_accident(
    known: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The worker made the key and the holder saw it; nothing that was printed or logged on the way holds it."""
    key = known.key()
    value = known.value(key)
    out, err = capsys.readouterr()
    for written in (out, err, caplog.text):
        assert value not in written
        assert value[-30:] not in written
        assert known.openai.admin_key not in written
    assert repr(Secret(value)) == "Secret(…)"
