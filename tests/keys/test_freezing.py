"""A key is stopped without being ended, and goes on exactly as before. `[]` means *all* at OpenAI: that trap is here."""

from __future__ import annotations

import pytest
from freezegun.api import FrozenDateTimeFactory

from govern.core.errors import Conflict, InvalidInput
from govern.keys import freezing, queries
from govern.keys.models import Freeze, FreezeState, Key, ObservedKey, ScopesSource
from govern.ports import read_scopes, stored_scopes
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, PROJECT, World


def scopes_at_openai(world: World, remote_id: str) -> tuple[str, ...]:
    return next(key.scopes for key in world.native_keys() if key.id == remote_id)


def lasting(world: World, remote_id: str) -> Freeze | None:
    with world.govern.unit_of_work.reading() as session:
        return queries.open_freeze(session, remote_id)


def newest(world: World, remote_id: str) -> Freeze:
    with world.govern.unit_of_work.reading() as session:
        return queries.freezes_of_native(session, remote_id)[-1]


def frozen(world: World, key: Key) -> str:
    """Freeze the key; OpenAI's id of what was frozen."""
    with world.govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_key(uow, key.id, reason="it is looked into", generation="auto")
    world.drain()
    return str(world.version(key).remote_id)


def thawed(world: World, key: Key, restore: list[str] | None = None) -> None:
    with world.govern.unit_of_work(ADMIN) as uow:
        freezing.thaw_key(uow, key.id, reason="it was harmless", restore=restore)
    world.drain()


def personal(world: World, *, told: bool = True) -> ObservedKey:
    """A key that Eve made herself. `told`: OpenAI's audit log still knows of it."""
    before = {key.id for key in world.native_keys()}
    world.openai.make_personal_key(EVE, PROJECT)
    if not told:
        world.openai.org.tables.events.clear()
    run_job(world.govern, "directory.sync")
    [made] = {key.id for key in world.native_keys()} - before
    with world.govern.unit_of_work.reading() as session:
        return queries.observed_key(session, made)


@pytest.mark.one_database
def test_a_frozen_key_does_nothing_and_a_thawed_one_everything_that_it_did(known: World) -> None:
    key = known.key()
    remote_id = frozen(known, key)
    freeze = newest(known, remote_id)
    assert freeze.state is FreezeState.FROZEN
    assert freeze.proven_at is not None, "OpenAI's own log shows it"
    assert freeze.original == "all"
    assert scopes_at_openai(known, remote_id) == freezing.FROZEN_SCOPES
    thawed(known, key)
    assert scopes_at_openai(known, remote_id) == (), "which is how OpenAI says: all"
    assert newest(known, remote_id).state is FreezeState.THAWED
    assert known.audited("key.f") == ["key.freeze_requested", "key.frozen"]
    assert known.audited("key.thaw") == ["key.thaw_requested", "key.thawed"]


@pytest.mark.one_database
def test_freezing_twice_changes_nothing(known: World) -> None:
    key = known.key()
    frozen(known, key)
    calls = len(known.calls())
    frozen(known, key)
    assert len(known.calls()) == calls


@pytest.mark.one_database
def test_what_somebody_set_elsewhere_is_what_comes_back(known: World) -> None:
    key = known.key()
    remote_id = str(known.version(key).remote_id)
    known.govern.need_outside().scopes.put(known.project().remote_id, remote_id, ("api.responses.write", "api.files.read"))
    frozen(known, key)
    assert newest(known, remote_id).original_source is ScopesSource.AUDIT_LOG
    thawed(known, key)
    assert scopes_at_openai(known, remote_id) == ("api.responses.write", "api.files.read")


@pytest.mark.one_database
def test_unknown_is_not_everything(known: World) -> None:
    """The trap: a key of which nobody knows what it might do must not come back with every permission."""
    observed = personal(known, told=False)
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_observed(uow, observed.id, reason="whose is it?", generation="auto")
    known.drain()
    freeze = newest(known, observed.remote_id)
    assert (freeze.original, freeze.original_source) == (None, ScopesSource.UNKNOWN)
    for nothing in (None, [], [""], ["all", "api.responses.write"]):
        with pytest.raises(InvalidInput), known.govern.unit_of_work(ADMIN) as uow:
            freezing.thaw(uow, freeze.id, reason="x", restore=nothing)
    assert scopes_at_openai(known, observed.remote_id) == freezing.FROZEN_SCOPES
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.thaw(uow, freeze.id, reason="it is the print shop's", restore=["api.responses.write"])
    known.drain()
    assert scopes_at_openai(known, observed.remote_id) == ("api.responses.write",)


@pytest.mark.one_database
def test_nothing_at_all_cannot_be_stored_or_sent(known: World) -> None:
    scopes = known.govern.need_outside().scopes
    with pytest.raises(ValueError, match="every permission"):
        stored_scopes(())
    with pytest.raises(ValueError, match="no scopes"):
        read_scopes([])
    with pytest.raises(ValueError, match="lift every restriction"):
        scopes.put("proj_x", "key_x", ())


def test_everything_is_restored_only_by_its_word(known: World) -> None:
    observed = personal(known, told=False)
    with known.govern.unit_of_work(ADMIN) as uow:
        freeze = freezing.freeze_observed(uow, observed.id, reason="whose is it?", generation="auto")
    known.drain()
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.thaw(uow, freeze.id, reason="it is fine", restore=["all"])
    known.drain()
    assert scopes_at_openai(known, observed.remote_id) == ()


@pytest.mark.one_database
def test_what_is_known_is_not_for_choosing(known: World) -> None:
    key = known.key()
    frozen(known, key)
    with pytest.raises(InvalidInput, match="is known"):
        thawed(known, key, ["api.files.read"])
    thawed(known, key, ["all"])


def test_an_older_generation_says_so_and_offers_what_it_can(known: World) -> None:
    known.openai.behaviour.generation = "2026-08"
    key = known.key()
    with pytest.raises(Conflict, match="Revoke it or rotate it"), known.govern.unit_of_work(ADMIN) as uow:
        freezing.freeze_key(uow, key.id, reason="x", generation="2026-08")
    remote_id = frozen(known, key)  # nobody told us which generation it is
    freeze = newest(known, remote_id)
    assert freeze.state is FreezeState.REFUSED
    assert "Revoke it or rotate it" in (freeze.problem or "")
    assert known.openai.oracle().authenticates(known.peek(key))
    assert scopes_at_openai(known, remote_id) == ()


@pytest.mark.one_database
def test_a_key_that_ended_meanwhile_needs_no_thaw(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    remote_id = frozen(known, key)
    known.revoke(key)
    known.finish(clock)
    assert newest(known, remote_id).state is FreezeState.GONE
    with pytest.raises(Conflict, match="not frozen"):
        thawed(known, key)


@pytest.mark.one_database
def test_the_audit_log_is_not_taken_for_granted(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    known.openai.fault(operation="audit_logs.list", kind="status:500", nth=1)
    remote_id = frozen(known, key)
    known.finish(clock)
    freeze = lasting(known, remote_id)
    assert freeze is not None
    assert freeze.state is FreezeState.FROZEN


def test_a_worker_that_wakes_too_late_does_not_freeze_what_was_thawed(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    remote_id = frozen(known, key)
    thawed(known, key)
    # It slept just before it narrowed the key; the others froze and thawed it in the meantime.
    known.govern.need_outside().scopes.put(known.project().remote_id, remote_id, freezing.FROZEN_SCOPES)
    with known.govern.unit_of_work(ADMIN) as uow:
        freezing.say_again(uow, newest(known, remote_id).id)
    known.finish(clock)
    assert scopes_at_openai(known, remote_id) == ()
    assert newest(known, remote_id).state is FreezeState.THAWED
