"""A key may do what was asked for and nothing else: from its first moment on, over rotation, and after a freeze."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.crypto import Secret
from govern.core.errors import Conflict, InvalidInput
from govern.keys import freezing, leaks, queries, rotation, rules, service
from govern.keys.models import Key, KeyState, LeakRemedy, ScopesSource
from govern.ports import ALL_SCOPES
from tests.given import ADMIN, EVE, World
from tests.keys.test_rotation import versions

FEW = ("api.responses.write", "api.files.read")
UPDATE = "projects.api_keys.update"


def at_openai(world: World, key: Key, number: int = -1) -> tuple[str, ...]:
    remote_id = versions(world, key)[number].remote_id
    return next(native.scopes for native in world.native_keys() if native.id == remote_id)


@pytest.mark.one_database
def test_it_is_narrow_before_anybody_can_have_it(known: World) -> None:
    key = known.requested_key(scopes=FEW)
    known.openai.fault(UPDATE, kind="status:500")
    known.drain()
    assert known.reload(key).state is KeyState.REQUESTED, "made, and not narrowed yet: nothing is recorded"
    assert known.version(key).sealed is None
    [effect] = known.owed()
    assert effect.last_error


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["status:500", "drop_before", "drop_after", "500_after"])
def test_trouble_while_narrowing_leaves_one_key_as_it_was_asked_for(
    known: World, clock: FrozenDateTimeFactory, kind: str
) -> None:
    known.openai.fault(UPDATE, kind=kind)
    key = known.key(scopes=FEW)
    known.finish(clock)
    assert known.reload(key).state is KeyState.LIVE
    assert at_openai(known, key) == FEW
    assert known.our_accounts() == [known.version(key).service_account_remote_id]


@pytest.mark.one_database
def test_a_key_that_openai_does_not_know_yet_is_made_anew(known: World, clock: FrozenDateTimeFactory) -> None:
    known.openai.fault(UPDATE, kind="status:404")
    known.openai.fault("projects.api_keys.retrieve", kind="status:404")
    key = known.key(scopes=FEW)
    known.finish(clock)
    assert at_openai(known, key) == FEW
    assert known.our_accounts() == [known.version(key).service_account_remote_id]


@pytest.mark.one_database
def test_rotation_and_a_leaks_successor_keep_it(known: World) -> None:
    key = known.key(scopes=FEW)
    with known.govern.unit_of_work(ADMIN) as uow:
        rotation.rotate(uow, key.id, reason="it was time", overlap=timedelta(0))
    known.drain()
    assert at_openai(known, key) == FEW
    other = known.key(name="other", scopes=FEW[:1])
    with known.govern.unit_of_work(ADMIN) as uow:
        leaks.report(
            uow, Secret(known.peek(other)), remedy=LeakRemedy.REVOKE, successor=True, overlap=timedelta(0), generation="auto"
        )
    known.drain()
    assert at_openai(known, other) == FEW[:1]
    assert [version.scopes for version in versions(known, key) + versions(known, other)] == [[*FEW]] * 2 + [[FEW[0]]] * 2


@pytest.mark.one_database
@pytest.mark.parametrize("log", ["whole", "lags", "gone"])
def test_a_freeze_gives_it_back_exactly(known: World, log: str) -> None:
    """The log's word on the creation is "everything". Where it does not show our own change yet, that must not come back."""
    key = known.key(scopes=FEW)
    events = known.openai.org.tables.events
    if log == "lags":
        kept = [event for event in events if event.type != "api_key.updated"]
        events.clear()
        events.extend(kept)
    elif log == "gone":
        events.clear()
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_key(uow, key.id, reason="a scare", generation="auto")
    known.drain()
    assert at_openai(known, key) == freezing.FROZEN_SCOPES
    with known.govern.unit_of_work.reading() as session:
        [freeze] = queries.freezes_of(session, key.id)
    assert freeze.original == [*FEW]
    assert freeze.original_source is (ScopesSource.AUDIT_LOG if log == "whole" else ScopesSource.RECORD)
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.thaw_key(uow, key.id, reason="harmless")
    known.drain()
    assert at_openai(known, key) == FEW


@pytest.mark.one_database
def test_the_older_generation_says_so_and_makes_nothing_wider(known: World, clock: FrozenDateTimeFactory) -> None:
    known.openai.behaviour.generation = "2026-08"
    with pytest.raises(Conflict, match="cannot narrow a key"), known.govern.unit_of_work(ADMIN) as uow:
        service.request_key(
            uow, known.person(EVE).id, known.project().id, name="x", lifetime=timedelta(days=1), most_per_person=5,
            scopes=FEW, generation="2026-08",
        )  # fmt: skip
    key = known.key(scopes=FEW)  # nobody told us which generation it is
    known.finish(clock)
    key = known.reload(key)
    assert key.state is KeyState.ABORTED
    assert "may do everything (“all”)" in (key.problem or "")
    assert known.our_accounts() == []
    assert known.key(name="everything").state is KeyState.LIVE


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["all"], ALL_SCOPES), (["api.responses.write"] * 2, ("api.responses.write",)), ([], None), (["all", "api.x.read"], None),
     ([""], None), (["everything"], None), (["api.x.read\n"], None)],
)  # fmt: skip
def test_words_are_read_as_permissions(words: list[str], meant: object) -> None:
    if meant is None:
        with pytest.raises(InvalidInput):
            rules.read_wish(words)
    else:
        assert rules.read_wish(words) == meant
