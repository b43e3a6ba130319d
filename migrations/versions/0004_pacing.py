"""Pacing: the rate that OpenAI was found to bear, for each family of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pacing_buckets",
        sa.Column("family", sa.String(length=200), nullable=False),
        sa.Column("requests_per_minute", sa.Double(), nullable=True),
        sa.Column("refused_per_minute", sa.Double(), nullable=True),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("last_refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("family", name=op.f("pk_pacing_buckets")),
    )


def downgrade() -> None:
    op.drop_table("pacing_buckets")
