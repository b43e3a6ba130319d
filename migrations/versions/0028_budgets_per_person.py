"""Budgets for each person of a group; whose crossing an alert is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_KEY = ["threshold", "threshold_usd", "generation"]


def upgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("per_person", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("person_id", sa.String(length=40), server_default=sa.text("''"), nullable=False))
        batch_op.drop_constraint("uq_alerts_threshold", type_="unique")
        batch_op.create_unique_constraint("uq_alerts_person_threshold", ["budget_id", "window", "person_id", *_KEY])


def downgrade() -> None:
    # Those of single people have no place in the older key.
    op.execute("DELETE FROM deliveries WHERE alert_id IN (SELECT id FROM alerts WHERE person_id <> '')")
    op.execute("DELETE FROM alerts WHERE person_id <> ''")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_constraint("uq_alerts_person_threshold", type_="unique")
        batch_op.drop_column("person_id")
        batch_op.create_unique_constraint("uq_alerts_threshold", ["budget_id", "window", *_KEY])
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.drop_column("per_person")
