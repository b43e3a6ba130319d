"""Usage facts by month: on PostgreSQL a partition each, in a schema of their own; on SQLite one table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from govern.usage.models import UsageFact
from govern.usage.rules import following_month, midnight

SCHEMA: Final = "partitions"
"""Apart from the tables that migrations describe: they come and go by themselves."""


def ensure(session: Session, days: Iterable[date]) -> None:
    """Make the partitions of these days' months, where they are missing."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for month in sorted({day.replace(day=1) for day in days}):
        name = _name(month)
        if session.scalar(sa.select(sa.func.to_regclass(name))) is None:
            low, high = (int(midnight(day).timestamp()) for day in (month, following_month(month)))
            values = f"FOR VALUES FROM ({low}) TO ({high})"
            session.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF usage_facts {values}"))


def drop_before(session: Session, day: date) -> None:
    """Delete all facts of the days before: whole months by dropping their partition, the rest row by row."""
    if session.get_bind().dialect.name == "postgresql":
        for name in session.scalars(sa.text(f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}'")):  # noqa: S608
            year, month = name.removeprefix("usage_facts_").split("_")
            if following_month(date(int(year), int(month), 1)) <= day:
                session.execute(sa.text(f"DROP TABLE {SCHEMA}.{name}"))
    session.execute(sa.delete(UsageFact).where(UsageFact.bucket_start < midnight(day)))


def _name(month: date) -> str:
    return f"{SCHEMA}.usage_facts_{month:%Y_%m}"
