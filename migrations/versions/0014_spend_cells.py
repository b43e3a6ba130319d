"""Endpoints in daily spend; cells of longer stretches for reports; the assignments with which they were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEY = ["day", "clock", "project_remote_id", "api_key_remote_id", "person_id", "model"]


def upgrade() -> None:
    with op.batch_alter_table("daily_spend", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.add_column(sa.Column("endpoint", sa.String(length=60), server_default=sa.text("''"), nullable=False))
        batch.drop_constraint("pk_daily_spend", type_="primary")
        batch.create_primary_key("pk_daily_spend", [*KEY, "endpoint"])
    op.create_index("ix_daily_spend_api_key", "daily_spend", ["api_key_remote_id", "day"], unique=False)
    number = sa.BigInteger()
    op.create_table(
        "spend_cells",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cube", sa.String(length=20), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("whose", sa.String(length=20), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("team", sa.String(length=200), nullable=False),
        sa.Column("cost_centre", sa.String(length=200), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.String(length=60), nullable=False),
        sa.Column("line_item", sa.Text(), nullable=False),
        sa.Column("billed", number, nullable=False),
        sa.Column("estimated", number, nullable=False),
        sa.Column("best_billed", number, nullable=False),
        sa.Column("best_estimated", number, nullable=False),
        sa.Column("requests", number, nullable=False),
        sa.Column("input_tokens", number, nullable=False),
        sa.Column("cached_tokens", number, nullable=False),
        sa.Column("output_tokens", number, nullable=False),
        sa.Column("unpriced_tokens", number, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spend_cells")),
    )
    op.create_index("ix_spend_cells_stretch", "spend_cells", ["cube", "level", "first_day"], unique=False)
    op.create_table(
        "spend_stretches",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("level", "first_day", name=op.f("pk_spend_stretches")),
    )
    op.create_table(
        "spend_assignments",
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("team", sa.String(length=200), nullable=False),
        sa.Column("cost_centre", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "from_on", name=op.f("pk_spend_assignments")),
    )


def downgrade() -> None:
    for table in ("spend_assignments", "spend_stretches", "spend_cells"):
        op.drop_table(table)
    op.drop_index("ix_daily_spend_api_key", "daily_spend")
    op.execute("DELETE FROM daily_spend")  # a rollup: without the endpoint its rows may stand twice, and it is made anew
    with op.batch_alter_table("daily_spend", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint("pk_daily_spend", type_="primary")
        batch.create_primary_key("pk_daily_spend", KEY)
        batch.drop_column("endpoint")
