"""Insert what is not there yet, decided by the database's own unique keys: two workers may have had the same thought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from govern.core.db import Base


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
