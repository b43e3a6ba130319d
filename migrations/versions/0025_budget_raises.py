"""Thresholds in dollars, and raises for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("thresholds_usd", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("threshold_usd", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.drop_constraint("uq_alerts_crossing", type_="unique")
        batch_op.create_unique_constraint(
            "uq_alerts_threshold", ["budget_id", "window", "threshold", "threshold_usd", "generation"]
        )
    op.create_table(
        "budget_raises",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("budget_id", sa.String(length=40), nullable=False),
        sa.Column("by_usd", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_budget_raises_budget_id_budgets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_raises")),
    )
    op.create_index(op.f("ix_budget_raises_budget_id"), "budget_raises", ["budget_id"], unique=False)


def downgrade() -> None:
    op.drop_table("budget_raises")
    # What was told about dollars has no place in the older key.
    op.execute("DELETE FROM deliveries WHERE alert_id IN (SELECT id FROM alerts WHERE threshold = 0)")
    op.execute("DELETE FROM alerts WHERE threshold = 0")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_constraint("uq_alerts_threshold", type_="unique")
        batch_op.drop_column("threshold_usd")
        batch_op.create_unique_constraint("uq_alerts_crossing", ["budget_id", "window", "threshold", "generation"])
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.drop_column("thresholds_usd")
