"""Which worker leads: one at a time, chosen by a lock that ends with the process that holds it.

PostgreSQL: a session advisory lock on a connection of its own. A pooled connection would keep the lock after it went back to
the pool. Behind a pooler in transaction mode session locks do not hold: give the worker a direct address. Should two leaders
ever overlap for a moment, the unique slots and the fenced claims still let each thing happen once.
SQLite: `flock` on a file beside the database, so all workers run on one machine, as SQLite itself demands.
"""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import IO, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

LOCK_KEY: Final = 7_205_759_411
"""Any constant of our own; advisory locks are counted per database."""
_SERVER_KEEPALIVE: Final = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""A leader whose machine vanished sends no goodbye; the server gives its lock away after about 25 s."""


class Election(Protocol):
    """`hold` is asked again and again; `release` once."""

    def hold(self) -> bool:
        """Whether this process leads now: takes the lock if it is free, proves it if it is held."""
        ...

    def release(self) -> None:
        """Let somebody else lead. Harmless when the lock is not held."""
        ...


def election(engine: sa.Engine) -> Election:
    """The election that fits the database."""
    if engine.dialect.name == "postgresql":
        return _AdvisoryLock(engine.url)
    path = engine.url.database
    return _FileLock(Path(f"{path}.worker.lock")) if path and path != ":memory:" else _Alone()


class _AdvisoryLock:
    def __init__(self, url: sa.URL) -> None:
        self._engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
                "options": _SERVER_KEEPALIVE, "application_name": "govern worker",
            },
        )  # fmt: skip
        self._connection: sa.Connection | None = None
        self._leads = False

    def hold(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            if self._leads:
                self._connection.execute(sa.text("SELECT 1"))  # the lock lives as long as this connection
            else:
                self._leads = bool(self._connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK_KEY))))
        except DBAPIError:
            self.release()
        return self._leads

    def release(self) -> None:
        self._leads = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()


class _FileLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def hold(self) -> bool:
        if self._file is not None:
            return True
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        # The file stays: deleting it would let a third process lock a new one while a second still holds the old.
        if self._file is not None:
            self._file.close()
            self._file = None


class _Alone:
    """A database in memory is seen by one process only."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        return
