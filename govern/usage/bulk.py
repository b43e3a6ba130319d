"""Writing many rows at once, in the transaction at hand: COPY on PostgreSQL, one prepared statement on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from govern.core.db import Base

_BATCH: Final = 500
_LOCK: Final = 7_205_759_404  # any constant of our own
T = TypeVar("T")


def batched(items: Iterable[T], size: int = _BATCH) -> Iterator[list[T]]:
    """The items in lists of at most `size`: SQLite limits the parameters of one statement."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def insert_rows(session: Session, table: type[Base], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert plain values, one tuple per row in the order of the table's columns; types are not converted."""
    if not rows:
        return
    connection = session.connection()
    target = table.__table__
    names = ", ".join(column.name for column in target.columns)
    if connection.dialect.name == "postgresql":
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy(f"COPY {target.description} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(target.columns))
    connection.exec_driver_sql(f"INSERT INTO {target.description} ({names}) VALUES ({marks})", list(rows))  # noqa: S608 - our own names


def insert_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those rows whose unique key is not there yet; somebody else may have been quicker."""
    if not rows:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(table).on_conflict_do_nothing(), [dict(row) for row in rows])


def insert_one(session: Session, table: type[Base], row: Mapping[str, Any]) -> bool:
    """Insert the row unless its unique key is there already. Whether it was inserted."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # What is returned tells, on both databases; a row count does not.
    keys = sa.inspect(table).primary_key
    done = session.execute(insert(table).values(**row).on_conflict_do_nothing().returning(*keys))
    return done.first() is not None


def serialize(session: Session) -> None:
    """Let one transaction at a time write here: usage and costs share the rollups of a day. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
