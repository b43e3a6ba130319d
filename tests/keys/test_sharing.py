"""A shared key is opened once by each who is entitled, by nobody else, and outlives its owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import Conflict, Gone, NotAllowed, PolicyViolation
from govern.core.uow import Actor, ActorKind
from govern.keys import queries, reveals, rotation, service, sharing
from govern.keys.models import Key, KeyKind, KeyState
from govern.people import service as people
from tests.given import ADMIN, EVE, MAX, OLA, World

WINDOW, DAY = timedelta(minutes=10), timedelta(days=1)


def shared_key(world: World, *entitled: str, owner: str = EVE) -> Key:
    with world.govern.unit_of_work(ADMIN) as uow:
        key = service.request_key(
            uow, world.person(owner).id, world.project().id, name="search backend", lifetime=30 * DAY, most_per_person=1,
            kind=KeyKind.SHARED,
        )  # fmt: skip
        for email in entitled:
            sharing.entitle(uow, key.id, world.person(email).id)
    world.drain()
    return world.reload(key)


def opened(world: World, key: Key, email: str) -> str:
    person = world.person(email)
    with world.govern.unit_of_work(Actor(ActorKind.PERSON, person.id, person.name)) as uow:
        return reveals.reveal(uow, key.id, repeat_key=None, window=WINDOW).reveal()


def seen_by(world: World, email: str) -> list[str]:
    with world.govern.unit_of_work.reading() as session:
        return [key.id for key in queries.shared_keys_seen_by(session, world.person(email).id)]


@pytest.mark.one_database
def test_each_opens_it_once_and_the_last_one_destroys_it(known: World) -> None:
    key = shared_key(known, MAX)
    assert opened(known, key, EVE) == opened(known, key, MAX)
    for email in (EVE, MAX):
        with pytest.raises(Gone):
            opened(known, key, email)
    assert known.version(key).sealed is None


def test_nobody_else_opens_it(known: World) -> None:
    key = shared_key(known, MAX)
    with pytest.raises(NotAllowed):
        opened(known, key, OLA)
    with known.govern.unit_of_work(ADMIN) as uow:
        sharing.disentitle(uow, key.id, known.person(MAX).id)
    with pytest.raises(NotAllowed):
        opened(known, key, MAX)


def test_the_value_waits_a_day_for_those_who_have_not_seen_it(known: World, clock: FrozenDateTimeFactory) -> None:
    key = shared_key(known, MAX)
    opened(known, key, EVE)

    def destroyed() -> int:
        with known.govern.unit_of_work(ADMIN) as uow:
            return reveals.shred_due(uow, window=WINDOW, unseen=DAY)["destroyed"]

    clock.tick(DAY - timedelta(minutes=1))
    assert destroyed() == 0
    with known.govern.unit_of_work(ADMIN) as uow:
        sharing.entitle(uow, key.id, known.person(OLA).id)
    clock.tick(timedelta(hours=1))
    assert destroyed() == 0, "somebody was entitled since"
    clock.tick(DAY)
    assert destroyed() == 1
    with pytest.raises(Gone):
        opened(known, key, OLA)


@pytest.mark.one_database
def test_a_new_version_is_opened_anew_and_what_was_seen_is_known(known: World) -> None:
    key, other = shared_key(known, MAX), shared_key(known, MAX)
    opened(known, key, MAX)
    assert seen_by(known, MAX) == [key.id]
    assert seen_by(known, EVE) == []
    with known.govern.unit_of_work(ADMIN) as uow:
        rotation.rotate(uow, key.id, reason="somebody left", overlap=timedelta(0))
    known.drain()
    with known.govern.unit_of_work(ADMIN) as uow:
        rotation.retire_due(uow)
    known.drain()
    assert seen_by(known, MAX) == [], "only what still works counts"
    opened(known, key, MAX)
    assert seen_by(known, MAX) == [key.id]
    assert known.reload(other).state is KeyState.LIVE


def test_it_outlives_its_owner(known: World) -> None:
    key = shared_key(known, MAX)
    with known.govern.unit_of_work(ADMIN) as uow:
        people.contain(uow, people.lock(uow.session, known.person(EVE).id))
        rotation.rotate(uow, key.id, reason="its owner leaves", overlap=timedelta(0))
    known.drain()
    assert known.version(key).number == 2
    assert known.reload(key).state is KeyState.LIVE
    with known.govern.unit_of_work(ADMIN) as uow:
        assert sharing.hand_over(uow, key.id, known.person(MAX).id).person_id == known.person(MAX).id
    with pytest.raises(PolicyViolation), known.govern.unit_of_work(ADMIN) as uow:
        sharing.hand_over(uow, key.id, known.person(EVE).id)


@pytest.mark.one_database
def test_a_personal_key_is_not_shared(known: World) -> None:
    key = known.key()
    with pytest.raises(Conflict, match="one person's key"), known.govern.unit_of_work(ADMIN) as uow:
        sharing.entitle(uow, key.id, known.person(MAX).id)


@pytest.mark.one_database
def test_shared_keys_do_not_count_against_their_owner(known: World) -> None:
    shared_key(known)
    shared_key(known)
    assert known.key().state is KeyState.LIVE
