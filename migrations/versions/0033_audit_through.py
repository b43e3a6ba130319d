"""By which token somebody acted, beside on whose behalf."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_events", sa.Column("through", sa.String(length=60), nullable=True))


def downgrade() -> None:
    op.drop_column("audit_events", "through")
