"""Thresholds on what is forecast, and alerts about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_KEY = ["budget_id", "window", "person_id", "threshold", "threshold_usd", "generation"]


def upgrade() -> None:
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("thresholds_forecast", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("on_forecast", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("forecast_usd", sa.BigInteger(), nullable=True))
        batch_op.drop_constraint("uq_alerts_person_threshold", type_="unique")
        batch_op.create_unique_constraint("uq_alerts_forecast_threshold", [*_KEY, "on_forecast"])


def downgrade() -> None:
    # Those about a forecast have no place in the older key.
    op.execute("DELETE FROM deliveries WHERE alert_id IN (SELECT id FROM alerts WHERE on_forecast)")
    op.execute("DELETE FROM alerts WHERE on_forecast")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_constraint("uq_alerts_forecast_threshold", type_="unique")
        batch_op.drop_column("forecast_usd")
        batch_op.drop_column("on_forecast")
        batch_op.create_unique_constraint("uq_alerts_person_threshold", _KEY)
    with op.batch_alter_table("budgets", schema=None) as batch_op:
        batch_op.drop_column("thresholds_forecast")
