"""An event is signed once, however many workers think of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from govern.checkpoints import signing
from govern.checkpoints.models import Checkpoint
from govern.core.uow import UnitsOfWork
from tests.checkpoints.test_offline import JOB, record


def test_workers_that_sign_the_same_event_at_once_sign_it_once(unit_of_work: UnitsOfWork) -> None:
    signing.sign_newest(unit_of_work, JOB)
    workers = 4
    for round_ in range(5):
        record(unit_of_work, f"event {round_}")
        start = threading.Barrier(workers)

        def sign(_: int, start: threading.Barrier = start) -> int | None:
            start.wait()
            signed = signing.sign_newest(unit_of_work, JOB)
            return signed.seq if signed else None  # None: another one was quicker

        with ThreadPoolExecutor(workers) as pool:
            assert len(set(pool.map(sign, range(workers))) - {None}) == 1
    with unit_of_work.reading() as session:
        signed = session.scalars(sa.select(Checkpoint.seq)).all()
    assert len(set(signed)) == len(signed) >= 5
