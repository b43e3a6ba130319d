"""Keys that got out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leak_reports",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("remedy", sa.String(length=20), nullable=False),
        sa.Column("successor", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("reported_by", sa.String(length=120), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("observed_id", sa.String(length=40), nullable=True),
        sa.Column("owner", sa.String(length=300), nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_leak_reports_key_id_keys")),
        sa.ForeignKeyConstraint(["observed_id"], ["observed_keys.id"], name=op.f("fk_leak_reports_observed_id_observed_keys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leak_reports")),
    )
    with op.batch_alter_table("leak_reports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_leak_reports_reported_by"), ["reported_by"], unique=False)


def downgrade() -> None:
    op.drop_table("leak_reports")
