"""The database: engine, declarative base, and the column types that keep time and money honest."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

WRITING: Final = "govern_writing"
"""Execution option of connections that belong to a unit of work."""


class Base(DeclarativeBase):
    """The base of every table. Constraint names are fixed, so that migrations can name what they drop."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """An aware instant. Naive ones are refused; what is read is always UTC (SQLite itself forgets the zone)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(sa.types.TypeDecorator[Decimal]):
    """US dollars as `Decimal`, stored as integer nano-dollars: exact, summable and comparable on both databases.

    Refuses floats and anything finer than a nano-dollar (`to_nano` rounds on purpose, where a figure comes from outside).
    The range is ±9.2 billion dollars.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"Money is a Decimal, not {type(value).__name__}.")
        scaled = value.scaleb(9)
        if scaled != scaled.to_integral_value():
            raise ValueError("Money is stored in nano-dollars; round it with to_nano first.")
        return int(scaled)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        # PostgreSQL sums bigints into numeric, so the driver hands back a Decimal there and an int elsewhere.
        return None if value is None else Decimal(int(value)).scaleb(-9)


def words(kind: type[StrEnum]) -> sa.Enum:
    """The column type of a state: its word as text, so that a new word needs no change of the database's types."""
    return sa.Enum(kind, native_enum=False, create_constraint=False, length=20, values_callable=lambda e: [m.value for m in e])


NANO: Final = Decimal("0.000000001")


def to_nano(amount: Decimal) -> Decimal:
    """The amount rounded half-even to whole nano-dollars, the finest that is stored."""
    return amount.quantize(NANO)


def make_engine(url: str, **options: Any) -> sa.Engine:
    """An engine for the URL, `sqlite:///…` or `postgresql://…`.

    SQLite runs in WAL mode; units of work begin with `BEGIN IMMEDIATE`, reads with a plain `BEGIN`. With the driver's own
    default, concurrent read-then-write transactions lose updates silently.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20, **options)
    engine = sa.create_engine(parsed, connect_args={"timeout": 15, "check_same_thread": False}, **options)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin on its own; `begin` below does
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine
