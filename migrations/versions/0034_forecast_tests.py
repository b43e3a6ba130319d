"""What forecasts of windows that are over said, and what came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_tests",
        sa.Column("budget_id", sa.String(length=40), nullable=False),
        sa.Column("window", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("low_usd", sa.BigInteger(), nullable=False),
        sa.Column("likely_usd", sa.BigInteger(), nullable=False),
        sa.Column("high_usd", sa.BigInteger(), nullable=False),
        sa.Column("came_usd", sa.BigInteger(), nullable=False),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_forecast_tests_budget_id_budgets")),
        sa.PrimaryKeyConstraint("budget_id", "window", "day", name=op.f("pk_forecast_tests")),
    )


def downgrade() -> None:
    op.drop_table("forecast_tests")
