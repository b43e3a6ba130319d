"""Keep a table in step with a complete listing: what is seen is added or updated, what is no longer seen has vanished."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from govern.core.uow import UnitOfWork


class Mirror:
    """One listing being stored. The table has `first_seen_at`, `last_seen_at` and `vanished_at`.

    `scope` (column name → value) says which rows the listing is complete for; it is also written into new rows.
    """

    def __init__(
        self, uow: UnitOfWork, table: type[Any], prefix: str, remote_id: InstrumentedAttribute[str], **scope: object
    ) -> None:
        self._uow, self._table, self._prefix, self._remote, self._scope = uow, table, prefix, remote_id.key, scope
        query = sa.select(table).filter_by(**scope)
        self._rows: dict[str, Any] = {getattr(row, self._remote): row for row in uow.session.scalars(query)}
        self._seen: set[str] = set()
        self.added = 0
        self.vanished = 0

    def see(self, remote_id: str, **values: object) -> None:
        """Store one listed thing. A value that did not change is not written."""
        row = self._rows.get(remote_id)
        if row is None:
            row = self._table(
                id=self._uow.new_id(self._prefix), first_seen_at=self._uow.now, **{self._remote: remote_id}, **self._scope
            )
            self._rows[remote_id] = row
            self._uow.session.add(row)
            self.added += 1
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
        row.last_seen_at, row.vanished_at = self._uow.now, None
        self._seen.add(remote_id)

    def finish(self) -> None:
        """Mark what this listing did not show. Call it only after the listing was read to its end."""
        for remote_id, row in self._rows.items():
            if remote_id not in self._seen and row.vanished_at is None:
                row.vanished_at = self._uow.now
                self.vanished += 1
        self._uow.session.flush()
