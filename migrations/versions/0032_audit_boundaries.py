"""Old audit events may go, up to a signed boundary; everything behind it stays refused by the database itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

BOUNDARY = "COALESCE((SELECT max(seq) FROM audit_boundaries), 0)"


def upgrade() -> None:
    op.create_table(
        "audit_boundaries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["audit_checkpoints.seq"], name=op.f("fk_audit_boundaries_seq_audit_checkpoints")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_boundaries")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION keep_audit_event() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF OLD.seq > {BOUNDARY} THEN RAISE EXCEPTION 'audit events are append-only'; END IF; RETURN OLD; END $$"
        )
        op.execute("DROP TRIGGER audit_events_keep ON audit_events")
        _on_postgresql("audit_events_keep BEFORE UPDATE OR TRUNCATE ON audit_events", "STATEMENT", "refuse_audit_change")
        _on_postgresql("audit_events_keep_delete BEFORE DELETE ON audit_events", "ROW", "keep_audit_event")
        _on_postgresql(
            "audit_boundaries_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_boundaries", "STATEMENT", "refuse_audit_change"
        )
        return
    op.execute("DROP TRIGGER audit_events_keep_delete")
    _on_sqlite("audit_events", "DELETE", f"WHEN OLD.seq > {BOUNDARY} ")
    for verb in ("UPDATE", "DELETE"):
        _on_sqlite("audit_boundaries", verb)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_events_keep_delete ON audit_events")
        op.execute("DROP TRIGGER audit_events_keep ON audit_events")
        _on_postgresql(
            "audit_events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events", "STATEMENT", "refuse_audit_change"
        )
        op.execute("DROP FUNCTION keep_audit_event")
    else:
        op.execute("DROP TRIGGER audit_events_keep_delete")
        _on_sqlite("audit_events", "DELETE")
    op.drop_table("audit_boundaries")


def _on_postgresql(what: str, each: str, function: str) -> None:
    op.execute(f"CREATE TRIGGER {what} FOR EACH {each} EXECUTE FUNCTION {function}()")


def _on_sqlite(table: str, verb: str, when: str = "") -> None:
    op.execute(
        f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} {when}"
        "BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END"
    )
