"""A request that is sent twice is carried out once, however the two meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
from freezegun import freeze_time

from govern.core.errors import InvalidInput
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.identity import idempotency, service
from govern.identity.idempotency import InFlight, KeyReused
from govern.identity.models import Request
from govern.people import service as people
from govern.people.models import Person

CLI = Actor(ActorKind.CLI, "test", "test")
PATIENCE = timedelta(seconds=16)


def once(units: UnitsOfWork, key: str = "k-1", fingerprint: str = "f-1", principal: str = "tok_1") -> idempotency.Earlier | None:
    with units(CLI) as uow:
        earlier = idempotency.claim(uow, principal, key, fingerprint, answer_within=PATIENCE)
        if earlier is None:
            people.ensure(uow, "eve@acme.example", "Eve")
            idempotency.note_subject(uow, principal, key, "per_1")
        return earlier


def test_the_second_sending_finds_the_answer_of_the_first(unit_of_work: UnitsOfWork) -> None:
    assert once(unit_of_work) is None
    with unit_of_work(CLI) as uow:
        idempotency.note_answer(uow, "tok_1", "k-1", status=201, headers={"Location": "/x"}, body={"id": "per_1"})
    earlier = once(unit_of_work)
    assert earlier == idempotency.Earlier("per_1", 201, {"Location": "/x"}, {"id": "per_1"})


@pytest.mark.one_database
def test_another_request_under_the_same_key_is_refused(unit_of_work: UnitsOfWork) -> None:
    once(unit_of_work)
    with pytest.raises(KeyReused):
        once(unit_of_work, fingerprint="f-2")


@pytest.mark.one_database
def test_keys_of_different_callers_do_not_meet(unit_of_work: UnitsOfWork) -> None:
    assert once(unit_of_work) is None
    assert once(unit_of_work, fingerprint="f-2", principal="tok_2") is None


@pytest.mark.one_database
def test_while_the_first_may_still_be_answered_the_second_waits(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        once(unit_of_work)
        with pytest.raises(InFlight):
            once(unit_of_work)
        clock.tick(PATIENCE)  # whoever began it has died
        earlier = once(unit_of_work)
        assert earlier is not None
        assert (earlier.subject_id, earlier.status) == ("per_1", None)


@pytest.mark.one_database
def test_a_command_that_failed_leaves_no_claim(unit_of_work: UnitsOfWork) -> None:
    def fail() -> None:
        with unit_of_work(CLI) as uow:
            idempotency.claim(uow, "tok_1", "k-1", "f-1", answer_within=PATIENCE)
            raise InvalidInput("The command said no.")

    with pytest.raises(InvalidInput):
        fail()
    assert once(unit_of_work) is None


def test_after_three_days_the_key_is_new(unit_of_work: UnitsOfWork) -> None:
    with freeze_time("2026-03-10 09:00", tick=False) as clock:
        once(unit_of_work)
        clock.tick(idempotency.KEPT + timedelta(seconds=1))
        assert once(unit_of_work, fingerprint="f-2") is None
        clock.tick(idempotency.KEPT + timedelta(seconds=1))
        with unit_of_work(CLI) as uow:
            assert service.forget_old(uow)["requests"] == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\x00"])
def test_a_key_is_visible_ascii(key: str) -> None:
    with pytest.raises(InvalidInput):
        idempotency.check_key(key)


def test_two_at_once_do_it_once(unit_of_work: UnitsOfWork) -> None:
    barrier = Barrier(6)

    def send() -> str:
        barrier.wait(10)
        try:
            return "done" if once(unit_of_work) is None else "replayed"
        except InFlight:
            return "in flight"

    with ThreadPoolExecutor(6) as pool:
        results = [future.result(30) for future in [pool.submit(send) for _ in range(6)]]
    assert results.count("done") == 1
    assert results.count("in flight") == 5
    with unit_of_work.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Person)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Request)) == 1
