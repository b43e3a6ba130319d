"""Approvals: what somebody asked for and somebody else decides."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("mark", sa.String(length=200), nullable=True),
        sa.Column("subject_kind", sa.String(length=60), nullable=False),
        sa.Column("subject_id", sa.String(length=120), nullable=False),
        sa.Column("summary", sa.String(length=300), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("permission", sa.String(length=60), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("requested_by", sa.String(length=120), nullable=False),
        sa.Column("requested_label", sa.String(length=200), nullable=False),
        sa.Column("requested_person_id", sa.String(length=40), nullable=True),
        sa.Column("asked_through", sa.String(length=40), nullable=True),
        sa.Column("for_person_id", sa.String(length=40), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=True),
        sa.Column("decided_person_id", sa.String(length=40), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(length=500), nullable=True),
        sa.Column("result_id", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["requested_person_id"], ["people.id"], name=op.f("fk_approvals_requested_person_id_people")),
        sa.ForeignKeyConstraint(["for_person_id"], ["people.id"], name=op.f("fk_approvals_for_person_id_people")),
        sa.ForeignKeyConstraint(["decided_person_id"], ["people.id"], name=op.f("fk_approvals_decided_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approvals_subject_id"), ["subject_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_approvals_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_approvals_requested_person_id"), ["requested_person_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_approvals_for_person_id"), ["for_person_id"], unique=False)
        batch_op.create_index(
            "uq_approvals_pending",
            ["kind", "mark"],
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )

    op.create_table(
        "approval_approvers",
        sa.Column("approval_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name=op.f("fk_approval_approvers_approval_id_approvals")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_approval_approvers_person_id_people")),
        sa.PrimaryKeyConstraint("approval_id", "person_id", name=op.f("pk_approval_approvers")),
    )
    with op.batch_alter_table("approval_approvers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_approvers_person_id"), ["person_id"], unique=False)


def downgrade() -> None:
    op.drop_table("approval_approvers")
    op.drop_table("approvals")
