"""Why spend has no person, in daily spend and in the cells: the reasons stood at the series only, where no report reads them.

Every day's rollups are marked to be made anew; until the next sync has done so, a breakdown by reason lacks the older days.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

KEY = ["day", "clock", "project_remote_id", "api_key_remote_id", "person_id", "model", "endpoint"]


def upgrade() -> None:
    with op.batch_alter_table("daily_spend", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.add_column(sa.Column("reason", sa.String(length=20), server_default=sa.text("''"), nullable=False))
        batch.drop_constraint("pk_daily_spend", type_="primary")
        batch.create_primary_key("pk_daily_spend", [*KEY, "reason"])
    op.add_column("spend_cells", sa.Column("reason", sa.String(length=20), server_default=sa.text("''"), nullable=False))
    op.execute("INSERT INTO stale_days (day) SELECT day FROM daily_spend EXCEPT SELECT day FROM stale_days")


def downgrade() -> None:
    op.drop_column("spend_cells", "reason")
    op.execute("INSERT INTO stale_days (day) SELECT day FROM daily_spend EXCEPT SELECT day FROM stale_days")
    op.execute("DELETE FROM daily_spend")  # a rollup: without the reason its rows may stand twice, and it is made anew
    with op.batch_alter_table("daily_spend", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint("pk_daily_spend", type_="primary")
        batch.create_primary_key("pk_daily_spend", KEY)
        batch.drop_column("reason")
