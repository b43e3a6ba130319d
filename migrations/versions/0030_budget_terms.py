"""The terms that budgets had before they were changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_terms",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("budget_id", sa.String(length=40), nullable=False),
        sa.Column("amount_usd", sa.BigInteger(), nullable=False),
        sa.Column("thresholds", sa.JSON(), nullable=False),
        sa.Column("thresholds_usd", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_budget_terms_budget_id_budgets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_terms")),
    )
    op.create_index(op.f("ix_budget_terms_budget_id"), "budget_terms", ["budget_id"], unique=False)


def downgrade() -> None:
    op.drop_table("budget_terms")
