"""Wakes the worker when something was committed, so that a person who waits does not wait for a poll.

PostgreSQL tells us (LISTEN/NOTIFY). SQLite cannot, but `PRAGMA data_version` is nearly free to ask and changes with every
commit of another connection.
"""

from __future__ import annotations

import threading
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from govern.core.outbox import CHANNEL

log = structlog.get_logger("govern.worker")

SQLITE_POLL: Final = 0.1
LONGEST_SLEEP: Final = 1.0
"""Effects that were put off come due without any commit: look at least this often (seconds)."""


class Wake:
    """`seen = wake.mark()`, look for work, then `wake.wait(seen)`: a call between the two is not lost."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0

    def mark(self) -> int:
        with self._changed:
            return self._calls

    def call(self) -> None:
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float = LONGEST_SLEEP) -> None:
        """Return when called since `seen`, or after `timeout` seconds."""
        with self._changed:
            if self._calls == seen:
                self._changed.wait(timeout)


def listen(engine: sa.Engine, wake: Wake, stop: threading.Event) -> None:
    """Call `wake` at each commit that owes something, until `stop`. Survives the database going away."""
    own = sa.create_engine(engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    hear = _hear_postgresql if engine.dialect.name == "postgresql" else _watch_sqlite
    while not stop.is_set():
        try:
            with own.connect() as connection:
                wake.call()  # whatever was committed while nobody listened
                hear(connection, wake, stop)
        except DBAPIError as error:
            log.warning("wake.lost", error=type(error).__name__)
            stop.wait(1)


def _hear_postgresql(connection: sa.Connection, wake: Wake, stop: threading.Event) -> None:
    import psycopg

    connection.exec_driver_sql(f"LISTEN {CHANNEL}")
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    while not stop.is_set():
        try:
            for _ in driver.notifies(timeout=0.5, stop_after=1):
                wake.call()
        except psycopg.Error as error:
            raise sa.exc.DBAPIError("LISTEN", None, error) from None


def _watch_sqlite(connection: sa.Connection, wake: Wake, stop: threading.Event) -> None:
    before = None
    while not stop.wait(SQLITE_POLL):
        now = connection.exec_driver_sql("PRAGMA data_version").scalar()
        if now != before:
            before = now
            wake.call()
