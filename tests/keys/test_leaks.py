"""A key that got out is found, stopped and replaced; what was pasted is nowhere afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from freezegun.api import FrozenDateTimeFactory
from sqlalchemy.orm import undefer

from govern.core.crypto import Secret
from govern.core.errors import InvalidInput
from govern.keys import leaks, queries
from govern.keys.models import KeyState, LeakRemedy, LeakReport, LeakState
from govern.worker.runner import run_job
from tests.given import ADMIN, EVE, PROJECT, World


def reported(world: World, value: str, remedy: LeakRemedy = LeakRemedy.REVOKE, *, successor: bool = False) -> LeakReport:
    with world.govern.unit_of_work(ADMIN) as uow:
        row = leaks.report(uow, Secret(value), remedy=remedy, successor=successor, overlap=timedelta(hours=1), generation="auto")
    world.drain()
    return world.reload(row)


def sealed_values(world: World) -> list[str | None]:
    with world.govern.unit_of_work.reading() as session:
        return [row.sealed for row in session.scalars(sa.select(LeakReport).options(undefer(LeakReport.sealed)))]


def personal(world: World) -> str:
    _, value = world.openai.make_personal_key(EVE, PROJECT)
    run_job(world.govern, "directory.sync")
    return value


@pytest.mark.one_database
def test_one_of_ours_is_known_without_asking_anybody(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    value = known.value(key)
    row = reported(known, value)
    assert (row.state, row.key_id) == (LeakState.FOUND, key.id)
    assert EVE in (row.owner or "")
    known.finish(clock)
    assert not known.openai.oracle().authenticates(value)
    assert "GET /v1/me" not in known.calls()
    assert known.reload(key).state is KeyState.REVOKED


def test_a_successor_takes_its_place_and_what_leaked_ends_at_once(known: World, clock: FrozenDateTimeFactory) -> None:
    key = known.key()
    value = known.value(key)
    reported(known, value, successor=True)
    known.finish(clock)
    assert not known.openai.oracle().authenticates(value)
    assert known.reload(key).state is KeyState.LIVE
    assert known.openai.oracle().authenticates(known.value(key))
    assert reported(known, value).outcome == "Version 1 of laptop was ended already; this value is worth nothing."


@pytest.mark.one_database
def test_freezing_what_leaked(known: World) -> None:
    key = known.key()
    reported(known, known.value(key), LeakRemedy.FREEZE, successor=True)
    with known.govern.unit_of_work.reading() as session:
        assert [freeze.state.value for freeze in queries.open_freezes(session, key.id)] == ["frozen"]
        assert len(queries.live_versions(session, key.id)) == 2


def test_a_key_that_we_did_not_issue_is_found_by_asking_openai(known: World) -> None:
    value = personal(known)
    row = reported(known, value, LeakRemedy.NOTHING)
    assert (row.state, row.owner) == (LeakState.FOUND, EVE)
    assert known.openai.oracle().authenticates(value)
    row = reported(known, value)
    assert "deleted" in (row.outcome or "")
    assert value not in str(vars(row))
    with known.govern.unit_of_work.reading() as session:
        assert row.observed_id is not None
        assert queries.observed_key(session, row.observed_id).vanished_at is not None
    assert sealed_values(known) == [None, None]


def test_a_dead_key_is_said_to_be_dead_and_forgotten(known: World) -> None:
    row = reported(known, "sk-proj-this-was-never-a-key-of-anybody-0123")
    assert row.state is LeakState.DEAD
    assert sealed_values(known) == [None]
    assert known.dead() == []


def test_what_openai_never_answers_about_is_destroyed_in_time(known: World, clock: FrozenDateTimeFactory) -> None:
    value = personal(known)
    known.openai.fault("me.retrieve", kind="status:503", times=0)
    row = reported(known, value)
    clock.tick(leaks.PATIENCE - timedelta(seconds=1))
    run_job(known.govern, "reveals.shred")
    assert (known.reload(row).state, None in sealed_values(known)) == (LeakState.SEARCHING, False)
    clock.tick(timedelta(seconds=1))
    run_job(known.govern, "reveals.shred")
    row = known.reload(row)
    assert (row.state, row.outcome, sealed_values(known)) == (LeakState.UNANSWERED, leaks.UNANSWERED, [None])
    assert known.owed() == []
    assert reported(known, known.value(known.key())).state is LeakState.FOUND  # of ours nobody needs to ask


@pytest.mark.one_database
@pytest.mark.parametrize("text", ["", "hunter2", "sk-short", "sk-proj-with space-0123456789", "sk-proj-0123456789\nx"])
def test_what_is_no_key_is_not_repeated(known: World, text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        reported(known, text)
    assert not text or text not in str(refusal.value) + str(refusal.value.fields)


@pytest.mark.one_database
def test_the_value_is_nowhere_in_the_record(known: World) -> None:
    value = personal(known)
    reported(known, value)
    with known.govern.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT * FROM "{table}"')).all()
            assert value not in str(rows), table
