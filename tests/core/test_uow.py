"""The unit of work on both databases: it commits or nothing happened, and threads do not overwrite one another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core.uow import Actor, ActorKind, UnitOfWork, UnitsOfWork
from govern.people.models import Person, PersonState

ACTOR = Actor(ActorKind.CLI, "tester", "Tester")


def add_person(uow: UnitOfWork, name: str) -> str:
    person = Person(
        id=uow.new_id("per"), email=f"{name}@acme.example", name=name, state=PersonState.ACTIVE, generation=1, created_at=uow.now
    )
    uow.session.add(person)
    return person.id


def names(unit_of_work: UnitsOfWork) -> list[str]:
    with unit_of_work.reading() as session:
        return sorted(session.scalars(sa.select(Person.name)))


def test_leaving_the_block_commits(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(ACTOR) as uow:
        add_person(uow, "eve")
    assert names(unit_of_work) == ["eve"]


def test_raising_rolls_everything_back(unit_of_work: UnitsOfWork) -> None:
    with pytest.raises(RuntimeError, match="halfway"), unit_of_work(ACTOR) as uow:  # noqa: PT012
        add_person(uow, "eve")
        uow.session.flush()
        raise RuntimeError("halfway")
    assert names(unit_of_work) == []


def test_a_failing_last_hook_rolls_everything_back(unit_of_work: UnitsOfWork) -> None:
    def refuse(_uow: UnitOfWork) -> None:
        raise RuntimeError("the last hook")

    with pytest.raises(RuntimeError, match="the last hook"), unit_of_work(ACTOR) as uow:  # noqa: PT012
        add_person(uow, "eve")
        uow.before_commit("refuse", refuse)
    assert names(unit_of_work) == []


def test_a_hook_runs_once_last_and_inside_the_transaction(unit_of_work: UnitsOfWork) -> None:
    ran: list[list[str]] = []

    def look(uow: UnitOfWork) -> None:
        ran.append(sorted(uow.session.scalars(sa.select(Person.name))))
        add_person(uow, "by the hook")
        uow.session.flush()

    with unit_of_work(ACTOR) as uow:
        uow.before_commit("look", look)
        uow.before_commit("look", look)
        add_person(uow, "eve")
    assert ran == [["eve"]]
    assert names(unit_of_work) == ["by the hook", "eve"]


def test_one_change_has_one_instant(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 12:00:00") as clock, unit_of_work(ACTOR) as uow:
        clock.tick(90)
        assert uow.now == datetime(2026, 3, 10, 12, tzinfo=UTC)
    with unit_of_work(ACTOR) as later:
        assert later.now.utcoffset() is not None


def test_reading_never_commits(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work.reading() as session:
        session.execute(sa.insert(Person).values(id="per_x", email="x@acme.example", name="x", state="active", generation=1,
                                                 created_at=datetime.now(UTC)))  # fmt: skip
    assert names(unit_of_work) == []


def test_a_row_that_was_read_stays_usable_after_the_commit(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(ACTOR) as uow:
        add_person(uow, "eve")
        uow.session.flush()
        person = uow.session.scalars(sa.select(Person)).one()
    assert person.name == "eve"  # a door renders the row after the unit of work is over


def test_eight_threads_that_read_then_write_lose_nothing(unit_of_work: UnitsOfWork) -> None:
    """With the SQLite driver's own transactions most of these updates vanished without an error."""
    with unit_of_work(ACTOR) as uow:
        person_id = add_person(uow, "counter")
    threads, rounds = 8, 25
    start = threading.Barrier(threads)

    def count_up(_number: int) -> None:
        start.wait()
        for _ in range(rounds):
            with unit_of_work(ACTOR) as uow:
                person = uow.session.get_one(Person, person_id, with_for_update=True)
                seen = person.generation
                uow.session.execute(sa.update(Person).where(Person.id == person_id).values(generation=seen + 1))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count_up, range(threads)))
    with unit_of_work.reading() as session:
        assert session.get_one(Person, person_id).generation == 1 + threads * rounds


def test_readers_do_not_wait_for_a_writer(unit_of_work: UnitsOfWork) -> None:
    with unit_of_work(ACTOR) as uow:
        add_person(uow, "eve")
        uow.session.flush()
        assert names(unit_of_work) == []  # on SQLite without WAL this would wait, and fail after 15 s
    assert names(unit_of_work) == ["eve"]


def test_foreign_keys_hold(unit_of_work: UnitsOfWork) -> None:
    """SQLite leaves them unchecked unless asked."""
    from govern.people.models import Identity

    with pytest.raises(sa.exc.IntegrityError), unit_of_work(ACTOR) as uow:
        uow.session.add(Identity(id="idn_1", person_id="per_nobody", issuer="i", subject="s", linked_at=uow.now))
