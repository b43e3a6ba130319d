"""What a removal ends at OpenAI, thing by thing, and the ledger of the listings that prove it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "offboarding_holdings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("offboarding_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("remote_id", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=True),
        sa.Column("key_remote_id", sa.String(length=120), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(length=300), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["offboarding_id"], ["offboardings.id"], name=op.f("fk_offboarding_holdings_offboarding_id_offboardings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offboarding_holdings")),
        sa.UniqueConstraint(
            "offboarding_id", "kind", "place", "remote_id",
            name=op.f("uq_offboarding_holdings_offboarding_id_kind_place_remote_id"),
        ),
    )  # fmt: skip
    with op.batch_alter_table("offboarding_holdings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_offboarding_holdings_offboarding_id"), ["offboarding_id"], unique=False)
    with op.batch_alter_table("offboardings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("listings", sa.JSON(), server_default="{}", nullable=False))
    # Only rows of before needed it: PostgreSQL compares no default of JSON, so no check could say that it is still right.
    with op.batch_alter_table("offboardings", schema=None) as batch_op:
        batch_op.alter_column("listings", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("offboardings", schema=None) as batch_op:
        batch_op.drop_column("listings")
    op.drop_table("offboarding_holdings")
