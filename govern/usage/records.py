"""What is kept beside series and facts: usage by day for ever, days whose rollups lag, closed months, and what changed later."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from govern.core.db import Base, Money, UTCDateTime

SERIES_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class UsageDay(Base):
    """What one series did on one UTC day: its hourly facts added up. Kept for ever; hours are not.

    Facts whose `detail` (JSON, as in the fact) is the same are one row; `buckets` says how many they were.
    """

    __tablename__ = "usage_days"
    __table_args__ = (sa.Index("ix_usage_days_series", "series_id", "day"), {"sqlite_with_rowid": False})

    day: Mapped[date] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    detail: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    buckets: Mapped[int]
    requests: Mapped[int] = mapped_column(sa.BigInteger)
    input_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cached_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    output_tokens: Mapped[int] = mapped_column(sa.BigInteger)
    quantity: Mapped[int] = mapped_column(sa.BigInteger)


class StaleDay(Base):
    """A UTC day whose facts or attribution changed and whose rollups were not made anew yet.

    Written with the facts, taken away with the rollups: whatever dies in between, the next run makes them.
    """

    __tablename__ = "stale_days"

    day: Mapped[date] = mapped_column(primary_key=True)


class ClosedMonth(Base):
    """A calendar month (UTC) whose bill was read five days after its end. `billed` is its total in US dollars at that time."""

    __tablename__ = "closed_months"

    first_day: Mapped[date] = mapped_column(primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    billed: Mapped[Decimal] = mapped_column(Money)


class CostAdjustment(Base):
    """One cost series of one day that OpenAI changed after the day's month was closed: it belongs to that month, and is listed.

    The month's `billed` and the differences of its adjustments in US dollars always add up to what is billed now.
    """

    __tablename__ = "cost_adjustments"
    __table_args__ = (sa.Index("ix_cost_adjustments_day", "day", "id"),)

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    day: Mapped[date]
    series_id: Mapped[int] = mapped_column(sa.BigInteger)
    found_at: Mapped[datetime] = mapped_column(UTCDateTime)
    before: Mapped[Decimal] = mapped_column(Money)
    after: Mapped[Decimal] = mapped_column(Money)


class LearnedPrice(Base):
    """What a model really cost on settled days, beside what the price book says.

    `factor` is billed ÷ estimated at the book's prices; `unit_price` is what a million units of `part` cost where the book has
    no entry. One of them is set. It holds for days after `through`.
    """

    __tablename__ = "learned_prices"

    endpoint: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    model: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    part: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    since: Mapped[date]
    through: Mapped[date]
    days: Mapped[int]
    factor: Mapped[Decimal | None] = mapped_column(Money)
    unit_price: Mapped[Decimal | None] = mapped_column(Money)
    learned_at: Mapped[datetime] = mapped_column(UTCDateTime)
