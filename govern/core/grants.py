"""What the service's own account may do on PostgreSQL, where another account owns the tables: all but touch the audit log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from govern.core.errors import InvalidInput

APPEND_ONLY: Final = ("audit_events", "audit_checkpoints", "audit_boundaries")


def statements(role: str) -> Iterator[str]:
    """SQL for the tables' owner, safe to repeat. Raises InvalidInput for a name that is not plain.

    Usage is partitioned by month, and only the owner of a table may add a partition: that table goes to the service's account. So
    the owner of the others has to be a member of it, and then may still do everything.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
        raise InvalidInput("The name of the role must be of small letters, digits and underscores.")
    yield f"GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    yield f"REVOKE UPDATE, DELETE, TRUNCATE ON {', '.join(APPEND_ONLY)} FROM {role}"
    yield f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}"
    yield f"ALTER TABLE usage_facts OWNER TO {role}"
    yield f"GRANT USAGE, CREATE ON SCHEMA partitions TO {role}"
    alter = f"EXECUTE format('ALTER TABLE partitions.%I OWNER TO {role}', part)"
    parts = "SELECT tablename FROM pg_tables WHERE schemaname = 'partitions'"
    yield f"DO $$ DECLARE part text; BEGIN FOR part IN {parts} LOOP {alter}; END LOOP; END $$"
