"""Shared keys and who may open them; versions that replace one another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_entitlements",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("added_by", sa.String(length=120), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=120), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_entitlements_key_id_keys")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_key_entitlements_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_entitlements")),
    )
    with op.batch_alter_table("key_entitlements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_key_entitlements_key_id"), ["key_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_key_entitlements_person_id"), ["person_id"], unique=False)
        batch_op.create_index(
            "uq_key_entitlements_open",
            ["key_id", "person_id"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    with op.batch_alter_table("key_versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retire_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("seen_in_use_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("reason", sa.String(length=500), nullable=True))

    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=20), server_default="personal", nullable=False))
        batch_op.add_column(sa.Column("rotate_every_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.drop_column("rotate_every_days")
        batch_op.drop_column("kind")

    with op.batch_alter_table("key_versions", schema=None) as batch_op:
        batch_op.drop_column("reason")
        batch_op.drop_column("seen_in_use_at")
        batch_op.drop_column("retire_at")

    with op.batch_alter_table("key_entitlements", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_key_entitlements_open", sqlite_where=sa.text("removed_at IS NULL"), postgresql_where=sa.text("removed_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_key_entitlements_person_id"))
        batch_op.drop_index(batch_op.f("ix_key_entitlements_key_id"))

    op.drop_table("key_entitlements")
