"""The worker hears of a commit at once, without polling the tables."""

from __future__ import annotations

import threading
import time

from govern.core import outbox
from govern.core.uow import Actor, ActorKind, UnitsOfWork
from govern.worker.wake import Wake, listen

ADA = Actor(ActorKind.PERSON, "per_ada", "Ada Admin")


def test_a_commit_wakes_and_a_rollback_does_not(unit_of_work: UnitsOfWork) -> None:
    wake, stop = Wake(), threading.Event()
    thread = threading.Thread(target=listen, args=(unit_of_work.engine, wake, stop))
    thread.start()
    try:
        time.sleep(0.5)  # it calls once when it begins to listen, for what came before
        seen = wake.mark()
        with unit_of_work(ADA) as uow:
            outbox.enqueue(uow, "probe", "one")
            uow.session.rollback()
        wake.wait(seen, 0.4)
        assert wake.mark() == seen
        began = time.monotonic()
        with unit_of_work(ADA) as uow:
            outbox.enqueue(uow, "probe", "two")
        wake.wait(seen, 5)
        assert wake.mark() > seen
        assert time.monotonic() - began < 1
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()


def test_a_call_between_the_look_and_the_wait_is_not_lost() -> None:
    wake = Wake()
    seen = wake.mark()
    wake.call()
    began = time.monotonic()
    wake.wait(seen, 5)
    assert time.monotonic() - began < 0.5
