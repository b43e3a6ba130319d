"""One leader at a time, on both databases, whatever happens to the leader."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from govern.core.db import make_engine
from govern.worker.election import LOCK_KEY, Election, election
from tests.peers.reuse import ReusedDatabase

HOLDER = """
import sys, time
from govern.core.db import make_engine
from govern.worker.election import election
lock = election(make_engine(sys.argv[1]))
print(lock.hold(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def wait_for_lead(lock: Election, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not (leads := lock.hold()) and time.monotonic() < until:
        time.sleep(0.05)
    return leads


def test_one_of_two_leads_until_it_lets_go(engine: sa.Engine) -> None:
    first, second = election(engine), election(engine)
    try:
        assert first.hold()
        assert not second.hold()
        assert first.hold()
        first.release()
        assert wait_for_lead(second)
        assert not first.hold()
    finally:
        first.release()
        second.release()


def test_a_killed_leader_is_succeeded(engine: sa.Engine, database_url: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, database_url], stdout=subprocess.PIPE, text=True)
    lock = election(engine)
    try:
        assert holder.stdout
        assert holder.stdout.readline().strip() == "True"
        assert not lock.hold()
        holder.kill()
        assert wait_for_lead(lock)
    finally:
        lock.release()
        holder.kill()
        holder.communicate()


def test_a_leader_that_loses_its_connection_knows_it(postgres_database: ReusedDatabase) -> None:
    engine = make_engine(postgres_database.fresh())
    first, second = election(engine), election(engine)
    try:
        assert first.hold()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :low AND granted"
            connection.execute(sa.text(holders), {"low": LOCK_KEY & 0xFFFFFFFF}).all()
        assert wait_for_lead(second)
        assert not first.hold()
    finally:
        first.release()
        second.release()
        engine.dispose()


def test_a_database_in_memory_has_one_process_and_so_one_leader() -> None:
    engine = sa.create_engine("sqlite://")
    assert election(engine).hold()
    engine.dispose()
