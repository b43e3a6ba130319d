"""Whoever leaves knows the shared keys that they opened: those are rotated, exactly those, without a gap."""

from __future__ import annotations

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory

from govern.core.uow import Actor, ActorKind
from govern.keys import queries, reveals, rotation, service, sharing
from govern.keys.models import KeyKind, KeyState
from govern.offboarding import service as offboarding
from tests.given import ADMIN, EVE, MAX, World


def test_exactly_the_shared_keys_that_they_saw_are_rotated(known: World, clock: FrozenDateTimeFactory) -> None:
    eve, owner, project = known.person(EVE), known.person(MAX), known.project()
    made = []
    with known.govern.unit_of_work(ADMIN) as uow:
        for number in range(6):
            key = service.request_key(
                uow, owner.id, project.id, name=f"backend {number}", lifetime=timedelta(days=30), most_per_person=1,
                kind=KeyKind.SHARED,
            )  # fmt: skip
            sharing.entitle(uow, key.id, eve.id)
            made.append(key.id)
    known.drain()
    seen, unseen, old = made[:4], made[4:], {}
    for key_id in seen:
        with known.govern.unit_of_work(Actor(ActorKind.PERSON, eve.id, eve.name)) as uow:
            old[key_id] = reveals.reveal(uow, key_id, repeat_key=None, window=timedelta(0)).reveal()
    own = known.key(EVE)

    with known.govern.unit_of_work(ADMIN) as uow:
        offboarding.start(uow, EVE, reason="left the company")
    known.drain()

    alive = known.openai.oracle().authenticates
    with known.govern.unit_of_work.reading() as session:
        newest = {key_id: queries.newest_version(session, key_id) for key_id in made}
        assert {key_id: version.number for key_id, version in newest.items()} == dict.fromkeys(seen, 2) | dict.fromkeys(unseen, 1)
        assert all(version.state is KeyState.LIVE for version in newest.values())
        assert [queries.entitled_people(session, key_id) for key_id in made] == [[]] * 6
    assert all(alive(value) for value in old.values()), "applications go on until they have the new version"
    assert known.reload(own).state is KeyState.REVOKED

    with known.govern.unit_of_work(ADMIN) as uow:
        rotation.note_use(uow, {newest[key_id].remote_id or "": uow.now for key_id in seen[:1]})
        assert rotation.retire_due(uow) == {"retired": 1}
    known.finish(clock)
    assert [alive(old[key_id]) for key_id in seen] == [False, True, True, True]
    clock.tick(offboarding.SHARED_OVERLAP)
    with known.govern.unit_of_work(ADMIN) as uow:
        assert rotation.retire_due(uow) == {"retired": 3}
    known.finish(clock)
    assert not any(alive(value) for value in old.values())
    with known.govern.unit_of_work.reading() as session:
        assert [queries.newest_version(session, key_id).number for key_id in unseen] == [1, 1]
