"""Budgets of teams, cost centres, keys and models: their names are longer than our ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.alter_column(
            "scope_id", existing_type=sa.String(length=40), type_=sa.String(length=200), existing_nullable=False
        )


def downgrade() -> None:
    # Those of the scopes that were not there yet would not fit.
    op.execute(
        "DELETE FROM deliveries WHERE alert_id IN (SELECT a.id FROM alerts a JOIN budgets b ON b.id = a.budget_id "
        "WHERE length(b.scope_id) > 40)"
    )
    op.execute("DELETE FROM alerts WHERE budget_id IN (SELECT id FROM budgets WHERE length(scope_id) > 40)")
    op.execute("DELETE FROM budgets WHERE length(scope_id) > 40")
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.alter_column(
            "scope_id", existing_type=sa.String(length=200), type_=sa.String(length=40), existing_nullable=False
        )
