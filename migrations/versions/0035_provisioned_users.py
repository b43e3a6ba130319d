"""Accounts as an identity provider keeps them by SCIM, beside the people that they stand for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provisioned_users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("user_name", sa.String(length=320), nullable=False),
        sa.Column("external_id", sa.String(length=320), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_provisioned_users_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provisioned_users")),
        sa.UniqueConstraint("person_id", name=op.f("uq_provisioned_users_person_id")),
        sa.UniqueConstraint("user_name", name=op.f("uq_provisioned_users_user_name")),
    )
    op.create_index(op.f("ix_provisioned_users_external_id"), "provisioned_users", ["external_id"])
    op.create_index(op.f("ix_provisioned_users_created_at"), "provisioned_users", ["created_at"])


def downgrade() -> None:
    op.drop_table("provisioned_users")
