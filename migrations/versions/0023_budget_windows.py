"""Windows of budgets that are not months."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("period", sa.String(length=20), server_default="month", nullable=False))
        batch_op.add_column(sa.Column("year_starts", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("days", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("anchor", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("windows_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        for column in ("windows_since", "anchor", "days", "year_starts", "period"):
            batch_op.drop_column(column)
