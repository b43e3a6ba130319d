"""Usage facts by month, usage by day for ever, days whose rollups lag, closed months, adjustments, learned prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MEASURES = ("requests", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "quantity")


def upgrade() -> None:
    for table in ("usage_series", "cost_series"):
        op.add_column(table, sa.Column("reason", sa.String(length=20), server_default=sa.text("''"), nullable=False))
    for name in ("user_remote_id", "extra"):
        op.add_column("cost_series", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("sync_windows", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("buckets", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in MEASURES),
        sa.PrimaryKeyConstraint("day", "series_id", "detail", name=op.f("pk_usage_days")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_days_series", "usage_days", ["series_id", "day"], unique=False)
    op.create_table(
        "stale_days", sa.Column("day", sa.Date(), nullable=False), sa.PrimaryKeyConstraint("day", name=op.f("pk_stale_days"))
    )
    op.create_table(
        "closed_months",
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("billed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first_day", name=op.f("pk_closed_months")),
    )
    op.create_table(
        "cost_adjustments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_adjustments")),
    )
    op.create_index("ix_cost_adjustments_day", "cost_adjustments", ["day", "id"], unique=False)
    op.create_table(
        "learned_prices",
        sa.Column("endpoint", sa.String(length=60), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("part", sa.String(length=40), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("through", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("factor", sa.BigInteger(), nullable=True),
        sa.Column("unit_price", sa.BigInteger(), nullable=True),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "model", "part", name=op.f("pk_learned_prices")),
    )
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    if on_postgresql:
        _by_month()
    # What was read so far has its days too.
    day = "(to_timestamp(bucket_start) AT TIME ZONE 'UTC')::date" if on_postgresql else "date(bucket_start, 'unixepoch')"
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in MEASURES)
    op.execute(
        f"INSERT INTO usage_days (day, series_id, detail, buckets, {', '.join(MEASURES)}) "  # noqa: S608 - our own names
        f"SELECT {day}, series_id, detail, count(*), {sums} FROM usage_facts GROUP BY 1, 2, 3"
    )


def _facts(name: str, by_month: bool) -> None:
    op.create_table(
        name,
        sa.Column("bucket_start", sa.BigInteger(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in MEASURES),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bucket_start", "series_id", name=op.f(f"pk_{name}")),
        **({"postgresql_partition_by": "RANGE (bucket_start)"} if by_month else {}),
    )


def _by_month() -> None:
    """Put the facts into partitions. Those of the months around today are made here, so that what runs already can go on."""
    op.rename_table("usage_facts", "usage_facts_whole")
    op.execute("ALTER TABLE usage_facts_whole RENAME CONSTRAINT pk_usage_facts TO pk_usage_facts_whole")
    _facts("usage_facts", by_month=True)
    op.execute("CREATE SCHEMA IF NOT EXISTS partitions")
    bounds = op.get_bind().execute(sa.text("SELECT min(bucket_start), max(bucket_start) FROM usage_facts_whole")).one()
    today = datetime.now(UTC).date()
    days = [today, *(datetime.fromtimestamp(bound, UTC).date() for bound in bounds if bound is not None)]
    month, last = min(days).replace(day=1), max(days) + timedelta(days=62)
    while month < last:
        following = (month + timedelta(days=31)).replace(day=1)
        low, high = (int(datetime.combine(day, datetime.min.time(), UTC).timestamp()) for day in (month, following))
        op.execute(
            f"CREATE TABLE partitions.usage_facts_{month:%Y_%m} PARTITION OF usage_facts FOR VALUES FROM ({low}) TO ({high})"
        )
        month = following
    op.execute("INSERT INTO usage_facts SELECT * FROM usage_facts_whole")
    op.drop_table("usage_facts_whole")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.rename_table("usage_facts", "usage_facts_parted")
        op.execute("ALTER TABLE usage_facts_parted RENAME CONSTRAINT pk_usage_facts TO pk_usage_facts_parted")
        _facts("usage_facts", by_month=False)
        op.execute("INSERT INTO usage_facts SELECT * FROM usage_facts_parted")
        op.drop_table("usage_facts_parted")
        op.execute("DROP SCHEMA partitions")
    for table in ("learned_prices", "cost_adjustments", "closed_months", "stale_days", "usage_days"):
        op.drop_table(table)
    op.drop_column("sync_windows", "purged_at")
    for name in ("extra", "user_remote_id"):
        op.drop_column("cost_series", name)
    for table in ("cost_series", "usage_series"):
        op.drop_column(table, "reason")
