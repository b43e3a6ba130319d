"""Alembic's environment. `govern db upgrade` passes the engine; nothing here reads a URL from a file."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context

from govern import schema
from govern.core.db import WRITING

LOCK_KEY = 7_205_759_403  # any constant: replicas that start together must not migrate at once


def plain_types(kind: str, item: Any, _autogen: Any) -> str | bool:
    """Write plain column types into new migrations, so that an old migration never imports today's code."""
    if kind != "type":
        return False
    if isinstance(item, sa.types.TypeDecorator):
        impl = item.impl_instance
        return "sa.DateTime(timezone=True)" if isinstance(impl, sa.DateTime) else f"sa.{impl!r}"
    return f"sa.String(length={item.length})" if isinstance(item, sa.Enum) else False


def run() -> None:
    engine: sa.Engine = context.config.attributes["engine"]
    with engine.execution_options(**{WRITING: True}).connect() as connection:
        if connection.dialect.name == "postgresql":
            # A migration that waits behind a long transaction would make everybody else wait behind it.
            connection.execute(sa.text("SET lock_timeout = '5s'"))
            connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK_KEY)))
            connection.commit()
        context.configure(
            connection=connection, target_metadata=schema.metadata, render_as_batch=True, render_item=plain_types,
            compare_type=True, transaction_per_migration=False,
            # Alembic takes SQLite for unable to do this and would begin anew for each migration: a second replica could then
            # step in between two of them. Our connections begin by themselves (`BEGIN IMMEDIATE`), so all of it is one.
            transactional_ddl=True,
        )  # fmt: skip
        with context.begin_transaction():
            context.run_migrations()
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK_KEY)))
            connection.commit()


run()
