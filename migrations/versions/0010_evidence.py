"""Evidence of removals, the second look at listings, and which changes were made at OpenAI for which effect."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("public_pem", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_keys")),
        sa.UniqueConstraint("slot", name=op.f("uq_evidence_keys_slot")),
    )
    op.create_table(
        "evidence",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("subject_id", sa.String(length=120), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["evidence_keys.id"], name=op.f("fk_evidence_key_id_evidence_keys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("kind", "subject_id", name=op.f("uq_evidence_kind_subject_id")),
    )
    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evidence_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "provider_calls",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("effect_id", sa.String(length=40), nullable=True),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_calls")),
    )
    with op.batch_alter_table("provider_calls", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_provider_calls_request_id"), ["request_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_provider_calls_effect_id"), ["effect_id"], unique=False)

    with op.batch_alter_table("offboardings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("first_look_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("evidence_id", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("seal_id", sa.String(length=40), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("offboardings", schema=None) as batch_op:
        batch_op.drop_column("seal_id")
        batch_op.drop_column("sealed_at")
        batch_op.drop_column("evidence_id")
        batch_op.drop_column("first_look_at")

    with op.batch_alter_table("provider_calls", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_provider_calls_effect_id"))
        batch_op.drop_index(batch_op.f("ix_provider_calls_request_id"))
    op.drop_table("provider_calls")

    with op.batch_alter_table("evidence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_evidence_subject_id"))
    op.drop_table("evidence")
    op.drop_table("evidence_keys")
