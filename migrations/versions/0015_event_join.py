"""OpenAI's audit log joined with our own calls: which call made which event, and how far the log was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_log",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_log")),
    )
    with op.batch_alter_table("provider_calls", schema=None) as batch_op:
        batch_op.add_column(sa.Column("touched", sa.JSON(), nullable=True))
        batch_op.create_index(batch_op.f("ix_provider_calls_at"), ["at"], unique=False)
    with op.batch_alter_table("provider_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_id", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("by_our_key", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("call_id", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("joined_by", sa.String(length=20), nullable=True))
        batch_op.create_index(batch_op.f("ix_provider_events_call_id"), ["call_id"], unique=False)
    # Until now an event was called ours by its admin key alone; that stays so for what was read before.
    op.execute("UPDATE provider_events SET by_our_key = is_ours")


def downgrade() -> None:
    with op.batch_alter_table("provider_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_provider_events_call_id"))
        batch_op.drop_column("joined_by")
        batch_op.drop_column("call_id")
        batch_op.drop_column("by_our_key")
        batch_op.drop_column("request_id")
    with op.batch_alter_table("provider_calls", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_provider_calls_at"))
        batch_op.drop_column("touched")
    op.drop_table("event_log")
